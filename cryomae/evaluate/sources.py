"""Picks and truth from what a user names: files, lists, folders, runs, simulated sets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from cryomae.batch.layout import Layout
from cryomae.batch.record import read_config
from cryomae.errors import FormatError, InputError
from cryomae.evaluate.coordinates import join
from cryomae.evaluate.truth import Truth, no_regions
from cryomae.formats.collect import Coordinates, one_pixel_size, read_all, read_coordinates
from cryomae.formats.star import X, Y
from cryomae.io.star_list import read_star_list
from cryomae.names import stem
from cryomae.picks import Picks

_KIND, _RADIUS, _OUTSIDE = "cryomaeKind", "cryomaeRadius", "cryomaeOutside"
_OVERLAP = "cryomaeOverlap"
_DEFOCUS = ("rlnDefocusU", "rlnDefocusV")


@dataclass(frozen=True)
class PickSource:
    """Picks as they stand in files.

    Attributes
    ----------
    path : Path
        What the user named.
    files : list of Coordinates
        Its coordinate files.
    threshold, diameter, pixel_size : float or None
        Threshold, diameter in Å and Å per pixel of the run that made them.
    asked : tuple of str, or None
        All micrographs the run was asked to pick, where a record of that is kept.
    notes : tuple of str
        What was read, in words.
    """

    path: Path
    files: list[Coordinates]
    threshold: float | None = None
    diameter: float | None = None
    pixel_size: float | None = None
    asked: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TruthSource:
    """Truth as it stands in files.

    Attributes
    ----------
    path : Path
        File with the particles, or folder of such files.
    files : list of Coordinates
        Its coordinate files.
    micrographs_star : Path or None
        List of all labelled micrographs, those without particles too.
    contaminants : Path or None
        Table of contaminants.
    diameter, pixel_size : float or None
        Å and Å per pixel of a simulated set.
    notes : tuple of str
        What was found beside the particles, in words.
    """

    path: Path
    files: list[Coordinates]
    micrographs_star: Path | None = None
    contaminants: Path | None = None
    diameter: float | None = None
    pixel_size: float | None = None
    notes: tuple[str, ...] = field(default=())


def read_pick_source(path: Path) -> PickSource:
    """Read picks: a file, a list, a folder of files, or a folder of ``cryomae pick``."""
    config = read_config(path / "config.yaml")
    if "fingerprint" in config:
        return _read_run(path, config)
    files = read_all(path)
    size = next((file.pixel_size for file in files if file.pixel_size is not None), None)
    return PickSource(path, files, pixel_size=size)


def _read_run(folder: Path, config: dict[str, Any]) -> PickSource:
    threshold = (config.get("threshold") or {}).get("value")
    table = folder / "summary.csv"
    if threshold is None or not table.is_file():
        raise InputError(
            "this run of cryomae pick has not come to its end",
            "repeat its command, which goes on where it stopped, then evaluate",
            folder,
        )
    rows = pd.read_csv(table, dtype={"micrograph": str}, keep_default_na=False)
    rows = rows[rows["status"] != "not reached"]
    done = rows[rows["picks_file"] != ""]["micrograph"].tolist()
    layout = Layout(folder, done, config.get("common_folder"))
    files = [read_coordinates(layout.candidates(name), name) for name in done]
    settings, notes = config.get("settings") or {}, []
    most = settings.get("max_picks")
    if most is not None:
        files = [_best(file, most) for file in files]
        notes.append(f"The run kept at most {most:,} picks a micrograph, and so does this.")
    failed = int((rows["status"] == "failed").sum())
    if failed:
        notes.append(f"{failed:,} micrographs failed in the run: particles there count as missed.")
    sizes = [float(size) for size in rows["pixel_size_A"] if size != ""]
    return PickSource(
        folder,
        files,
        float(threshold),
        settings.get("diameter"),
        one_pixel_size(sizes, table) if sizes else None,
        tuple(rows["micrograph"]),
        ("The folder of a run: figures over thresholds use all its candidates.", *notes),
    )


def _best(file: Coordinates, count: int) -> Coordinates:
    order = file.table["score"].sort_values(ascending=False, kind="stable").index[:count]
    return replace(file, table=file.table.loc[order])


def read_truth_source(path: Path, contaminants: Path | None = None) -> TruthSource:
    """Read true particles, and what a simulated set keeps beside them.

    Parameters
    ----------
    path : Path
        Coordinate file or folder of such, or a simulated set or its ``particles.star``.
    contaminants : Path, optional
        Table of contaminants; default that of the set.
    """
    file = path / "particles.star" if (path / "particles.star").is_file() else path
    files = read_all(file)
    beside: dict[str, Path] = {}
    if file.name == "particles.star":
        names = ("contaminants.star", "micrographs.star", "simulation.yaml")
        beside = {name: file.with_name(name) for name in names if file.with_name(name).is_file()}
    record = beside.get("simulation.yaml")
    if record is None:  # without it, the list may hold micrographs that nobody labelled
        beside.pop("micrographs.star", None)
    found = [name for name in beside if not (contaminants and name == "contaminants.star")]
    facts = _read_record(record) if record else {}
    return TruthSource(
        file,
        files,
        beside.get("micrographs.star"),
        contaminants or beside.get("contaminants.star"),
        facts.get("diameter"),
        facts.get("pixel_size"),
        (f"Found beside {file}: {', '.join(found)}.",) if found else (),
    )


def read_truth(path: Path) -> Truth:
    """Truth of a file or folder, with all that lies beside it; names are taken as they are."""
    source = read_truth_source(path)
    return as_truth(source, join(source.files))


def _read_record(path: Path) -> dict[str, float]:
    """Diameter in Å and Å per pixel of a simulated set."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {key: float(content[key]) for key in ("diameter", "pixel_size") if key in content}
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        cause = f"cannot be read: {str(error).splitlines()[0]}"
        raise FormatError(cause, "simulate the set again, or correct the file", path) from error


def as_picks(table: pd.DataFrame, scale: float) -> Picks:
    """Picks of a joined table, their coordinates multiplied by ``scale``."""
    columns = table[["micrograph", "x", "y", "score"]].assign(
        x=table["x"] * scale, y=table["y"] * scale, diameter=float("nan"), provenance=""
    )
    return Picks(columns)


def as_truth(source: TruthSource, table: pd.DataFrame) -> Truth:
    """Truth of a joined table and of the files beside it."""
    particles = table[["micrograph", "x", "y"]].copy()
    if _OVERLAP in table:
        particles["overlap"] = pd.to_numeric(table[_OVERLAP], errors="coerce")
    present = [column for column in _DEFOCUS if column in table]
    if present:
        values = table[present].apply(pd.to_numeric, errors="coerce")
        particles["defocus"] = values.mean(axis=1) / 1e4
    named = dict.fromkeys(particles["micrograph"])
    if source.micrographs_star is not None:
        named |= dict.fromkeys(stem(name) for name, _ in read_star_list(source.micrographs_star))
    regions = no_regions()
    if source.contaminants is not None:
        regions = read_regions(source.contaminants)
    return Truth(particles, tuple(named), regions)


def read_regions(path: Path) -> pd.DataFrame:
    """Read a table of contaminants, as `Truth.regions`."""
    file = read_coordinates(path)
    table = join([file])
    missing = [column for column in (_KIND, _RADIUS) if column not in table]
    if missing or not file.named:
        lacks = ", ".join([*missing, *([] if file.named else ["rlnMicrographName"])])
        raise FormatError(
            f"lacks the column {lacks}",
            f"contaminants need rlnMicrographName, {X}, {Y}, {_KIND} and {_RADIUS} (px)",
            path,
        )
    radius = pd.to_numeric(table[_RADIUS], errors="coerce")
    if not (radius > 0).all():
        raise FormatError(f"{_RADIUS} is not a positive number everywhere", "correct it", path)
    outside = table[_OUTSIDE] if _OUTSIDE in table else pd.Series(0, index=table.index)
    return pd.DataFrame(
        {
            "micrograph": table["micrograph"],
            "x": table["x"],
            "y": table["y"],
            "radius": radius,
            "kind": table[_KIND].astype(str),
            "outside": pd.to_numeric(outside, errors="coerce").fillna(0) > 0,
        }
    )
