"""An External job as RELION sees it: its folder, how it is stopped, and how it says its end."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from cryomae.errors import CryomaeError
from cryomae.relion.words import folder_of

ABORT = "RELION_JOB_ABORT_NOW"


class Ending(Enum):
    """How a job ended, and the file that tells RELION so."""

    SUCCESS = "RELION_JOB_EXIT_SUCCESS"
    FAILURE = "RELION_JOB_EXIT_FAILURE"
    ABORTED = "RELION_JOB_EXIT_ABORTED"


_CODES = {Ending.SUCCESS: 0, Ending.FAILURE: 1, Ending.ABORTED: 130}


class Aborted(KeyboardInterrupt):
    """The user pressed *Abort running* in RELION; works like Ctrl-C in a terminal."""


class Job:
    """Folder of a job.

    Parameters
    ----------
    folder : Path
        Such as ``External/job005``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> None:
        """Make the folder and take away what an earlier run left to say its end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for ending in Ending:
            (self.folder / ending.value).unlink(missing_ok=True)

    def check_abort(self, *_: Any) -> None:
        """Raise Aborted if the user asked for it."""
        if (self.folder / ABORT).exists():
            raise Aborted

    def end(self, ending: Ending) -> None:
        """Say the end: the last thing that a job does."""
        # Whatever the end, a wish that was not seen in time must not stop the next run.
        (self.folder / ABORT).unlink(missing_ok=True)
        (self.folder / ending.value).touch()


def run_job(words: Sequence[str], usage: str, work: Callable[[Job], Ending]) -> int:
    """Do the work of a job and mark how it ended.

    Parameters
    ----------
    words : sequence of str
        Command line without the name of the program.
    usage : str
        Shown for ``--help``.
    work : callable
        ``work(job) -> Ending``; an error means failure, KeyboardInterrupt an abort.

    Returns
    -------
    int
        Exit code: 0 after success.
    """
    if not words or "--help" in words or "-h" in words:
        print(usage)
        return 0
    folder = folder_of(words)
    if folder is None:
        say_error("error: no job folder (RELION gives it as --o External/job005/)")
        return 2
    job = Job(Path(folder))
    try:
        job.begin()
        ending = _outcome(job, work)
        job.end(ending)
    except OSError as error:
        say_error(f"error: {folder}: cannot be written: {error.strerror or error}")
        return 1
    return _CODES[ending]


def _outcome(job: Job, work: Callable[[Job], Ending]) -> Ending:
    try:
        with _terminated_like_aborted():
            job.check_abort()  # it may have waited in a queue
            return work(job)
    except KeyboardInterrupt:
        say("Stopped. Continue the job to go on.")
        return Ending.ABORTED
    except CryomaeError as error:
        say_error(f"error: {error}")
        if "--" in str(error):
            say_error(
                "Options named here are parameters of the job: --overwrite is the label overwrite "
                "on the Params tab, with an empty value."
            )
    except Exception as error:  # noqa: BLE001 - RELION must be told of every end
        say_error(traceback.format_exc())
        say_error(f"error: unexpected {type(error).__name__}: {error} (please report it)")
    return Ending.FAILURE


@contextmanager
def _terminated_like_aborted() -> Iterator[None]:
    """Let a queue that cancels the job have it stop as *Abort running* does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise Aborted

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def use_threads(threads: int | None) -> None:
    """Compute with as many threads as RELION was told, no more."""
    if threads is None:
        return
    import torch

    from cryomae.cores import usable_cores

    torch.set_num_threads(threads)
    cores = usable_cores()
    more = f"; {cores} cores could be used (Running tab)" if threads < cores else ""
    say(f"Computing with {threads} thread{'s' if threads != 1 else ''} outside a GPU{more}")


def note_unused(inputs: dict[str, str], used: Sequence[str]) -> None:
    """Say which inputs are not looked at."""
    for name, value in inputs.items():
        if name not in used:
            say(f"note: --{name} {value} is not used by this job")


def say(text: str) -> None:
    """Write a line to ``run.out``, at once."""
    print(text, flush=True)


def say_error(text: str) -> None:
    """Write a line to ``run.err``, at once."""
    print(text, file=sys.stderr, flush=True)
