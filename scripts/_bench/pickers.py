"""The pickers by name: how each is run, and what it is told of the truth."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from _bench import programs
from _bench.job import Job, best_on
from _bench.measure import Measured, measure
from _bench.ours import environment, run_pick, run_train
from _bench.outcome import Outcome, outcome
from cryomae.evaluate.coordinates import join
from cryomae.evaluate.sources import as_picks, read_pick_source
from cryomae.formats.star import read_picks, write_picks
from cryomae.picks import Picks

SIGMAS = ["0.15", "0.18", "0.2", "0.222", "0.25", "0.28", "0.32", "0.354", "0.18,0.22,0.26"]
"""Of the LoG, in diameters; several mean the largest response of these scales."""

BOXES = ["1", "1.25", "1.5", "1.75", "2"]
"""Side of the template, in diameters."""


@dataclass(frozen=True)
class Picker:
    """One row of the table.

    Attributes
    ----------
    title : str
        For people.
    told : str
        What it learns from the truth.
    run : callable
        ``run(job) -> Outcome``.
    learns : bool
        Whether it is run anew for each seed, with the exemplars of that seed.
    recipe, depends
        What its result depends on beside the set, to know when a kept one is stale: values,
        and names of `Options`.
    """

    title: str
    told: str
    run: Callable[[Job], Outcome]
    learns: bool = False
    recipe: dict[str, Any] = field(default_factory=dict)
    depends: tuple[str, ...] = ()


def cryomae(job: Job) -> Outcome:
    """The shipped model at the automatic threshold of the set."""
    return _pick(job, job.options.model, [])


def cryomae_trained(job: Job) -> Outcome:
    """The shipped model trained on the exemplars, at the automatic threshold of the set."""
    exemplars, image = job.learned_from
    clicked = job.folder / "exemplars.star"
    clicked.parent.mkdir(parents=True, exist_ok=True)
    write_picks(clicked, exemplars.picks, with_names=True)
    options = ["--model", job.options.model, "--pixel-size", f"{job.data.pixel_size:g}"]
    training, model = run_train(
        image, clicked, job.folder / "train", job.data.diameter, options=options
    )
    helped = yaml.safe_load((job.folder / "train" / "train.yaml").read_text())["helped"]
    return _pick(job, str(model), [training], note="" if helped else "left as it was")


def _pick(job: Job, model: str, preparing: list[Measured], note: str = "") -> Outcome:
    options = ["--no-preview", "--model", model]
    options += ["--pixel-size", f"{job.data.pixel_size:g}"]
    run = job.folder / "run"
    measured, _ = run_pick(job.files, run, job.data.diameter, options=options)
    source = read_pick_source(run)
    candidates = as_picks(join(source.files), 1.0)
    assert source.threshold is not None  # a finished run has one
    said = ", ".join([note] * bool(note) + [f"threshold {source.threshold:.3f}"])
    picks = candidates.above(source.threshold)
    return outcome(picks, candidates, len(job.files), [measured], preparing, note=said)


def tuned(job: Job, module: str, option: str, grid: list[str], *, prepared: bool) -> Outcome:
    """A baseline whose variant and threshold are the best on the exemplar micrograph.

    Parameters
    ----------
    job : Job
    module : str
        Program of the baseline.
    option : str
        Its option that names variants.
    grid : list of str
        Variants to choose from.
    prepared : bool
        Whether it gets cryomae's working image.
    """
    exemplars, image = job.learned_from
    words = ["--prepared"] if prepared else []
    if module == "template":
        clicked = job.folder / "exemplars.star"
        clicked.parent.mkdir(parents=True, exist_ok=True)
        write_picks(clicked, exemplars.picks)
        words += ["--exemplars", str(clicked), "--exemplar-micrograph", image]
    tuning, tried = _baseline(job, module, [image], [*words, option, *grid], "tuning")
    best = {v: best_on(tried[v], job.data, [exemplars.micrograph]) for v in grid}
    variant = max(best, key=lambda v: best[v][0])
    threshold = best[variant][1]
    picking, found = _baseline(job, module, job.files, [*words, option, variant], "picking")
    note = f"{option[2:]} {variant}, threshold {threshold:.3f}"
    candidates = found[variant]
    picks = candidates.above(threshold)
    return outcome(picks, candidates, len(job.files), [picking], [tuning], note)


def oracle_blob(job: Job) -> Outcome:
    """The LoG whose sigma is the best on the very micrographs that it is tested on."""
    words = ["--sigma", *SIGMAS]
    measured, found = _baseline(job, "blob", job.files, words, "picking")
    names = list(job.data.files)
    variant = max(SIGMAS, key=lambda v: best_on(found[v], job.data, names)[0])
    candidates = found[variant]
    # The time is that of all sigmas, and of no use; `tuned` measures one.
    return outcome(None, candidates, len(job.files), [measured], note=f"sigma {variant}")


def _baseline(
    job: Job, module: str, files: list[str], words: list[str], name: str
) -> tuple[Measured, dict[str, Picks]]:
    """Run a baseline as a program, as all others are; gives the picks of each variant."""
    env = environment()
    env["PYTHONPATH"] += os.pathsep + str(Path(__file__).resolve().parents[1])
    folder = job.folder / name
    command = [sys.executable, "-m", f"_bench.{module}", *files, "--output", str(folder)]
    command += ["--diameter", f"{job.data.diameter:g}"]
    command += ["--pixel-size", f"{job.data.pixel_size:g}", *words]
    measured = measure(command, job.folder, name, env=env)
    return measured, {p.stem: read_picks(p) for p in folder.glob("*.star")}


def _tuned(title: str, module: str, option: str, grid: list[str], prepared: bool) -> Picker:
    run = partial(tuned, module=module, option=option, grid=grid, prepared=prepared)
    told = "all of one micrograph" if module == "blob" else "exemplars, all of one micrograph"
    return Picker(title, told, run, learns=True, recipe={"grid": grid})


def _topaz(detector: str, title: str, coarser: int) -> Picker:
    run = partial(programs.topaz_general, detector=detector, coarser=coarser)
    return Picker(f"Topaz, general {title}", "nothing", run)


PICKERS = {
    "cryomae": Picker("cryomae", "nothing", cryomae, depends=("weights",)),
    "cryomae-trained": Picker(
        "cryomae, trained", "exemplars", cryomae_trained, learns=True, depends=("weights",)
    ),
    "topaz": _topaz("resnet16", "resnet16", 1),
    "topaz-u32": _topaz("resnet8_u32", "resnet8_u32, coarser", 2),
    "topaz-u64": _topaz("resnet8_u64", "resnet8_u64, coarser", 2),
    "topaz-trained": Picker(
        "Topaz, trained",
        "exemplars, count of one micrograph",
        programs.topaz_trained,
        learns=True,
        depends=("updates", "epochs"),
    ),
    "relion-log": Picker("RELION LoG", "nothing", programs.relion_log),
    "apple": Picker("APPLE", "nothing", programs.apple),
    "blob": _tuned("LoG blob", "blob", "--sigma", SIGMAS, False),
    "blob-prepared": _tuned("LoG blob on our image", "blob", "--sigma", SIGMAS, True),
    "blob-oracle": Picker(
        "LoG blob, oracle", "all it is tested on", oracle_blob, recipe={"grid": SIGMAS}
    ),
    "template": _tuned("template", "template", "--box", BOXES, False),
    "template-prepared": _tuned("template on our image", "template", "--box", BOXES, True),
}
