"""Answers as a table: CSV to fill in, and what somebody filled in."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryomae.atomic import write_text
from cryomae.errors import InputError

COLUMNS = ("id", "micrograph", "x", "y", "score", "reason", "answer")
"""Of a template; a filled-in file needs ``answer`` and either ``id`` or a place."""

WORDS = {
    "confirm": ("confirm", "confirmed", "y", "yes", "1", "1.0", "true", "add", "move"),
    "reject": ("reject", "rejected", "n", "no", "0", "0.0", "false"),
    "skip": ("skip", "skipped", "s", "?"),
}
"""What may stand in the column answer."""

_MEANS = {word: kind for kind, words in WORDS.items() for word in words}
_SHOWN = 8  # wrong rows that are listed
_REMEDY = "correct them and give the file again"


@dataclass(frozen=True)
class Asked:
    """A row of a template.

    Attributes
    ----------
    id : int
        Of the proposal.
    micrograph : str
    x, y : float
        Pixels of the file.
    score : float
        Chance that it is a particle.
    reason : str
    """

    id: int
    micrograph: str
    x: float
    y: float
    score: float
    reason: str


@dataclass(frozen=True)
class Row:
    """A row that somebody filled in.

    Attributes
    ----------
    number : int
        As a spreadsheet counts, the heading is 1.
    id : int or None
        Of a proposal.
    kind : str
        ``confirm``, ``reject`` or ``skip``.
    micrograph : str
        Empty if it is not given.
    xy : tuple of float, or None
        Pixels of the file.
    """

    number: int
    id: int | None
    kind: str
    micrograph: str
    xy: tuple[float, float] | None


def write_template(path: Path, rows: Iterable[Asked]) -> None:
    """Write a table of proposals with an empty column ``answer``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for r in rows:
        place = (f"{r.x:.1f}", f"{r.y:.1f}", f"{r.score:.3f}")
        writer.writerow((r.id, r.micrograph, *place, r.reason, ""))
    write_text(path, text.getvalue())


def read_rows(path: Path) -> tuple[list[Row], int]:
    """Read a filled-in table, by what stands in it alone.

    Parameters
    ----------
    path : Path
        CSV with a heading; commas, semicolons or tabs part the columns, and with the latter
        two a decimal comma is understood, as spreadsheets write in many languages.

    Returns
    -------
    rows : list of Row
        Those with an answer, in order.
    left : int
        Rows whose answer is empty.

    Raises
    ------
    InputError
        That names every wrong row, up to eight.
    """
    records = _records(path)
    heading = [name.strip().lower() for name in records[0]] if records else []
    _check_heading(heading, path)
    rows, left, wrong = [], 0, []
    for number, record in enumerate(records[1:], 2):
        if not any(cell.strip() for cell in record):
            continue
        if len(record) > len(heading) and any(cell.strip() for cell in record[len(heading) :]):
            wrong.append(f"row {number}: has {len(record)} columns, the heading {len(heading)}")
            continue
        cells = dict(zip(heading, (cell.strip() for cell in record), strict=False))
        if not cells.get("answer"):
            left += 1
            continue
        try:
            rows.append(_row(number, cells))
        except ValueError as error:
            wrong.append(f"row {number}: {error}")
    raise_wrong(path, wrong)
    if not rows and not left:
        raise InputError("holds no rows", "fill in the column answer: y, n or s", path)
    return rows, left


def raise_wrong(path: Path, wrong: Sequence[str]) -> None:
    """Raise InputError that lists wrong rows, if there are any."""
    if not wrong:
        return
    count = f"{len(wrong)} rows are" if len(wrong) > 1 else "a row is"
    listed = "".join(f"\n  {line}" for line in wrong[:_SHOWN])
    more = f"\n  and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    raise InputError(f"{count} wrong, nothing was taken:{listed}{more}\n ", _REMEDY, path)


def _records(path: Path) -> list[list[str]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            "is not text in UTF-8", "save it from the spreadsheet as 'CSV UTF-8'", path
        ) from None
    except OSError as error:
        remedy = "name the file that `cryomae active propose --csv` wrote, filled in"
        raise InputError(f"cannot be read: {error.strerror or error}", remedy, path) from error
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"is not a table: {error}", "save it as CSV", path) from error
    if delimiter == ",":
        return records
    return [[_decimal_point(cell) for cell in record] for record in records]


def _decimal_point(cell: str) -> str:
    """A number with a decimal comma as one with a point; all else as it is."""
    number = cell.strip().replace(",", ".")
    if cell.count(",") != 1 or not number.removeprefix("-").replace(".", "", 1).isdigit():
        return cell
    return number


def _check_heading(heading: list[str], path: Path) -> None:
    remedy = "the first row must name the columns: id and answer, or micrograph, x, y and answer"
    found = f"; its first row is: {', '.join(heading)[:100]}" if any(heading) else ""
    if "answer" not in heading:
        raise InputError(f"has no column answer{found}", remedy, path)
    if "id" not in heading and not {"micrograph", "x", "y"} <= set(heading):
        raise InputError(f"has neither ids nor places{found}", remedy, path)
    if ("x" in heading) != ("y" in heading):
        raise InputError(f"has one of the columns x and y only{found}", remedy, path)
    twice = {name for name in heading if name and heading.count(name) > 1}
    if twice:
        raise InputError(f"has the column {min(twice)} twice", "take one of them out", path)


def _row(number: int, cells: dict[str, str]) -> Row:
    """Make a row; ValueError says in words what is wrong with it."""
    word = cells["answer"].lower()
    if word not in _MEANS:
        raise ValueError(f"'{cells['answer']}' is none of y, n, s (confirm, reject, skip)")
    kind = _MEANS[word]
    x, y = cells.get("x", ""), cells.get("y", "")
    if bool(x) != bool(y):
        raise ValueError(f"{'x' if x else 'y'} is given and {'y' if x else 'x'} is not")
    xy = (_number(x, "x"), _number(y, "y")) if x else None
    text = cells.get("id", "")
    if not text:
        if not cells.get("micrograph") or xy is None:
            raise ValueError("has neither an id nor a micrograph with x and y")
        return Row(number, None, kind, cells["micrograph"], xy)
    whole = text.removesuffix(".0")  # a spreadsheet's whole number
    if not whole.isascii() or not whole.isdigit():
        raise ValueError(f"the id '{text}' is no whole number")
    return Row(number, int(whole), kind, cells.get("micrograph", ""), xy)


def _number(text: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{column} '{text}' is no number")
    return value
