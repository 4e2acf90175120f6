"""Everything that decides a simulated data set, and how it is read from YAML."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from cryomae.errors import InputError


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("give the lower bound first")
    return pair


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""Lower and upper bound; drawn evenly between them, anew for every micrograph."""

Share = Annotated[float, Field(ge=0, le=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ParticleSettings(_Settings):
    """What the particles are and how they lie.

    Attributes
    ----------
    source : str
        ``procedural``, or the path of an atomic model (.pdb, .cif, .ent, also .gz) or of
        a density map (.mrc, .map). ``~`` and environment variables are filled in; a
        relative path starts from the folder of the YAML file.
    kind : str, optional
        Kind of procedural particle; by default any.
    diameter : float, optional
        Longest dimension in Å. A procedural particle or a map is scaled to it (180 by
        default for a procedural one); an atomic model has its own.
    count : (float, float)
        Particles that are tried in a micrograph, drawn evenly between the two. Fewer
        find room where the micrograph is full.
    spacing : float
        Least distance between two centres in diameters; below 1 particles may overlap.
    views : int
        Number of preferred orientations; 0 for all orientations alike.
    view_spread : float
        Spread round a preferred orientation in degrees.
    """

    source: str = "procedural"
    kind: (
        Literal["domains", "chain", "shell", "tube", "membrane", "cyclic", "dihedral", "cubic"]
        | None
    ) = None
    diameter: float | None = Field(default=None, gt=10, lt=5000)
    count: Range = (60, 200)
    spacing: float = Field(default=0.9, ge=0.1, le=10)
    views: int = Field(default=0, ge=0)
    view_spread: float = Field(default=15, gt=0, le=90)


class OpticsSettings(_Settings):
    """Microscope.

    Attributes
    ----------
    voltage : float
        kV.
    spherical_aberration : float
        mm.
    amplitude_contrast : float
        Share of amplitude contrast.
    defocus : (float, float)
        Underfocus in µm.
    astigmatism : (float, float)
        Half the difference of the two defoci, in µm.
    phase_shift : (float, float)
        Of a phase plate, in degrees; 0 without one.
    b_factor : (float, float)
        Envelope ``exp(-B s² / 4)`` on the particles and the ice, in Å²: partial
        coherence, motion and radiation damage together.
    """

    voltage: float = Field(default=300, ge=60, le=1000)
    spherical_aberration: float = Field(default=2.7, ge=0, le=10)
    amplitude_contrast: Share = 0.07
    defocus: Range = (0.8, 2.6)
    astigmatism: Range = (0.0, 0.05)
    phase_shift: Range = (0.0, 0.0)
    b_factor: Range = (60, 180)


class IceSettings(_Settings):
    """The layer of vitreous ice.

    Attributes
    ----------
    thickness : (float, float)
        Mean thickness in Å; particles are spread over its depth.
    gradient : (float, float)
        Relative difference of thickness between the two ends of the micrograph.
    slab : float
        Particles of one slab of this thickness, in Å, share one defocus, which is the
        one that the truth records.
    """

    thickness: Range = (250, 600)
    gradient: Range = (0.0, 0.25)
    slab: float = Field(default=100, gt=0)


class DetectorSettings(_Settings):
    """Camera.

    Attributes
    ----------
    dose : float
        Electrons per Å² that fall on the specimen.
    mtf : float
        Modulation transfer at the Nyquist frequency; it falls exponentially from 1.
    stripes : Share
        Chance of a gain reference that does not fit: stripes and a step between the
        halves of the sensor.
    """

    dose: float = Field(default=40, gt=0.1, le=10000)
    mtf: float = Field(default=0.5, gt=0, le=1)
    stripes: Share = 0.0


class ContaminantSettings(_Settings):
    """What ruins picks.

    ``carbon``, ``crystal`` and ``empty`` are chances that a micrograph has one; the others
    are mean numbers in a micrograph (Poisson).

    Attributes
    ----------
    carbon : Share
        Film round a hole, its edge somewhere in the micrograph.
    crystal : Share
        A region of crystalline ice.
    empty : Share
        No particle at all.
    ice : float
        Ice crystals that fell onto the film: faceted, dark.
    ethane : float
        Round, smooth blobs.
    gold : float
        Groups of gold beads.
    aggregate : float
        Heaps of particles.
    broken : float
        Pieces of particles.
    """

    carbon: Share = 0.0
    crystal: Share = 0.0
    empty: Share = 0.0
    ice: float = Field(default=0.0, ge=0, le=200)
    ethane: float = Field(default=0.0, ge=0, le=200)
    gold: float = Field(default=0.0, ge=0, le=200)
    aggregate: float = Field(default=0.0, ge=0, le=50)
    broken: float = Field(default=0.0, ge=0, le=1000)


class SimulationSettings(_Settings):
    """One set of micrographs of one particle.

    Attributes
    ----------
    name : str
        Name of the set and, with a number, of its micrographs.
    seed : int
        Same seed and settings, same bytes, however many processes work.
    micrographs : int
        How many.
    size : (int, int)
        Rows and columns in pixels; one number for a square.
    pixel_size : float
        Å per pixel.
    snr : float, optional
        Signal-to-noise ratio that every micrograph gets, by scaling the contrast of the
        particles; by default it follows from the physics. It is the variance of the
        noise-free image of the particles inside their discs over the variance of the
        noise (solvent and shot noise) at the pixel size of the file, before the detector.
    particle, optics, ice, detector, contaminants
        See each class.
    """

    name: str = Field(default="simulated", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")
    seed: int = Field(default=0, ge=0)
    micrographs: int = Field(default=4, ge=1, le=1_000_000)
    size: tuple[int, int] = (2048, 2048)
    pixel_size: float = Field(default=3.0, ge=0.2, le=30)
    snr: float | None = Field(default=None, gt=0, le=1000)
    particle: ParticleSettings = ParticleSettings()
    optics: OpticsSettings = OpticsSettings()
    ice: IceSettings = IceSettings()
    detector: DetectorSettings = DetectorSettings()
    contaminants: ContaminantSettings = ContaminantSettings()

    @model_validator(mode="before")
    @classmethod
    def _square(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("size"), int):
            data = data | {"size": (data["size"], data["size"])}
        return data

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if min(self.size) < 128 or max(self.size) > 16384:
            raise ValueError("size must be from 128 to 16384 pixels")
        return self


def load_settings(
    path: str | Path, overrides: dict[str, Any] | None = None
) -> list[SimulationSettings]:
    """Read a YAML file of one set, or of a suite: ``defaults`` and a list of ``sets``.

    Parameters
    ----------
    path : str or Path
        YAML file.
    overrides : dict, optional
        Settings that replace those of every set, nested as in the file.

    Returns
    -------
    list of SimulationSettings
        Paths of particles made absolute.

    Raises
    ------
    InputError
        If the file cannot be read, or a setting is unknown or out of its range.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", "check the name", path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"is not YAML: {error}", "correct the file", path) from error
    if not isinstance(content, dict):
        raise InputError("holds no settings", "see `cryomae simulate --help`", path)
    if "sets" in content:
        unknown = set(content) - {"sets", "defaults"}
        if unknown or not isinstance(content["sets"], list) or not content["sets"]:
            raise InputError(
                "a suite has a list `sets` and, if wanted, `defaults`, and nothing else",
                "correct the file", path,
            )  # fmt: skip
        parts = [merge(content.get("defaults") or {}, part or {}) for part in content["sets"]]
    else:
        parts = [content]
    made = [make_settings(merge(part, overrides or {}), path) for part in parts]
    names = [one.name for one in made]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two sets are called {twice[0]}", "give each set its own name", path)
    return made


def make_settings(content: dict[str, Any], path: Path | None = None) -> SimulationSettings:
    """Check settings and make the particle's path absolute.

    Parameters
    ----------
    content : dict
        Settings, nested as in YAML.
    path : Path, optional
        File they came from: named in errors, and its folder is where paths start.
    """
    try:
        settings = SimulationSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "size")
        name = content.get("name", "")
        raise InputError(
            f"{f'set {name}: ' if name else ''}{where or 'settings'}: {first['msg']}",
            "correct that setting; `cryomae simulate --help` says where all are explained", path,
        ) from error  # fmt: skip
    source = settings.particle.source
    if source == "procedural":
        return settings
    filled = os.path.expanduser(os.path.expandvars(source))
    missing = re.search(r"\$\{?(\w+)", filled)
    if missing:
        raise InputError(
            f"the particle {source} needs the environment variable {missing[1]}",
            f"set it: export {missing[1]}=/folder", path,
        )  # fmt: skip
    base = path.parent if path is not None else Path.cwd()
    particle = settings.particle.model_copy(update={"source": str((base / filled).resolve())})
    return settings.model_copy(update={"particle": particle})


def merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Lay one nested dictionary over another."""
    out = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merge(out[key], value) if both else value
    return out
