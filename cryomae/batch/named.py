"""Picking what a user names, whoever asks: find, load, settle the diameter, pick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from cryomae.batch import Engine, Outcome, Progress, RunResult, run_pick
from cryomae.batch.diameter import settle_diameter
from cryomae.batch.engine import DetectorLike
from cryomae.batch.model import WorkerModel
from cryomae.batch.plan import Shard
from cryomae.io import find_micrographs
from cryomae.model.registry import diameter_remark, model_card
from cryomae.scale import Backend, Serial
from cryomae.settings import PickSettings

Estimating = Callable[[], AbstractContextManager[Callable[[int, int], None]]]
Picking = Callable[[], AbstractContextManager[Callable[[Progress], None]]]


def pick_named(
    inputs: Sequence[str],
    output: Path,
    settings: PickSettings,
    *,
    auto: bool,
    load: Callable[[str, str], DetectorLike],
    estimating: Estimating,
    picking: Picking,
    say: Callable[[str], None],
    warn: Callable[[str], None],
    pixel_size: float | None = None,
    device: str = "auto",
    preview: bool = True,
    overwrite: bool = False,
    dry_run: bool = False,
    command: Sequence[str] = (),
    engine: Engine | None = None,
    backend: Backend | None = None,
    shard: Shard | None = None,
    retry: bool = False,
) -> RunResult:
    """Pick in micrographs that are named as on the command line.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, globs, lists or a STAR file.
    output : Path
        Folder for everything that is written.
    settings : PickSettings
        What to pick; its diameter is replaced with ``auto``.
    auto : bool
        Estimate the diameter.
    load : callable
        ``load(model, device)`` gives the detector.
    estimating, picking : callable
        Each opens what shows progress and gives the function to call, of (done, total) and of
        `Progress`; what is raised in there stops the work, KeyboardInterrupt in order.
    say, warn : callable
        Told the diameter of ``auto``, and what the user should look at.
    pixel_size, device, preview, overwrite, dry_run, command, engine, shard, retry
        See `run_pick`.
    backend : Backend, optional
        Where to work; opened and closed here. Default this process.

    Returns
    -------
    RunResult
        With failures alone where no micrograph could be found.
    """
    refs, failures = find_micrographs(inputs)
    if not refs:
        causes = [Outcome(e.path or "", "failed", cause=e.cause, remedy=e.remedy) for e in failures]
        return RunResult(output, causes, dry_run=dry_run)
    elsewhere = backend is not None and not isinstance(backend, Serial)
    # Workers load it where they compute; here only what it is matters, and whether it is there.
    detector = load(settings.model, "cpu" if elsewhere else device)
    settled = None
    if auto:
        with estimating() as count:
            settled = settle_diameter(
                refs, output, pixel_size=pixel_size, overwrite=overwrite, on_progress=count
            )
        say(settled.sentence)
        if settled.warning:
            warn(settled.warning)
        settings = settings.model_copy(update={"diameter": settled.diameter})
    remark = diameter_remark(model_card(settings.model), settings.diameter)
    if remark:
        warn(remark)
    stars = [Path(text) for text in inputs if text.lower().endswith(".star")]
    with backend or nullcontext() as opened, picking() as tell:
        return run_pick(
            refs,
            failures,
            output,
            settings,
            detector=detector,
            pixel_size=pixel_size,
            overwrite=overwrite,
            preview=preview,
            dry_run=dry_run,
            command=command,
            micrographs_star=stars[0] if len(stars) == len(inputs) == 1 else None,
            settled=settled,
            engine=engine,
            backend=opened,
            load=WorkerModel.of(settings.model, device) if elsewhere else None,
            shard=shard,
            retry=retry,
            on_progress=tell,
        )
