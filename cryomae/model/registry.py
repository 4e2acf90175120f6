"""Models by name, their weights and the cards that describe them.

A model is a decorated function that builds the untrained network; its name is the
function's. Weights lie beside this file as ``weights/NAME.safetensors`` with a card
``weights/NAME.json``. A user's own model is the same pair of files anywhere on disk.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load

from cryomae.errors import WeightsError
from cryomae.model.detector import Correction, ParticleDetector
from cryomae.model.files import read_card, read_weights, write_pair
from cryomae.model.mae import EncoderConfig

WEIGHTS = Path(__file__).parent / "weights"
FORMAT = 2
_SAME = 0.05  # diameters that differ by less are two measures of one particle

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
    diameter: float | None = Field(
        default=None, description="Å, of the particle that it was made for; None for any."
    )
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


@register_model
def base() -> ParticleDetector:
    """Twelve blocks of 384: for GPUs. Comes without weights; configs/base.yaml makes them."""
    return ParticleDetector(EncoderConfig(dim=384, depth=12, heads=6, mlp_ratio=4.0))


def list_models() -> list[str]:
    """Names of the registered models that come with weights."""
    return sorted(name for name in _REGISTRY if (WEIGHTS / f"{name}.safetensors").is_file())


def _weights(name: str) -> Path:
    """Weight file of a registered name or of a path."""
    if name in list_models():
        return WEIGHTS / f"{name}.safetensors"
    if name in _REGISTRY:
        raise WeightsError(
            f"the model '{name}' comes without weights",
            f"make them, see configs/{name}.yaml, and pass their .safetensors file",
        )
    weights = Path(name)
    if weights.suffix != ".safetensors":
        raise WeightsError(
            f"there is no model '{name}'",
            f"choose one of {', '.join(list_models())}, or pass a .safetensors file",
        )
    return weights


def diameter_remark(card: ModelCard, diameter: float) -> str:
    """Words for a user who picks at another diameter than the model was made for, else none.

    Parameters
    ----------
    card : ModelCard
    diameter : float
        Å.
    """
    if card.diameter is None or abs(diameter / card.diameter - 1) <= _SAME:
        return ""
    return (
        f"the model {card.name} was trained on particles of {card.diameter:g} Å, and these are "
        f"picked at {diameter:g} Å: a particle looks another size to it then; give it the same "
        "diameter, or train it again"
    )


def model_card(name: str) -> ModelCard:
    """Card of a shipped model or of a model file.

    Raises
    ------
    WeightsError
        If there is no such model, or its card is missing, damaged or of another version.
    """
    return read_card(_weights(name), ModelCard, "model", FORMAT)


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
                f"there is no model '{name}'", f"choose one of {', '.join(sorted(_REGISTRY))}"
            )
        return _REGISTRY[name]().eval()
    card = model_card(name)
    weights = _weights(name)
    data = read_weights(weights, card.sha256, "model")
    if card.architecture not in _REGISTRY:
        raise WeightsError(
            f"the model needs '{card.architecture}', which this cryomae does not have",
            "update cryomae",
            weights,
        )
    model = _REGISTRY[card.architecture]()
    try:
        stored = load(data)
        if any(key.startswith("correction.") for key in stored):
            model.correction = Correction()
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
        k: v.to(torch.float16 if v.ndim > 1 else v.dtype) for k, v in model.state_dict().items()
    }
    size = {"parameters": sum(p.numel() for p in model.parameters())}
    return write_pair(path, state, ModelCard, size | card)
