"""An external job: micrographs of a cryoSPARC job in, picks with scores out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cryomae.batch import Engine, Progress, RunResult
from cryomae.batch.engine import DetectorLike
from cryomae.batch.named import pick_named
from cryomae.batch.record import read_config
from cryomae.cryosparc.exposures import place_files
from cryomae.errors import CryomaeError, InputError
from cryomae.formats.cryosparc import locations
from cryomae.formats.exposures import read_exposures
from cryomae.formats.star import read_picks, write_micrographs
from cryomae.picks import Picks
from cryomae.settings import PickSettings

if TYPE_CHECKING:
    from cryosparc.controllers.job import ExternalJobController
    from cryosparc.tools import CryoSPARC

_INPUT, _OUTPUT = "micrographs", "picks"
_BETWEEN = 5.0  # seconds between looks at the job's page
_LEFT_OUT = ("reject", "incomplete", "exclu", "fail")  # parts of names of what a job leaves out


@dataclass(frozen=True)
class Source:
    """Which micrographs to pick, and where the new job goes.

    Attributes
    ----------
    project, workspace, job : str
        Such as P3, W1 and J42.
    output : str or None
        Output of that job; default its only one of exposures.
    """

    project: str
    workspace: str
    job: str
    output: str | None = None


def log_in(url: str | None = None, email: str | None = None) -> CryoSPARC:
    """Connect to cryoSPARC with the session that ``python -m cryosparc.tools login`` stored.

    Raises
    ------
    InputError
        If cryosparc-tools is not installed, there is no session, or nobody answers.
    """
    try:
        from cryosparc.tools import CryoSPARC
    except ImportError as error:
        raise InputError(
            "cryoSPARC needs the package cryosparc-tools", "pip install 'cryomae[cryosparc]'"
        ) from error
    given = {"base_url": url, "email": email}
    try:
        return CryoSPARC(**{name: value for name, value in given.items() if value})
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"cannot connect to cryoSPARC: {str(error).splitlines()[0]}",
            "give its address with --url and log in once: python -m cryosparc.tools login",
        ) from error


def run(
    cs: CryoSPARC,
    source: Source,
    folder: Path,
    settings: PickSettings,
    *,
    auto: bool,
    load: Callable[[str, str], DetectorLike],
    say: Callable[[str], None],
    warn: Callable[[str], None],
    project_folder: Path | None = None,
    device: str = "auto",
    engine: Engine | None = None,
) -> RunResult:
    """Make an external job, pick, and save the picks there.

    Parameters
    ----------
    cs : CryoSPARC
        Connection.
    source : Source
    folder : Path
        For files of the run; what was scored there before is not scored again.
    settings, auto, load, device, engine
        See `cryomae.batch.named.pick_named`.
    say, warn : callable
        Told what happens; cryoSPARC's job log is told as well.
    project_folder : Path, optional
        Project folder as this machine sees it; default as cryoSPARC names it. Micrographs that
        are not there are downloaded.

    Returns
    -------
    RunResult

    Raises
    ------
    InputError
        If the job or its output does not exist.
    """
    from cryosparc.errors import APIError

    try:
        return _run(
            cs, source, folder, settings, auto=auto, load=load, say=say, warn=warn,
            project_folder=project_folder, device=device, engine=engine,
        )  # fmt: skip
    except APIError as error:
        raise CryomaeError(
            f"cryoSPARC refused: {str(error).splitlines()[0]}",
            "check project, workspace and job, and your rights to them",
        ) from error


def _run(
    cs: CryoSPARC,
    source: Source,
    folder: Path,
    settings: PickSettings,
    *,
    project_folder: Path | None,
    say: Callable[[str], None],
    warn: Callable[[str], None],
    **how: Any,
) -> RunResult:
    output = source.output or _only_exposures(cs, source)
    project = cs.find_project(source.project)
    job = project.create_external_job(source.workspace, title="cryomae picks")
    page = _Page(job, say, warn)
    try:
        job.connect(_INPUT, source.job, output, slots=["micrograph_blob", "mscope_params"])
        job.add_output("particle", _OUTPUT, slots=["location", "pick_stats"], title="Picks")
        job.start("running")
        page.say(f"{source.project} {job.uid}: picking {output} of {source.job}")
        exposures = read_exposures(job.load_input(_INPUT))
        here = project_folder or Path(str(project.dir))
        placed = place_files(
            exposures,
            here,
            folder / "downloads",
            lambda path, target: project.download_file(path, target),
        )
        folder.mkdir(parents=True, exist_ok=True)
        sizes = {name: exposure.pixel_size for name, exposure in placed.items()}
        write_micrographs(folder / "micrographs.star", sizes)
        result = pick_named(
            [str(folder / "micrographs.star")],
            folder,
            settings,
            estimating=page.counting,
            picking=page.picking,
            say=page.say,
            warn=page.warn,
            **how,
        )
        if result.interrupted or not result.done:
            page.end(_reason(result))
            return result
        job.save_output(_OUTPUT, locations(_picks(result), placed))
        for outcome in result.failed:
            page.warn(f"failed: {outcome.name}: {outcome.cause} ({outcome.remedy})")
        page.say(f"{result.picks:,} picks. Threshold {result.threshold:.3f}. {result.explanation}")
        page.end("")
    except BaseException as error:
        page.end(str(error) or "stopped")
        raise
    return result


def _reason(result: RunResult) -> str:
    if result.interrupted:
        return "stopped; run the same command again to go on"
    return result.failed[0].cause if result.failed else "no micrograph could be picked"


def _only_exposures(cs: CryoSPARC, source: Source) -> str:
    """Name the output of the job that holds its micrographs."""
    outputs = cs.find_job(source.project, source.job).model.spec.outputs.root
    names = [name for name, output in outputs.items() if output.type == "exposure"]
    good = [name for name in names if not any(part in name for part in _LEFT_OUT)]
    if len(good) != 1:
        found = ", ".join(names) or "none"
        raise InputError(
            f"{source.job} has {len(good) or 'no'} outputs of micrographs to choose from ({found})",
            "name one with --from, or another job",
        )
    return good[0]


def _picks(result: RunResult) -> Picks:
    """Picks of a run, with the diameter in Å that it used, also where it was estimated."""
    diameter = float(read_config(result.files["config"])["settings"]["diameter"])
    parts = [
        read_picks(outcome.picks_file).table.assign(micrograph=outcome.name, diameter=diameter)
        for outcome in result.done
        if outcome.picks_file is not None
    ]
    return Picks(pd.concat(parts, ignore_index=True))


class _Page:
    """The job's page in cryoSPARC: log, progress, and whether it was killed there."""

    def __init__(
        self,
        job: ExternalJobController,
        say: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._job, self._say, self._warn = job, say, warn
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        self._say(text)
        self._job.log(text)

    def warn(self, text: str) -> None:
        self._warn(text)
        self._job.log(text, level="warning")

    def end(self, error: str) -> None:
        """Mark the job as completed, or as failed; one that was killed stays so."""
        self._job.refresh()
        if self._job.status not in ("killed", "completed", "failed"):
            self._job.stop(error)

    @contextmanager
    def counting(self) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: self._tell(f"Estimating the diameter: {done}/{total}")

    @contextmanager
    def picking(self) -> Iterator[Callable[[Progress], None]]:
        yield lambda step: self._tell(f"[{step.done}/{step.total}] {Path(step.name).name}")

    def _tell(self, text: str) -> None:
        self._say(text)
        if time.monotonic() - self._last < _BETWEEN:
            return
        self._job.log(text, name="progress")
        self._job.refresh()
        self._last = time.monotonic()
        if self._job.status == "killed":
            raise KeyboardInterrupt
