"""The masked autoencoder, the detector built on it, and the registry of weights."""

from cryomae.model.detector import ParticleDetector
from cryomae.model.mae import Encoder, EncoderConfig, MaskedAutoencoder
from cryomae.model.registry import (
    ModelCard,
    create_model,
    list_models,
    model_card,
    register_model,
    save_model,
)
from cryomae.sizes import STRIDE

__all__ = [
    "STRIDE",
    "Encoder",
    "EncoderConfig",
    "MaskedAutoencoder",
    "ModelCard",
    "ParticleDetector",
    "create_model",
    "list_models",
    "model_card",
    "register_model",
    "save_model",
]
