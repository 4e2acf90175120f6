"""The program ``cryomae-relion-pick``: picking as an External job of RELION."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from cryomae.batch import Engine, Progress, RunResult
from cryomae.batch.engine import DetectorLike
from cryomae.batch.named import pick_named
from cryomae.batch.record import read_config
from cryomae.batch.tables import project_path
from cryomae.cli.closing import show_result
from cryomae.cli.pick import pick as command
from cryomae.errors import InputError
from cryomae.relion.job import Ending, Job, note_unused, run_job, say, say_error, use_threads
from cryomae.relion.logfile import write_pick_log
from cryomae.relion.project import relion_version, save_display_settings, write_nodes
from cryomae.relion.words import Parameters, Request, read_request
from cryomae.settings import PickSettings

PROGRAM = "cryomae-relion-pick"
PARAMETERS = Parameters(
    command,
    # RELION has its own way to share the work of a job.
    without=("inputs", "output", "dry_run", "processes", "dask", "shard", "retry", "help"),
)
USAGE = f"""Pick particles, as an External job of RELION 3.1, 4 or 5.

In RELION, job type External:
  Input tab     External executable: {PROGRAM} (with its folder, if it is not on the PATH)
                Input micrographs: a STAR file, such as CtfFind/job003/micrographs_ctf.star
  Params tab    diameter, and others of these if wanted:

{PARAMETERS.describe()}

A label with an empty value leaves the default; overwrite with an empty value switches it on.
The job's coordinates are the input of the Extract job. Continue the job to pick what is new.

From the project folder, without RELION's window:
  {PROGRAM} --o External/job005/ --in_mics CtfFind/job003/micrographs_ctf.star --diameter 180
"""


def main() -> None:
    """Run the program."""
    sys.exit(run(sys.argv[1:]))


def run(
    words: Sequence[str],
    load: Callable[[str, str], DetectorLike] | None = None,
    engine: Engine | None = None,
) -> int:
    """Run the job that RELION's words describe.

    Parameters
    ----------
    words : sequence of str
        Command line without the name of the program.
    load : callable, optional
        ``load(model, device)`` gives the detector; default that of cryomae.
    engine : Engine, optional
        Replacement of reader, picker and threshold.

    Returns
    -------
    int
        Exit code.
    """

    def work(job: Job) -> Ending:
        request = read_request(words, PARAMETERS, _micrographs)
        note_unused(request.inputs, ("in_mics",))
        use_threads(request.threads)
        result = _pick(request, job, words, load or _load, engine)
        return _finish(request, job, result)

    return run_job(words, USAGE, work)


def _micrographs(inputs: dict[str, str]) -> list[str]:
    if "in_mics" not in inputs:
        raise InputError(
            "no micrographs are given", "name their STAR file on the Input tab (--in_mics)"
        )
    return ["--", inputs["in_mics"]]


def _load(model: str, device: str) -> DetectorLike:
    from cryomae.pick import load_detector

    return load_detector(model, device)


def _pick(
    request: Request,
    job: Job,
    words: Sequence[str],
    load: Callable[[str, str], DetectorLike],
    engine: Engine | None,
) -> RunResult:
    values = request.values
    auto = str(values["diameter"]).strip().lower() == "auto"
    settings = _settings(values, 1.0 if auto else values["diameter"])
    return pick_named(
        [request.inputs["in_mics"]],
        job.folder,
        settings,
        auto=auto,
        load=load,
        estimating=lambda: _estimating(job),
        picking=lambda: _picking(job),
        say=say,
        warn=lambda text: say_error(f"warning: {text}"),
        pixel_size=values["pixel_size"],
        device=values["device"],
        preview=values["preview"],
        overwrite=values["overwrite"],
        command=[PROGRAM, *words],
        engine=engine,
    )


def _settings(values: dict[str, Any], diameter: object) -> PickSettings:
    names = ("min_distance", "threshold", "max_picks", "model")
    given = {name: values[name] for name in names} | {"diameter": diameter}
    try:
        return PickSettings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{first['loc'][0]} is '{first['input']}'",
            "the diameter is a length in Å, such as 180, or auto; see the help of cryomae pick",
        ) from error


@contextmanager
def _estimating(job: Job) -> Iterator[Callable[[int, int], None]]:
    say("Estimating the diameter")
    yield job.check_abort


@contextmanager
def _picking(job: Job) -> Iterator[Callable[[Progress], None]]:
    def tell(step: Progress) -> None:
        place = f"[{step.done}/{step.total}] {step.name}"
        if step.status == "failed":
            say(f"{place}: failed: {step.cause}")
        elif step.status == "kept":
            say(f"{place}: {step.candidates} candidates, from an earlier run")
        elif step.done:
            say(f"{place}: {step.candidates} candidates, {step.seconds:.1f} s")
        # Between those kept it would save no time, and leave them out of the lists.
        if step.status in ("picked", "failed") and step.done < step.total:
            job.check_abort()

    yield tell


def _finish(request: Request, job: Job, result: RunResult) -> Ending:
    """Write what RELION and people look at, and say how it went."""
    for outcome in result.failed:
        say_error(f"failed: {outcome.name or '(input)'}: {outcome.cause} ({outcome.remedy})")
    if not result.done:
        if not result.interrupted:
            say_error("error: no micrograph could be picked")
        return Ending.ABORTED if result.interrupted else Ending.FAILURE
    show_result(result)
    version = relion_version(job.folder)
    log = job.folder / "logfile.pdf"
    write_pick_log(log, result, _facts(request, result))
    list_of_files = result.files["relion31" if version == 3 else "relion"]
    nodes = [(list_of_files, "coordinates"), (log, "log")]
    write_nodes(job.folder, [(project_path(file), kind) for file, kind in nodes], version)
    sizes = [o.pixel_size for o in result.done if o.pixel_size]
    save_display_settings(_used(result), float(np.median(sizes)) if sizes else None, Path())
    return Ending.ABORTED if result.interrupted else Ending.SUCCESS


def _used(result: RunResult) -> float:
    """Diameter of the run in Å, also of one that estimated it."""
    return float(read_config(result.files["config"])["settings"]["diameter"])


def _counted(count: int) -> str:
    return f"{count:,} micrograph{'' if count == 1 else 's'}"


def _facts(request: Request, result: RunResult) -> list[tuple[str, str]]:
    words = [
        ("Micrographs", request.inputs["in_mics"]),
        ("Picks", f"{result.picks:,} in {_counted(len(result.done))}"),
    ]
    if result.failed:
        words.append(("Failed", f"{_counted(len(result.failed))}, see run.err"))
    waiting = sum(o.status == "not reached" for o in result.outcomes)
    if waiting:
        words.append(("Not reached", f"{_counted(waiting)}: continue the job to pick what is left"))
    words += [
        ("Diameter", f"{_used(result):g} Å"),
        ("Model", str(request.values["model"])),
        ("Threshold", result.explanation),
        ("More", project_path(result.files["summary"])),
    ]
    return words


if __name__ == "__main__":
    main()
