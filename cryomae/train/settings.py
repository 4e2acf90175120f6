"""Settings of a pretraining run: validated at the boundary, saved beside the outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cryomae import __version__
from cryomae.atomic import write_text
from cryomae.errors import InputError

SETTINGS = "pretrain.yaml"

FRESH_RATE, GOING_ON_RATE = 1.5e-3, 5e-4
"""Peak learning rates from random weights and from trained ones, which should not be lost in
the first steps: ours."""


class PretrainSettings(BaseModel):
    """Everything that the result of pretraining depends on; lengths that a user gives in Å."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: list[str] = Field(default=[], description="Real micrographs, as named.")
    diameter: float | None = Field(
        default=None, gt=0, lt=100_000, description="Particle diameter in Å, of the micrographs."
    )
    pixel_size: float | None = Field(
        default=None, gt=0, description="Å per pixel; default from STAR file or header."
    )
    shards: list[str] = Field(
        default=[],
        exclude=True,  # they may be copied elsewhere: what is in them counts
        description="Folders of `cryomae pack`, in place of micrographs.",
    )
    shards_sha256: str | None = Field(
        default=None, description="Hash of the shards; filled in when they are opened."
    )
    max_micrographs: int = Field(
        default=1000, gt=0, description="Most micrographs to use, evenly spread over the list."
    )
    simulate: int = Field(default=0, ge=0, description="Simulated particles.")
    target: str | None = Field(
        default=None,
        pattern="^(raw|lowpass|clean)$",
        description="What to reconstruct; default clean if all is simulated, else lowpass.",
    )
    mask: float = Field(default=0.75, ge=0.1, le=0.95, description="Share of hidden patches.")
    encoder: str | None = Field(
        default=None,
        description="Encoder to start from, or none; default the shipped one if its patches fit.",
    )
    patch: int | None = Field(
        default=None, description="Side of a patch in working pixels; default that of the encoder."
    )
    steps: int = Field(default=2000, gt=0, description="Updates of the weights.")
    batch: int = Field(default=64, gt=0, description="Windows in an update.")
    rate: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=f"Peak learning rate; default {FRESH_RATE:g}, or {GOING_ON_RATE:g} where an "
        "encoder is given.",
    )
    seed: int = Field(default=1, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _agrees(self) -> PretrainSettings:
        if not (self.inputs or self.simulate or self.shards or self.shards_sha256):
            raise ValueError(
                "there is nothing to learn from: give micrographs, --shards FOLDER or --simulate N"
            )
        if self.shards and (self.inputs or self.simulate):
            raise ValueError(
                "--shards are learnt from alone: pack the micrographs too, leave --simulate out"
            )
        if self.inputs and self.diameter is None:
            raise ValueError("micrographs need --diameter, the particle's in Å")
        if self.target == "clean" and (self.inputs or not self.simulate):
            raise ValueError(
                "the target clean is what lies under the noise, which is known of simulated "
                "micrographs only: use --target lowpass, or --simulate without micrographs"
            )
        if self.patch is not None and self.patch not in (4, 8, 16, 32):
            raise ValueError("--patch is 4, 8, 16 or 32 working pixels")
        return self

    @property
    def what(self) -> str:
        """Target, with its default filled in."""
        return self.target or ("clean" if self.simulate and not self.inputs else "lowpass")

    @property
    def start(self) -> str | None:
        """Encoder to start from, with its default filled in; None for random weights."""
        if self.encoder is None:
            return "default" if self.patch in (None, 8) else None
        return None if self.encoder == "none" else self.encoder

    @property
    def peak_rate(self) -> float:
        """Learning rate, with its default filled in."""
        return self.rate or (FRESH_RATE if self.start is None else GOING_ON_RATE)


def make_settings(content: dict[str, Any]) -> PretrainSettings:
    """Check settings.

    Raises
    ------
    InputError
        That names what is wrong.
    """
    try:
        return PretrainSettings(**content)
    except ValidationError as error:
        first = error.errors()[0]
        name = "--" + str(first["loc"][0]).replace("_", "-") + ": " if first["loc"] else ""
        raise InputError(name + first["msg"].removeprefix("Value error, ")) from error


def keep_settings(path: Path, settings: BaseModel, command: list[str]) -> None:
    """Write settings to the folder of a run, or make sure that they are those of before.

    Raises
    ------
    InputError
        If an earlier run in the folder had others; it names them.
    """
    if path.exists():
        try:
            earlier = yaml.safe_load(path.read_text(encoding="utf-8"))["settings"]
            before = type(settings)(**earlier)
        except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
            raise InputError(
                "this is not the record of such a run",
                "choose another --output, or begin anew with --overwrite",
                path,
            ) from error
        new, old = settings.model_dump(), before.model_dump()
        other = [f"{k} was {_short(old[k])}, now {_short(new[k])}" for k in new if new[k] != old[k]]
        if other:
            raise InputError(
                f"an earlier run in this folder had other settings: {'; '.join(other)}",
                "use the same, choose another --output, or begin anew with --overwrite",
                path,
            )
        return
    content = {"cryomae": __version__, "command": command, "settings": settings.model_dump()}
    write_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 2:
        return f"{value[0]} and {len(value) - 1} more"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
