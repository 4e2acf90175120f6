"""Watching: pick what has arrived, write it down at once, and the rest when there is time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cryomae.batch.engine import DetectorLike, Engine, ThresholdLike, default_engine
from cryomae.batch.finish import draw, finish, publish, save_config
from cryomae.batch.job import Job
from cryomae.batch.layout import Layout
from cryomae.batch.ledger import read_ledger
from cryomae.batch.live import Live
from cryomae.batch.log import log_to, logger
from cryomae.batch.plan import make_plan
from cryomae.batch.record import Fingerprint, read_config
from cryomae.batch.result import Outcome, RunResult
from cryomae.batch.score import pick_all
from cryomae.batch.tables import short_names, write_relion_lists, write_summary_csv
from cryomae.batch.unit import Load, PickOne
from cryomae.formats import star
from cryomae.micrograph import MicrographRef
from cryomae.pick.threshold import Threshold
from cryomae.scale import Backend, Serial
from cryomae.settings import PickSettings
from cryomae.watch.arrivals import Arrivals

ENOUGH = 50
"""Micrographs from which the threshold is chosen; it stays from then on."""

_SHARE = 0.1  # of the time may go into reports
_BATCH = 4  # micrographs per worker between two looks at what has arrived
_ALL_PREVIEWS, _SOME_PREVIEWS = 100, 50  # the first ones get pictures, then one of so many
_SIGN_OF_LIFE = 600.0  # seconds after which the page says that nothing has come


@dataclass(frozen=True)
class WatchNews:
    """What has just happened.

    Attributes
    ----------
    outcome : Outcome or None
        A micrograph that was dealt with; None while waiting.
    done, failed : int
        Micrographs so far.
    coming : int
        Micrographs that are there, but not picked yet.
    """

    outcome: Outcome | None
    done: int
    failed: int
    coming: int


def watch(
    inputs: Sequence[str],
    output_dir: str | Path,
    settings: PickSettings,
    *,
    detector: DetectorLike,
    pixel_size: float | None = None,
    preview: bool = True,
    command: Sequence[str] = (),
    engine: Engine | None = None,
    backend: Backend | None = None,
    load: Load | None = None,
    idle: float | None = None,
    interval: float = 1.0,
    on_news: Callable[[WatchNews], None] | None = None,
) -> RunResult:
    """Pick micrographs as they arrive, until stopped.

    Picks of a micrograph, the lists and the table are written as soon as it is picked. The
    summary and the file of all picks follow as often as a tenth of the time allows, and while
    there is no time for that, the summary alone about every minute. Without a
    threshold of the user's it is chosen anew from all micrographs until there are `ENOUGH`,
    and then stays, so that particles which were extracted already do not change.

    Parameters
    ----------
    inputs : sequence of str
        A folder, a list that grows, or whatever `cryomae.io.find_micrographs` takes.
    output_dir : str or Path
        As for `cryomae.batch.run_pick`, and so are the other parameters.
    idle : float, optional
        Seconds without a new micrograph after which to stop; default never.
    interval : float
        Seconds between two looks.
    on_news : callable, optional
        Told of every micrograph, and at every look; KeyboardInterrupt from it stops in order.

    Returns
    -------
    RunResult

    Raises
    ------
    InputError
        When the folder holds a run with other settings.
    OutputError
        When results cannot be written.
    """
    root = Path(output_dir)
    backend = backend or Serial()
    fingerprint = Fingerprint.of(detector, settings, pixel_size)
    stars = [Path(text) for text in inputs if text.lower().endswith(".star")]
    job = Job(
        settings,
        detector,
        engine or default_engine(detector.shown),
        Layout(root, []),
        fingerprint,
        pixel_size,
        False,
        preview,
        tuple(command),
        stars[0] if len(stars) == len(inputs) == 1 else None,
        workers="" if isinstance(backend, Serial) else backend.words,
    )
    fingerprint.check(job.layout.config)
    pick_one = PickOne.of(job, load, engine)
    with log_to(job.layout.log):
        logger.info("command: %s", " ".join(command) or "(called from Python)")
        state = _Watch(job, pick_one, backend, on_news or (lambda _: None))
        arrivals = Arrivals(inputs)
        state.restore()
        try:
            _go(state, arrivals, idle, interval)
        except KeyboardInterrupt:
            logger.info("stopped")
        return state.report(last=True)


def _go(state: _Watch, arrivals: Arrivals, idle: float | None, interval: float) -> None:
    last = time.monotonic()
    while True:
        refs = arrivals.ready(_BATCH * state.backend.workers)
        if refs:
            state.pick(refs, arrivals)
            last = time.monotonic()
            continue  # there may be more
        state.tell(None, arrivals)
        state.use_time(arrivals)
        if idle is not None and time.monotonic() - last >= idle:
            return
        time.sleep(interval)


@dataclass
class _Watch:
    """What has been picked so far."""

    job: Job
    pick_one: PickOne
    backend: Backend
    on_news: Callable[[WatchNews], None]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    threshold: ThresholdLike | None = None
    scores: list[NDArray[np.float64]] = field(default_factory=list)
    started: float = field(default_factory=time.time)
    due: float = 0.0
    changed: bool = False
    undrawn: list[Outcome] = field(default_factory=list)
    live: Live = field(default_factory=Live)
    written: tuple[float | None, dict[str, str]] = (None, {})

    def restore(self) -> None:
        """Go on with the threshold of an earlier watch, if it was settled."""
        before = read_config(self.job.layout.config)
        kept = before.get("threshold")
        if before.get("threshold_stays") and isinstance(kept, dict):
            self.threshold = Threshold(float(kept["value"]), str(kept["explanation"]))

    @property
    def stays(self) -> bool:
        """Whether the threshold does not change any more."""
        return self.threshold is not None and not self.scores

    @property
    def _settled(self) -> bool:
        return self.stays and self.job.settings.threshold is None

    def pick(self, refs: Sequence[MicrographRef], arrivals: Arrivals) -> None:
        """Pick some micrographs and write down what there is to say at once."""
        self._extend([ref.name for ref in refs])
        ledger = read_ledger(self.job.layout.ledger)
        plan = make_plan(self.job, refs, ledger, None, retry=False)
        count = len(self.outcomes)
        tasks = [
            replace(task, preview=self.job.preview and _has_preview(count + number))
            for number, task in enumerate(plan.tasks)
        ]
        try:
            for outcome in plan.settled:
                self._take(outcome, arrivals)
            with closing(
                pick_all(self.backend, self.pick_one, tasks, ledger, retry=False)
            ) as coming:
                for outcome in coming:
                    self._take(outcome, arrivals)
        finally:
            self._lists()

    def _extend(self, names: Sequence[str]) -> None:
        known = set(self.names)
        self.names += [name for name in dict.fromkeys(names) if name not in known]
        before = read_config(self.job.layout.config).get("common_folder")
        common = self.job.layout.common or (before if isinstance(before, str) else None)
        layout = Layout(self.job.layout.root, self.names, common)
        self.job = replace(self.job, layout=layout, total=len(self.names))
        if not layout.config.exists() or before is None:
            save_config(self.job, self.started)

    def _take(self, outcome: Outcome, arrivals: Arrivals) -> None:
        if outcome.name in self.outcomes:  # its file has changed
            self.written = (None, {})
        self.outcomes[outcome.name] = outcome
        self.changed = True
        if outcome.record is not None:
            publish(self.job, outcome, self._threshold(outcome))
            self.undrawn.append(outcome)
            logger.info("%s: %d picks", outcome.name, outcome.picks)
        else:
            logger.error("%s: %s (%s)", outcome.name, outcome.cause, outcome.remedy)
            if outcome.details:
                logger.error("%s", outcome.details)
        self.tell(outcome, arrivals)
        self.live.take(outcome)
        if self.live.due:
            self._page(arrivals)

    def _threshold(self, outcome: Outcome) -> float:
        """Threshold with this micrograph taken into account, as long as it may change."""
        job = self.job
        if job.settings.threshold is not None:
            self.threshold = Threshold(job.settings.threshold, "Set by you with --threshold.")
        elif not self.stays:
            self.scores.append(star.read_picks(job.layout.candidates(outcome.name)).score)
            self.threshold = job.engine.choose_threshold(self.scores)
            if len(self.scores) >= ENOUGH:
                self.scores = []
        assert self.threshold is not None
        return float(self.threshold.value)

    def _lists(self) -> None:
        """Write the lists and the table: they name files, so they are quick."""
        outcomes = self._in_order()
        write_relion_lists(self.job.layout, outcomes, self.job.micrographs_star)
        write_summary_csv(self.job.layout.table, outcomes)

    def _in_order(self) -> list[Outcome]:
        return [self.outcomes[name] for name in self.names if name in self.outcomes]

    def use_time(self, arrivals: Arrivals) -> None:
        """While nothing is to be picked: draw one picture, or write the summary if it is due."""
        if self.undrawn:
            draw(self.job, self.undrawn.pop(0))
            self.changed = True
        elif self.changed and time.monotonic() >= self.due:
            self.report()
        elif self.live.wrote is not None and time.monotonic() - self.live.wrote > _SIGN_OF_LIFE:
            self._page(arrivals)

    def _page(self, arrivals: Arrivals) -> None:
        """Write the summary page alone."""
        result = RunResult(self.job.layout.root, self._in_order())
        if self.threshold is not None:
            result.threshold = float(self.threshold.value)
            result.explanation = self.threshold.explanation
        self.live.write(self.job, result, "watching", len(self.names) + arrivals.coming)

    def report(self, *, last: bool = False) -> RunResult:
        """Write everything, with one threshold for all.

        Parameters
        ----------
        last : bool
            Whether nothing comes after it, so that pictures are drawn as well.
        """
        begin = time.monotonic()
        result = RunResult(self.job.layout.root, self._in_order())
        if result.outcomes:
            self.job = replace(self.job, threshold_stays=self._settled)
            added = None if last else self._added(result)
            pace = self.live.pace("watched" if last else "watching", result, len(self.names))
            finish(self.job, result, self.started, pace, self.threshold, added=added, previews=last)
            self.written = (result.threshold, short_names([o.name for o in result.done]))
        self.changed = False
        took = time.monotonic() - begin
        self.live.rest(0.0)
        self.due = time.monotonic() + took * (1 / _SHARE - 1)
        return result

    def _added(self, result: RunResult) -> list[Outcome] | None:
        """Micrographs to add to the file of all picks; None if it must be written anew."""
        threshold, labels = self.written
        now = short_names([o.name for o in result.done])
        if self.threshold is None or threshold != float(self.threshold.value):
            return None
        if any(now.get(name) != label for name, label in labels.items()):
            return None
        return [o for o in result.done if o.name not in labels]

    def tell(self, outcome: Outcome | None, arrivals: Arrivals) -> None:
        """Pass on the news."""
        failed = sum(o.status == "failed" for o in self.outcomes.values())
        done = len(self.outcomes) - failed
        self.on_news(WatchNews(outcome, done, failed, arrivals.coming))


def _has_preview(number: int) -> bool:
    return number < _ALL_PREVIEWS or number % _SOME_PREVIEWS == 0
