"""A simulated set on disk: micrographs, truth in STAR, parameters in YAML.

::

    SET/
      micrographs/NAME.mrc    electrons per pixel, float32, pixel size in the header
      parameters/NAME.yaml    all that was drawn for it, written last: a finished micrograph
      micrographs.star        all micrographs with their defocus, as RELION's CTF jobs write
      particles.star          truth: whole particles, with pose and defocus, for RELION too
      contaminants.star       circles: carbon, ice, ..., and particles cut by the border
      simulation.yaml         settings, diameter and pixel size
      overview.png            the first micrographs with their truth

Coordinates are pixels of the file, counted from 0, x the column and y the row of the array.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pandas as pd
import starfile
import yaml
from numpy.typing import NDArray

from cryomae.atomic import atomic_path, write_text
from cryomae.errors import InputError
from cryomae.simulate.micrograph import SimulatedMicrograph
from cryomae.simulate.settings import SimulationSettings

_LABEL = "cryomae simulate"
_PARTICLES = {
    "x": "rlnCoordinateX",
    "y": "rlnCoordinateY",
    "rot": "rlnAngleRot",
    "tilt": "rlnAngleTilt",
    "psi": "rlnAnglePsi",
    "defocus_u": "rlnDefocusU",
    "defocus_v": "rlnDefocusV",
    "defocus_angle": "rlnDefocusAngle",
    "phase_shift": "rlnPhaseShift",
    "overlap": "cryomaeOverlap",
}


def micrograph_name(settings: SimulationSettings, index: int) -> str:
    """Name of a micrograph, without folder and suffix."""
    digits = max(4, len(str(settings.micrographs)))
    return f"{settings.name}_{index + 1:0{digits}d}"


def write_micrograph(
    folder: Path, name: str, made: SimulatedMicrograph, settings: SimulationSettings
) -> dict[str, Any]:
    """Write the image, then its parameters and truth; give the latter."""
    with atomic_path(folder / "micrographs" / f"{name}.mrc") as temporary:
        _write_mrc(temporary, made.image, settings.pixel_size)
    record = _record(made, settings)
    text = yaml.dump(record, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=None)
    write_text(folder / "parameters" / f"{name}.yaml", text)
    return record


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """What `write_micrograph` gave, or None if the micrograph is not finished."""
    path = folder / "parameters" / f"{name}.yaml"
    if not (folder / "micrographs" / f"{name}.mrc").is_file():
        return None
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except FileNotFoundError:
        return None
    except yaml.YAMLError as error:
        raise InputError("is damaged", "delete it: it is made again", path) from error


def write_tables(
    folder: Path, settings: SimulationSettings, records: Iterable[tuple[str, dict[str, Any]]]
) -> None:
    """Write the STAR files of a whole set.

    Parameters
    ----------
    folder : Path
    settings : SimulationSettings
    records : iterable of (str, dict)
        Names and records of finished micrographs, in order.
    """
    rows: dict[str, list[pd.DataFrame]] = {"micrographs": [], "particles": [], "contaminants": []}
    for name, record in records:
        path = f"micrographs/{name}.mrc"
        ctf = record["ctf"]
        rows["micrographs"].append(
            pd.DataFrame([{"rlnMicrographName": path, "rlnOpticsGroup": 1} | _defocus(ctf)])
        )
        truth = pd.DataFrame({_PARTICLES[k]: v for k, v in record["particles"].items()})
        truth.insert(0, "rlnMicrographName", path)
        rows["particles"].append(truth.assign(rlnOpticsGroup=1))
        regions = record["contaminants"]
        rows["contaminants"].append(
            pd.DataFrame(
                {
                    "rlnMicrographName": [path] * len(regions),
                    "rlnCoordinateX": [r["x"] for r in regions],
                    "rlnCoordinateY": [r["y"] for r in regions],
                    "cryomaeKind": [r["kind"] for r in regions],
                    "cryomaeRadius": [r["radius"] for r in regions],
                    "cryomaeOutside": [int(r["outside"]) for r in regions],
                }
            )
        )
    optics = {"optics": _optics(settings)}
    tables = {key: pd.concat(parts, ignore_index=True) for key, parts in rows.items()}
    _write_star(folder / "micrographs.star", optics | {"micrographs": tables["micrographs"]})
    _write_star(folder / "particles.star", optics | {"particles": tables["particles"]})
    _write_star(folder / "contaminants.star", {"contaminants": tables["contaminants"]})


def settings_text(settings: SimulationSettings, diameter: float) -> str:
    """Content of simulation.yaml."""
    content = {"diameter": round(diameter, 2)} | settings.model_dump(mode="json")
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _record(made: SimulatedMicrograph, settings: SimulationSettings) -> dict[str, Any]:
    poses = made.particles
    euler = poses.euler()
    ctf = asdict(made.optics)
    middle = _defocus(ctf)
    same = np.ones(len(poses))
    columns = {
        "x": poses.xy[:, 0], "y": poses.xy[:, 1],
        "rot": euler[:, 0], "tilt": euler[:, 1], "psi": euler[:, 2],
        "defocus_u": middle["rlnDefocusU"] + poses.deeper,
        "defocus_v": middle["rlnDefocusV"] + poses.deeper,
        "defocus_angle": middle["rlnDefocusAngle"] * same,
        "phase_shift": middle["rlnPhaseShift"] * same, "overlap": made.overlap,
    }  # fmt: skip
    return {
        "ctf": {k: round(v, 5) for k, v in ctf.items()},
        "ice_thickness": round(made.thickness, 2),
        "snr": None if np.isnan(made.snr) else round(made.snr, 6),
        "particle_contrast": round(made.contrast, 6),
        "electrons_per_pixel": round(float(made.image.mean()), 4),
        "size": list(settings.size),
        "contaminants": [
            {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(r).items()}
            for r in made.regions
        ],
        "particles": {k: np.round(v, 3).tolist() for k, v in columns.items()},
    }


def _defocus(ctf: dict[str, float]) -> dict[str, float]:
    """What RELION says of the defocus at the middle of the ice."""
    return {
        "rlnDefocusU": 1e4 * (ctf["defocus"] + ctf["astigmatism"]),
        "rlnDefocusV": 1e4 * (ctf["defocus"] - ctf["astigmatism"]),
        "rlnDefocusAngle": ctf["astigmatism_angle"],
        "rlnPhaseShift": ctf["phase_shift"],
    }


def _optics(settings: SimulationSettings) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "rlnOpticsGroupName": "opticsGroup1",
                "rlnOpticsGroup": 1,
                "rlnMicrographOriginalPixelSize": settings.pixel_size,
                "rlnMicrographPixelSize": settings.pixel_size,
                "rlnVoltage": settings.optics.voltage,
                "rlnSphericalAberration": settings.optics.spherical_aberration,
                "rlnAmplitudeContrast": settings.optics.amplitude_contrast,
            }
        ]
    )


def _write_star(path: Path, blocks: dict[str, pd.DataFrame]) -> None:
    text = starfile.to_string(blocks, float_format="%.4f")
    # The first line holds the time: without it, same settings give the same bytes.
    write_text(path, text.split("\n", 1)[1])


def _write_mrc(path: Path, image: NDArray[np.float32], pixel_size: float) -> None:
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(image)
        mrc.voxel_size = pixel_size
        # mrcfile's own label holds the time: without it, same settings give the same bytes.
        mrc.header.label[0] = _LABEL
        mrc.header.nlabl = 1
