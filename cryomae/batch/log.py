"""The log file of a run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryomae.atomic import OutputError

logger = logging.getLogger("cryomae")


class _QuietFileHandler(logging.FileHandler):
    """A log file whose own trouble (a full disk) never hides the trouble it reports."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Do nothing: results are written by other means, which do report."""


@contextmanager
def log_to(path: Path) -> Iterator[logging.Logger]:
    """Append what happens inside the block to ``path``, with dates."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _QuietFileHandler(path, encoding="utf-8")
    except OSError as error:
        raise OutputError.from_os_error(error, path) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    level, spread = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = spread
        handler.close()
