"""Models by name, their weights and the cards that describe them.

A model is a decorated function that builds the untrained network; its name is the
function's. Weights lie beside this file as ``weights/NAME.safetensors`` with a card
``weights/NAME.json``. A user's own model is the same pair of files anywhere on disk.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from cryomae.atomic import atomic_path
from cryomae.errors import WeightsError
from cryomae.model.detector import ParticleDetector
from cryomae.model.mae import EncoderConfig

WEIGHTS = Path(__file__).parent / "weights"
FORMAT = 2

_REGISTRY: dict[str, Callable[[], ParticleDetector]] = {}


class ModelCard(BaseModel):
    """What a weight file is, where it came from and how well it does."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = Field(default=FORMAT, description="Version of card and weights.")
    name: str
    architecture: str = Field(description="Registered model that the weights fit.")
    description: str
    sha256: str
    parameters: int
    recipe: str
    data: str
    measured: dict[str, str] = Field(default_factory=dict)
    licence: str = "MIT"


def register_model(build: Callable[[], ParticleDetector]) -> Callable[[], ParticleDetector]:
    """Register a function that builds an untrained model under its own name."""
    _REGISTRY[build.__name__] = build
    return build


@register_model
def default() -> ParticleDetector:
    """Six blocks of 192, patches of 8 working pixels, and a small pyramid: made for CPUs."""
    return ParticleDetector(EncoderConfig())


def list_models() -> list[str]:
    """Names of the registered models."""
    return sorted(_REGISTRY)


def _pair(name: str) -> tuple[Path, Path]:
    """Weight file and card of a registered name or of a path."""
    if name in _REGISTRY:
        weights = WEIGHTS / f"{name}.safetensors"
    else:
        weights = Path(name)
        if weights.suffix != ".safetensors":
            raise WeightsError(
                f"there is no model '{name}'",
                f"choose one of {', '.join(list_models())}, or pass a .safetensors file",
            )
    return weights, weights.with_suffix(".json")


def model_card(name: str) -> ModelCard:
    """Card of a shipped model or of a model file.

    Raises
    ------
    WeightsError
        If there is no such model, or its card is missing, damaged or of another version.
    """
    weights, card = _pair(name)
    for path in (weights, card):
        if not path.is_file():
            raise WeightsError(
                "the file is missing",
                f"a model is two files side by side, {weights.name} and {card.name}",
                path,
            )
    try:
        found: dict[str, Any] = json.loads(card.read_text())
        if isinstance(found, dict) and found.get("format", FORMAT) != FORMAT:
            raise WeightsError(
                f"the model is of format {found['format']}, this cryomae reads format {FORMAT}",
                "train it again, or use the cryomae that made it",
                card,
            )
        return ModelCard.model_validate(found)
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise WeightsError(
            "this is not a model card", "copy the model's two files again", card
        ) from error


def create_model(name: str, pretrained: bool = True) -> ParticleDetector:
    """Build a model, with its weights unless ``pretrained`` is False.

    Parameters
    ----------
    name : str
        A registered name, or the path of a ``.safetensors`` file with its card beside it.
    pretrained : bool
        Whether to load the weights. Their sha256 is checked against the card.

    Returns
    -------
    ParticleDetector
        In evaluation mode, float32, on the CPU.

    Raises
    ------
    WeightsError
        If the model is unknown or its files are missing, damaged or do not belong together.
    """
    if not pretrained:
        if name not in _REGISTRY:
            raise WeightsError(
                f"there is no model '{name}'", f"choose one of {', '.join(list_models())}"
            )
        return _REGISTRY[name]().eval()
    card = model_card(name)
    weights, _ = _pair(name)
    data = weights.read_bytes()
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise WeightsError(
            "the weights are not those of the card beside them (sha256 differs)",
            "copy the model's two files again",
            weights,
        )
    if card.architecture not in _REGISTRY:
        raise WeightsError(
            f"the model needs '{card.architecture}', which this cryomae does not have",
            "update cryomae",
            weights,
        )
    model = _REGISTRY[card.architecture]()
    try:
        stored = load(data)
        model.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
        )
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(
            f"the weights do not fit the model '{card.architecture}'", "train it again", weights
        ) from error
    return model.eval()


def save_model(path: Path, model: ParticleDetector, card: dict[str, Any]) -> ModelCard:
    """Write a model as safetensors with its card beside it.

    Matrices and kernels are stored in half precision, vectors in full.

    Parameters
    ----------
    path : Path
        Weight file to write, ending in ``.safetensors``.
    model : ParticleDetector
    card : dict
        Fields of `ModelCard` except ``sha256`` and ``parameters``, which are filled in.
    """
    state = {
        k: v.detach().to(torch.float16 if v.ndim > 1 else v.dtype).contiguous()
        for k, v in model.state_dict().items()
    }
    data = save(state)
    full = ModelCard(
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=sum(p.numel() for p in model.parameters()),
        **card,
    )
    with atomic_path(path) as part:
        part.write_bytes(data)
    with atomic_path(path.with_suffix(".json")) as part:
        part.write_text(full.model_dump_json(indent=2) + "\n")
    return full
