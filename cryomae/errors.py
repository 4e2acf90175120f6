"""Errors that tell a user which file is at fault, why, and what to do about it."""

from pathlib import Path


class CryomaeError(Exception):
    """Base of every error that cryomae raises on purpose.

    Parameters
    ----------
    cause : str
        What is wrong, in one line.
    remedy : str, optional
        What the user can do about it, in one line.
    path : str or Path, optional
        The file at fault.
    """

    def __init__(self, cause: str, remedy: str = "", path: str | Path | None = None) -> None:
        self.cause = cause
        self.remedy = remedy
        self.path = None if path is None else str(path)
        super().__init__(cause, remedy, self.path)  # all three, so that the error survives pickling

    def __reduce__(self) -> tuple[type, tuple[str, str, str | None]]:
        """Rebuild from the three parts, so that workers can send errors home."""
        return (type(self), (self.cause, self.remedy, self.path))

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        advice = f" ({self.remedy})" if self.remedy else ""
        return f"{place}{self.cause}{advice}"


class MicrographError(CryomaeError):
    """A micrograph that cannot be read or used."""


class InputError(CryomaeError):
    """An argument or a list of inputs that makes no sense."""


class FormatError(CryomaeError):
    """A coordinate or STAR file that does not hold what it should."""


class NoCoordinatesError(FormatError):
    """A sound file of a kind that may hold coordinates, and does not; no damaged one."""


class WeightsError(CryomaeError):
    """Model weights that are missing, damaged or of another version."""
