"""Cut the crops of a data set, one micrograph at a time, and write everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cryomae.atomic import atomic_folder
from cryomae.batch.tables import project_path
from cryomae.crops.boxes import cut, normalise, place, scale
from cryomae.crops.gather import Inputs, Options, gather
from cryomae.crops.groups import FILE, Embed, find_groups, make_embedder, read_groups, write_groups
from cryomae.crops.particles import Optics, read_optics, write_particles
from cryomae.crops.pictures import draw_groups, draw_montage
from cryomae.crops.stack import StackWriter, open_stack
from cryomae.errors import CryomaeError
from cryomae.formats.star import write_together
from cryomae.io import read_micrograph
from cryomae.micrograph import Micrograph
from cryomae.picks import Picks

_BLOCK = 2**24  # pixels of boxes that are in memory at a time


@dataclass(frozen=True)
class Failure:
    """A micrograph that gave no crops."""

    name: str
    cause: str
    remedy: str


@dataclass(frozen=True)
class Crops:
    """What was cut and where it is.

    Attributes
    ----------
    picks : DataFrame
        ``micrograph``, ``x``, ``y``, ``score`` of each box, in the stack's order.
    groups : DataFrame
        ``group``, ``count``, ``score`` (mean) of the groups; empty without groups.
    inputs : Inputs
    dropped : int
        Picks left out with their groups.
    failed : list of Failure
    notes : list of str
        What was assumed or changed.
    files : dict of str to Path
        Files written, by what they are.
    """

    picks: pd.DataFrame
    groups: pd.DataFrame
    inputs: Inputs
    dropped: int
    failed: list[Failure]
    notes: list[str]
    files: dict[str, Path]


@dataclass
class _Pass:
    """What going through the micrographs gathers."""

    rows: list[int] = field(default_factory=list)
    centres: list[NDArray[np.int64]] = field(default_factory=list)
    latents: list[NDArray[np.float32]] = field(default_factory=list)
    sizes: dict[str, float] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
    over_edge: int = 0
    moved: int = 0


def make_crops(
    path: Path,
    output: Path,
    options: Options,
    *,
    model: str = "default",
    device: str = "auto",
    embed: Embed | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Crops:
    """Cut out the particles of picks and write stack, STAR file and pictures.

    Parameters
    ----------
    path : Path
        Picks: a file, a list, a folder of files, or a folder of ``cryomae pick``.
    output : Path
        Folder for everything that is written.
    options : Options
    model, device : str
        What describes crops for the groups.
    embed : callable, optional
        Used instead of the model.
    on_progress : callable
        Told micrographs done and in all.

    Returns
    -------
    Crops

    Raises
    ------
    InputError
        If picks, micrographs and options do not fit together.
    CryomaeError
        If no micrograph gives a box.
    """
    inputs = gather(path, options)
    optics = read_optics(options.micrographs)
    picks = inputs.picks
    earlier: NDArray[np.int64] | None = None
    if options.drop:
        earlier = read_groups(output / FILE, picks, options.drop)
        picks = picks[~np.isin(earlier, options.drop)]
    if options.drop or not options.groups:
        embed = None
    elif embed is None:
        each = len(picks) / picks["micrograph"].nunique()
        embed = make_embedder(model, device, inputs.diameter, each)
    with atomic_folder(output) as folder:
        return _make(picks, earlier, inputs, options, embed, optics, folder, output, on_progress)


def _make(
    picks: pd.DataFrame,
    earlier: NDArray[np.int64] | None,
    inputs: Inputs,
    options: Options,
    embed: Embed | None,
    optics: Optics,
    folder: Path,
    output: Path,
    on_progress: Callable[[int, int], None],
) -> Crops:
    """Write everything to a temporary folder, whose files will lie in ``output``."""
    stack, files = folder / "particles.mrcs", {"stack": "particles.mrcs", "star": "particles.star"}
    scaling = inputs.box / inputs.side
    with open_stack(stack, inputs.side, inputs.pixel_size * scaling) as writer:
        done = _cut_all(picks, inputs, options, embed, writer, on_progress)
    particles = picks.loc[done.rows].reset_index(drop=True)
    particles[["x", "y"]] = np.concatenate(done.centres)
    write_particles(
        folder / files["star"],
        project_path(output / files["stack"]),
        particles,
        done.sizes,
        optics,
        scaling=scaling,
        side=inputs.side,
    )
    table = pd.DataFrame(columns=["group", "count", "score"])
    look = _look(inputs, options.seed)
    scores = particles["score"].to_numpy(dtype=np.float64)
    if earlier is not None:
        files["kept picks"] = "picks_kept.star"
        write_together(folder / files["kept picks"], _by_micrograph(particles, inputs.diameter))
    elif embed is not None:
        found = find_groups(np.concatenate(done.latents), scores, options.groups, options.seed)
        groups = np.zeros(len(inputs.picks), dtype=np.int64)
        groups[done.rows] = found
        files["groups"], files["group table"] = "groups.png", FILE
        write_groups(folder / FILE, inputs.picks, groups)
        table = _summary(particles["score"], found)
        draw_groups(folder / files["groups"], stack, found, table, **look)
    files["montage"] = "montage.png"
    draw_montage(folder / files["montage"], stack, scores, **look)
    notes = [*inputs.notes, *_remarks(done), *filter(None, [optics.assumed])]
    dropped = len(inputs.picks) - len(picks)
    written = {what: output / name for what, name in files.items()}
    return Crops(particles, table, inputs, dropped, done.failed, notes, written)


def _look(inputs: Inputs, seed: int) -> dict[str, Any]:
    """What pictures need to know of the boxes."""
    pixel_size = inputs.pixel_size * inputs.box / inputs.side
    return {"diameter": inputs.diameter, "pixel_size": pixel_size, "seed": seed}


def _cut_all(
    picks: pd.DataFrame,
    inputs: Inputs,
    options: Options,
    embed: Embed | None,
    stack: StackWriter,
    on_progress: Callable[[int, int], None],
) -> _Pass:
    """Go through the micrographs; what fails is named and left out."""
    done = _Pass()
    done.failed = [Failure(e.path or "", e.cause, e.remedy) for e in inputs.failed]
    parts = list(picks.groupby("micrograph", sort=False))
    on_progress(0, len(parts))
    for number, (name, part) in enumerate(parts, start=1):
        xy = part[["x", "y"]].to_numpy(dtype=np.float64)
        try:
            micrograph = read_micrograph(inputs.refs[str(name)], inputs.fixed_size)
            latents = None if embed is None else embed(micrograph, xy)
        except CryomaeError as error:
            done.failed.append(Failure(str(name), error.cause, error.remedy))
        else:
            if latents is not None:
                done.latents.append(latents)
            done.rows += [int(row) for row in part.index]
            done.sizes[str(name)] = micrograph.pixel_size
            _cut_one(micrograph, xy, inputs, options, stack, done)
        on_progress(number, len(parts))
    if not done.rows:
        first = done.failed[0]
        more = f"; {len(done.failed) - 1:,} more failed" if len(done.failed) > 1 else ""
        raise CryomaeError(f"{first.cause}{more}", first.remedy, first.name)
    return done


def _cut_one(
    micrograph: Micrograph,
    xy: NDArray[np.float64],
    inputs: Inputs,
    options: Options,
    stack: StackWriter,
    done: _Pass,
) -> None:
    placed = place(xy, micrograph.shape, inputs.box)
    done.over_edge += int(placed.over_edge.sum())
    done.moved += int(placed.moved.sum())
    done.centres.append(placed.centres)
    step = max(1, _BLOCK // inputs.box**2)
    for start in range(0, len(xy), step):
        boxes = cut(micrograph.pixels, placed.centres[start : start + step], inputs.box)
        stack.append(normalise(scale(boxes, inputs.side), invert=options.invert))


def _summary(scores: pd.Series, groups: NDArray[np.int64]) -> pd.DataFrame:
    by = scores.groupby(groups)
    return pd.DataFrame({"group": sorted(set(groups)), "count": by.size(), "score": by.mean()})


def _by_micrograph(particles: pd.DataFrame, diameter: float) -> list[tuple[str, Picks]]:
    return [
        (str(name), Picks.from_arrays(str(name), part[["x", "y"]], part["score"], diameter))
        for name, part in particles.groupby("micrograph", sort=False)
    ]


def _remarks(done: _Pass) -> list[str]:
    def boxes(count: int, one: str, many: str) -> list[str]:
        return [f"{count:,} {one if count == 1 else many}"] if count else []

    return [
        *boxes(
            done.over_edge,
            "box reaches over the edge: there the outermost pixels are repeated, as in RELION.",
            "boxes reach over the edge: there the outermost pixels are repeated, as in RELION.",
        ),
        *boxes(
            done.moved,
            "pick lay so far outside that its box was empty; it was moved to the edge.",
            "picks lay so far outside that their boxes were empty; they were moved to the edge.",
        ),
    ]
