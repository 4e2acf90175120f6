"""Pick many micrographs: score each once, choose one threshold, write the picks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cryomae.batch.diameter import SettledDiameter
from cryomae.batch.engine import DetectorLike, Engine, default_engine
from cryomae.batch.finish import finish, save_config
from cryomae.batch.job import PREVIEW_LIMIT, Job
from cryomae.batch.layout import Layout
from cryomae.batch.log import log_to, logger
from cryomae.batch.record import Fingerprint, Record, micrograph_key, read_config
from cryomae.batch.result import Outcome, Progress, RunResult
from cryomae.errors import CryomaeError, FormatError
from cryomae.formats import star
from cryomae.micrograph import MicrographRef
from cryomae.report.preview import save_thumbnail
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
    on_progress: Callable[[Progress], None] | None = None,
) -> RunResult:
    """Pick particles in many micrographs and write everything below ``output_dir``.

    Micrographs that an earlier run into the same folder scored with the same settings
    are not scored again, so an interrupted run goes on where it stopped, and a change of
    threshold takes seconds. A micrograph that fails is recorded and the others go on.

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
    layout = _layout(Path(output_dir), [ref.name for ref in refs])
    job = Job(
        settings,
        detector,
        engine or default_engine(detector.shown),
        layout,
        Fingerprint.of(detector, settings, pixel_size),
        pixel_size,
        overwrite,
        preview,
        tuple(command),
        micrographs_star,
        settled,
    )
    if not overwrite:
        job.fingerprint.check(layout.config)
    missing = [Outcome(e.path or "", "failed", cause=e.cause, remedy=e.remedy) for e in failures]
    if dry_run:
        return RunResult(layout.root, _plan(job, refs) + missing, dry_run=True)
    started = time.time()
    with log_to(layout.log):
        save_config(job, started)
        logger.info("command: %s", " ".join(command) or "(called from Python)")
        logger.info("settings: %s", asdict(job.fingerprint) | settings.model_dump())
        if settled is not None:
            logger.info("%s", settled.sentence)
        logger.info("%d micrographs, %d not found", len(refs), len(missing))
        for outcome in missing:
            logger.error("%s: %s (%s)", outcome.name, outcome.cause, outcome.remedy)
        outcomes, interrupted = _score_all(job, refs, on_progress or (lambda _: None))
        result = RunResult(layout.root, outcomes + missing, interrupted=interrupted)
        if settled is not None and settled.warning:
            result.notes.append(settled.warning)
        finish(job, result, started)
    return result


def _layout(output_dir: Path, names: Sequence[str]) -> Layout:
    common = read_config(output_dir / "config.yaml").get("common_folder")
    return Layout(output_dir, names, common if isinstance(common, str) else None)


def _plan(job: Job, refs: Sequence[MicrographRef]) -> list[Outcome]:
    plan = []
    for ref in refs:
        record = _earlier(job, ref)
        outcome = Outcome(ref.name, "not reached" if record is None else "kept")
        outcome.picks_file = job.layout.picks(ref.name)
        plan.append(outcome)
    return plan


def _score_all(
    job: Job, refs: Sequence[MicrographRef], tell: Callable[[Progress], None]
) -> tuple[list[Outcome], bool]:
    """Score every micrograph that needs it; stop early when the user presses Ctrl-C."""
    provisional = 0.5 if job.settings.threshold is None else job.settings.threshold
    stride = max(1, -(-len(refs) // PREVIEW_LIMIT))
    outcomes: list[Outcome] = []
    picks = 0
    try:
        tell(Progress(0, len(refs)))
        for number, ref in enumerate(refs):
            outcome, scores = _score_one(job, ref, job.preview and number % stride == 0)
            outcomes.append(outcome)
            picks += int((scores >= provisional).sum())
            tell(
                Progress(
                    len(outcomes),
                    len(refs),
                    ref.name,
                    outcome.status,
                    outcome.candidates,
                    picks,
                    outcome.seconds or 0.0,
                    outcome.cause,
                )
            )
    except KeyboardInterrupt:
        logger.warning("stopped by the user after %d of %d", len(outcomes), len(refs))
        rest = [Outcome(ref.name, "not reached") for ref in refs[len(outcomes) :]]
        return outcomes + rest, True
    return outcomes, False


def _score_one(job: Job, ref: MicrographRef, preview: bool) -> tuple[Outcome, np.ndarray]:
    record = None if job.overwrite else _earlier(job, ref)
    if record is not None:
        try:
            scores = star.read_picks(job.layout.candidates(ref.name)).score
        except FormatError as error:
            logger.warning(
                "%s is scored again, because its candidates are damaged: %s", ref.name, error
            )
        else:
            return _outcome(ref, "kept", record, len(scores)), scores
    nothing = np.zeros(0)
    key = micrograph_key(job.fingerprint, ref)
    begin = time.perf_counter()
    try:
        micrograph = job.engine.read(ref, job.pixel_size)
        picked = job.engine.pick(micrograph, job.detector, job.settings)
    except CryomaeError as error:
        return _failure(ref, error.cause, error.remedy), nothing
    except MemoryError:
        remedy = "close other programs or use a machine with more memory, then run it again"
        return _failure(ref, "not enough memory for this micrograph", remedy), nothing
    except OSError as error:
        remedy = "check that the file and its disk can be read"
        return _failure(ref, f"cannot be read: {error.strerror or error}", remedy), nothing
    except Exception as error:  # noqa: BLE001 - logged; one micrograph never stops the others
        logger.exception("%s: unexpected error", ref.name)
        remedy = f"this looks like a fault of cryomae: please report it with {job.layout.log}"
        return _failure(ref, f"unexpected {type(error).__name__}: {error}", remedy), nothing
    seconds = time.perf_counter() - begin
    record = Record(
        key,
        micrograph.shape,
        micrograph.pixel_size,
        micrograph.pixel_size_source,
        picked.spacing,
        (picked.image.shape[0], picked.image.shape[1]),
        float(1 - picked.valid.mean()),
        round(seconds, 3),
    )
    star.write_picks(job.layout.candidates(ref.name), picked.candidates, shape=record.shape)
    if preview:
        save_thumbnail(job.layout.thumbnail(ref.name), picked.image, picked.valid)
    record.save(job.layout.record(ref.name))  # last: it marks the micrograph as done
    stages = ", ".join(f"{name} {value:.2f}" for name, value in picked.seconds.items())
    logger.info(
        "%s: %d candidates in %.2f s (%s)", ref.name, len(picked.candidates), seconds, stages
    )
    return _outcome(ref, "picked", record, len(picked.candidates)), picked.candidates.score


def _earlier(job: Job, ref: MicrographRef) -> Record | None:
    """Record of an earlier run, if its candidates are there and still hold."""
    record = Record.load(job.layout.record(ref.name))
    if record is None or record.key != micrograph_key(job.fingerprint, ref):
        return None
    return record if job.layout.candidates(ref.name).is_file() else None


def _outcome(ref: MicrographRef, status: str, record: Record, candidates: int) -> Outcome:
    return Outcome(
        ref.name,
        "kept" if status == "kept" else "picked",
        candidates=candidates,
        masked=record.masked,
        seconds=record.seconds,
        pixel_size=record.pixel_size,
        pixel_size_source=record.pixel_size_source,
    )


def _failure(ref: MicrographRef, cause: str, remedy: str) -> Outcome:
    logger.error("%s: %s (%s)", ref.name, cause, remedy)
    return Outcome(ref.name, "failed", cause=cause, remedy=remedy)
