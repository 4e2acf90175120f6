"""Pretrained encoders as files: weights, and a card that says what they are.

An encoder is two files side by side, ``NAME.safetensors`` (float32) and ``NAME.json``. It is
no model yet: it has no head that says where particles are.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load

from cryomae.errors import WeightsError
from cryomae.model.files import read_card, read_weights, write_pair
from cryomae.model.mae import Encoder, EncoderConfig
from cryomae.model.registry import create_model, list_models

FORMAT = 1


class EncoderCard(BaseModel):
    """What an encoder's weights are and where they came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = Field(default=FORMAT, description="Version of card and weights.")
    encoder: dict[str, float] = Field(description="Shape: fields of EncoderConfig.")
    sha256: str
    parameters: int
    recipe: str
    data: str = Field(description="What it was trained on, in words.")
    settings: dict[str, Any] = Field(default_factory=dict)
    steps: int = 0
    loss: float | None = Field(default=None, description="Running mean at the end.")

    @property
    def config(self) -> EncoderConfig:
        """Shape of the encoder."""
        shape = {k: v if k == "mlp_ratio" else int(v) for k, v in self.encoder.items()}
        return EncoderConfig(**shape)  # type: ignore[arg-type]


def save_encoder(path: Path, encoder: Encoder, card: dict[str, Any]) -> EncoderCard:
    """Write an encoder and, after it, its card.

    Parameters
    ----------
    path : Path
        Weight file, ending in ``.safetensors``.
    encoder : Encoder
    card : dict
        Fields of `EncoderCard` but for the shape, ``sha256`` and ``parameters``.
    """
    shape = {"encoder": asdict(encoder.config)}
    size = {"parameters": sum(p.numel() for p in encoder.parameters())}
    return write_pair(path, encoder.state_dict(), EncoderCard, shape | size | card)


def encoder_card(path: str | Path) -> EncoderCard:
    """Card of an encoder's weight file.

    Raises
    ------
    WeightsError
        If a file is missing, or the card is damaged or of another version.
    """
    return read_card(Path(path), EncoderCard, "encoder", FORMAT)


def load_encoder(path: str | Path) -> Encoder:
    """Read an encoder that `save_encoder` wrote, for instance in ``cryomae pretrain``.

    Parameters
    ----------
    path : str or Path
        Its ``.safetensors`` file.

    Returns
    -------
    Encoder
        In evaluation mode, float32, on the CPU.

    Raises
    ------
    WeightsError
        If its files are missing, damaged, of another version or do not belong together.
    """
    weights = Path(path)
    card = encoder_card(weights)
    data = read_weights(weights, card.sha256, "encoder")
    try:
        encoder = Encoder(card.config)
        encoder.load_state_dict(load(data))
    except (TypeError, AssertionError, RuntimeError, ZeroDivisionError, SafetensorError) as error:
        raise WeightsError(
            "the weights do not fit the shape on the card", "train it again", weights
        ) from error
    return encoder.eval()


def start_encoder(source: str) -> Encoder:
    """Encoder to go on from.

    Parameters
    ----------
    source : str
        Name of a shipped model, path of a model file, or path of an encoder file.

    Raises
    ------
    WeightsError
        If it cannot be read, or the model has no encoder.
    """
    if source in list_models() or _is_model(Path(source)):
        encoder = create_model(source).encoder
        if encoder is None:
            raise WeightsError("the model has no encoder", "give another --encoder, or none")
        return encoder
    if Path(source).suffix != ".safetensors":
        raise WeightsError(
            f"there is no encoder '{source}'",
            f"give {', '.join(list_models())}, none, or a .safetensors file",
        )
    return load_encoder(source)


def _is_model(weights: Path) -> bool:
    """Whether the card beside a weight file is that of a whole model."""
    try:
        card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(card, dict) and "architecture" in card
