"""What a session is about; fixed when it begins, and stored in it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cryomae.errors import InputError
from cryomae.io.pixel_size import ALLOWED

DEFAULT_STRATEGY = "badge"
"""What a session asks by: of those compared by ``scripts/benchmark_active.py`` on
configs/active.yaml the one that learns most over all answers, loses least between two trainings
and leaves a sample that precision and recall can be estimated from."""


class SessionSettings(BaseModel):
    """Settings of an active-learning session."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    diameter: float = Field(gt=0, lt=100_000, description="Particle diameter in Å.")
    pixel_size: float | None = Field(
        default=None,
        ge=ALLOWED[0],
        le=ALLOWED[1],
        description="Å per pixel, overriding list and header.",
    )
    model: str = Field(default="default", description="Model that the session starts from.")
    model_sha256: str = Field(description="Hash of that model's weights.")
    seed: int = Field(default=1, ge=0, lt=2**31)
    batch: int = Field(default=10, gt=0, description="Proposals at a time.")
    strategy: str = Field(default=DEFAULT_STRATEGY, description="How proposals are chosen.")


def make_settings(content: dict[str, Any]) -> SessionSettings:
    """Check settings.

    Raises
    ------
    InputError
        That names what is wrong.
    """
    try:
        return SessionSettings(**content)
    except ValidationError as error:
        first = error.errors()[0]
        name = "--" + str(first["loc"][0]).replace("_", "-") + ": " if first["loc"] else ""
        raise InputError(name + first["msg"]) from error
