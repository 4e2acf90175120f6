"""Checks of numbers that every format shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cryomae.errors import FormatError
from cryomae.picks import Picks


def numbers(values: ArrayLike, what: str, path: str | Path) -> NDArray[np.float64]:
    """Turn a column into finite numbers, or say which row is none.

    Parameters
    ----------
    values : array_like, shape (n,)
        Text or numbers.
    what : str
        Name of the column, for the error.
    path : str or Path
        File to name in the error.
    """
    column = pd.Series(np.asarray(values, dtype=object).reshape(-1))
    found = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found))[0]) + 1
        raise FormatError(f"{what} of row {row} is not a number", "correct that row", path)
    return found


def check_finite(picks: Picks, path: str | Path) -> None:
    """Refuse coordinates and scores that are not numbers, before anything is written."""
    for what, values in (("coordinate", picks.xy), ("score", picks.score)):
        if not np.isfinite(values).all():
            raise FormatError(f"a pick has a {what} that is not a number", "leave it out", path)


def read_text(path: Path) -> str:
    """Text of a coordinate file, or an error that says why there is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise FormatError("no such file", "check the name", path) from error
    except UnicodeDecodeError as error:
        raise FormatError("is not a text file", "check the format", path) from error
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", "", path) from error
