"""Pick many micrographs: score each once, choose one threshold, write the picks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from cryomae.atomic import remove_leftovers
from cryomae.batch.diameter import SettledDiameter
from cryomae.batch.engine import DetectorLike, Engine, default_engine
from cryomae.batch.finish import finish, save_config
from cryomae.batch.job import Job
from cryomae.batch.layout import Layout
from cryomae.batch.ledger import Ledger, read_ledger
from cryomae.batch.live import RunPage
from cryomae.batch.log import log_to, logger
from cryomae.batch.plan import Plan, Shard, make_plan
from cryomae.batch.record import Fingerprint, read_config
from cryomae.batch.result import Outcome, Progress, RunResult
from cryomae.batch.score import pick_all
from cryomae.batch.unit import Load, PickOne
from cryomae.errors import CryomaeError
from cryomae.micrograph import MicrographRef
from cryomae.scale import Backend, Serial
from cryomae.settings import PickSettings


def run_pick(
    refs: Sequence[MicrographRef],
    failures: Sequence[CryomaeError],
    output_dir: str | Path,
    settings: PickSettings,
    *,
    detector: DetectorLike,
    pixel_size: float | None = None,
    overwrite: bool = False,
    preview: bool = True,
    dry_run: bool = False,
    command: Sequence[str] = (),
    micrographs_star: Path | None = None,
    settled: SettledDiameter | None = None,
    engine: Engine | None = None,
    backend: Backend | None = None,
    load: Load | None = None,
    shard: Shard | None = None,
    retry: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunResult:
    """Pick particles in many micrographs and write everything below ``output_dir``.

    Micrographs that an earlier run into the same folder scored with the same settings
    are not scored again, so an interrupted run goes on where it stopped, and a change of
    threshold takes seconds. A micrograph that fails is recorded and the others go on, and so
    do they when it ends the process that picks it.

    Parameters
    ----------
    refs : sequence of MicrographRef
        Micrographs to pick.
    failures : sequence of CryomaeError
        Inputs that could not even be found; they are reported with the others.
    output_dir : str or Path
        Folder to write to.
    settings : PickSettings
        What to pick.
    detector : DetectorLike
        Model on its device.
    pixel_size : float, optional
        Å per pixel, overriding list and header.
    overwrite : bool
        Score everything anew.
    preview : bool
        Draw pictures of the picks.
    dry_run : bool
        Only say what would be done.
    command : sequence of str
        Command line, for the record.
    micrographs_star : Path, optional
        STAR file the micrographs came from.
    settled : SettledDiameter, optional
        How the diameter of the settings was found, if the user did not give it.
    engine : Engine, optional
        Replacement of reader, picker and threshold.
    backend : Backend, optional
        Where to work; default this process. It has been opened.
    load : callable, optional
        ``load(place) -> detector``: how a worker of the back end gets its model; default
        `detector` itself, which only this process can use.
    shard : Shard, optional
        Score only this part, and write no picks: a run without it does when all is scored.
    retry : bool
        Try again also micrographs that have ended their process before.
    on_progress : callable, optional
        Called before the first and after every micrograph.

    Returns
    -------
    RunResult
        What happened to every micrograph.

    Raises
    ------
    InputError
        When the folder holds a run with other settings and ``overwrite`` is off.
    OutputError
        When results cannot be written.
    """
    refs = list({ref.name: ref for ref in refs}.values())
    backend = backend or Serial()
    missing = [Outcome(e.path or "", "failed", cause=e.cause, remedy=e.remedy) for e in failures]
    layout = _layout(Path(output_dir), [ref.name for ref in refs])
    fingerprint = Fingerprint.of(detector, settings, pixel_size)
    job = Job(
        settings,
        detector,
        engine or default_engine(detector.shown),
        layout,
        fingerprint,
        pixel_size,
        overwrite,
        preview,
        tuple(command),
        micrographs_star,
        settled,
        "" if isinstance(backend, Serial) else backend.words,
        len(refs) + len(failures),
        tuple(missing),
    )
    if not overwrite:
        fingerprint.check(layout.config)
    ledger = read_ledger(layout.ledger)
    plan = make_plan(job, refs, ledger, shard, retry=retry)
    if dry_run:
        return RunResult(layout.root, _in_order(_foretold(job, plan), refs) + missing, dry_run=True)
    pick_one = PickOne.of(job, load, engine)
    started = time.time()
    with log_to(layout.log if shard is None else layout.shard_log(shard.number, shard.of)):
        save_config(job, started)
        logger.info("command: %s", " ".join(command) or "(called from Python)")
        logger.info("settings: %s", asdict(fingerprint) | settings.model_dump())
        if settled is not None:
            logger.info("%s", settled.sentence)
        logger.info("%d micrographs, %d not found", len(refs), len(missing))
        for outcome in missing:
            logger.error("%s: %s (%s)", outcome.name, outcome.cause, outcome.remedy)
        page = RunPage(job, quiet=shard is not None)
        tell = on_progress or (lambda _: None)
        found = _score(backend, pick_one, plan, ledger, retry, tell, page)
        interrupted = len(found) < len(plan.settled) + len(plan.tasks)
        result = RunResult(layout.root, _in_order(found, refs) + missing, interrupted=interrupted)
        if settled is not None and settled.warning:
            result.notes.append(settled.warning)
        if shard is not None:
            result.shard = str(shard)
            names = {o.name for o in plan.settled} | {t.ref.name for t in plan.tasks}
            result.outcomes = [o for o in result.outcomes if o.name in names] + missing
        else:
            _tidy(layout)
            if not interrupted:
                page.scored(found)
            pace = page.pace("stopped" if interrupted else "finished", result, job.total)
            finish(job, result, started, pace)
    return result


def _layout(output_dir: Path, names: Sequence[str]) -> Layout:
    common = read_config(output_dir / "config.yaml").get("common_folder")
    return Layout(output_dir, names, common if isinstance(common, str) else None)


def _tidy(layout: Layout) -> None:
    """Remove half-written files of processes that were killed."""
    histories = read_ledger(layout.ledger).histories
    for name in layout.names & {name for name, found in histories.items() if found.deaths}:
        files = layout.of(name)
        for path in (files.candidates, files.thumbnail):
            remove_leftovers(path)


def _foretold(job: Job, plan: Plan) -> list[Outcome]:
    for outcome in plan.settled:
        outcome.picks_file = job.layout.picks(outcome.name)
    ahead = [Outcome(task.ref.name, "not reached") for task in plan.tasks]
    for outcome in ahead:
        outcome.picks_file = job.layout.picks(outcome.name)
    return plan.settled + ahead


def _score(
    backend: Backend,
    pick_one: PickOne,
    plan: Plan,
    ledger: Ledger,
    retry: bool,
    tell: Callable[[Progress], None],
    page: RunPage,
) -> list[Outcome]:
    """Outcomes of all that could be dealt with before the user pressed Ctrl-C."""
    found: list[Outcome] = []
    total = len(plan.settled) + len(plan.tasks)
    picks = 0

    def take(outcome: Outcome) -> None:
        nonlocal picks
        found.append(outcome)
        picks += 0 if outcome.record is None else outcome.record.likely
        tell(
            Progress(
                len(found),
                total,
                outcome.name,
                outcome.status,
                outcome.candidates,
                picks,
                outcome.seconds or 0.0,
                outcome.cause,
            )
        )
        page.take_last(found)

    try:
        tell(Progress(0, total))
        for outcome in plan.settled:
            take(outcome)
        with closing(pick_all(backend, pick_one, plan.tasks, ledger, retry=retry)) as coming:
            for outcome in coming:
                _log(outcome)
                take(outcome)
    except KeyboardInterrupt:
        logger.warning("stopped by the user after %d of %d", len(found), total)
    return found


def _log(outcome: Outcome) -> None:
    if outcome.status == "failed":
        logger.error("%s: %s (%s)", outcome.name, outcome.cause, outcome.remedy)
        if outcome.details:
            logger.error("%s", outcome.details)
    else:
        logger.info("%s: %d candidates in %s", outcome.name, outcome.candidates, outcome.details)


def _in_order(found: Sequence[Outcome], refs: Sequence[MicrographRef]) -> list[Outcome]:
    """Outcomes in the order of the list; those that are not there were not reached."""
    by_name = {outcome.name: outcome for outcome in found}
    return [by_name.get(ref.name) or Outcome(ref.name, "not reached") for ref in refs]
