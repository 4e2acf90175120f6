"""STAR files as RELION writes them, read into tables with all text verbatim.

The package starfile, which writes our tables, is not used here: it takes an apostrophe for a
quotation mark and cuts a row at any ``#``, so that names of files come back changed.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from cryomae.errors import FormatError

NAME = "rlnMicrographName"

# A quotation mark begins a text only at the start of a word, and ends it only at the end of one.
_WORD = re.compile(r"""(["'])(.*?)\1(?=\s|$)|(\S+)""")
_ABSENT = {"<NA>": "nan"}  # as starfile writes what is missing


def read_blocks(path: str | Path) -> dict[str, pd.DataFrame]:
    """Blocks of a STAR file as tables, single values as a table of one row.

    Parameters
    ----------
    path : str or Path
        Any STAR file.

    Returns
    -------
    dict of str to DataFrame
        By name of the block; columns have no underscore before their names. Columns of numbers
        are numeric, and all others text; names of micrographs always are. Empty for a file
        without any block.

    Raises
    ------
    FormatError
        If the file cannot be read, or a row has more or fewer values than there are columns.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise FormatError("no such file", "check the name", path) from error
    except PermissionError as error:
        raise FormatError("permission denied", "ask for read access", path) from error
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", "", path) from error
    except UnicodeDecodeError as error:
        raise FormatError("is not a STAR file", "check that it is complete", path) from error
    found: dict[str, pd.DataFrame] = {}
    for name, columns, rows in _split(text):
        found.setdefault(name, _table(name, columns, rows, path))  # RELION, too, takes the first
    return found


def _split(text: str) -> list[tuple[str, list[str], list[str]]]:
    """Name, columns and rows of each block; the single values of a block make one row."""
    blocks: list[tuple[str, list[str], list[str]]] = []
    in_loop = False
    for line in text.split("\n"):
        row = line.strip()
        if not row or row.startswith("#"):
            continue
        if row.startswith("data_") and len(row.split()) == 1:
            blocks.append((row[5:], [], []))
            in_loop = False
        elif not blocks:
            continue
        elif row == "loop_" and not blocks[-1][2]:
            in_loop = True
        elif row.startswith("_") and not (in_loop and blocks[-1][2]):
            name, _, value = row.partition(" ") if " " in row else row.partition("\t")
            blocks[-1][1].append(name[1:])
            if not in_loop:
                blocks[-1][2][:] = [" ".join([*blocks[-1][2], value.strip() or '""'])]
        elif in_loop:
            blocks[-1][2].append(row)
    return blocks


def _table(name: str, columns: list[str], rows: list[str], path: str | Path) -> pd.DataFrame:
    plain = not any(mark in row for row in rows for mark in "\"'#")
    values = [row.split() for row in rows] if plain else [_words(row) for row in rows]
    for number, found in enumerate(values, start=1):
        if len(found) != len(columns):
            raise FormatError(
                f"row {number} of data_{name} has {len(found)} values, and there are "
                f"{len(columns)} columns",
                "correct that row; a name with a space stands between quotation marks",
                path,
            )
    by_column = zip(*values, strict=True) if values else ((),) * len(columns)
    return pd.DataFrame(
        {
            column: _typed(column, list(given))
            for column, given in zip(columns, by_column, strict=True)
        },
        columns=list(dict.fromkeys(columns)),
    )


def _words(row: str) -> list[str]:
    words = []
    for quote, quoted, plain in _WORD.findall(row):
        if plain.startswith("#"):  # a remark
            break
        words.append(quoted if quote else plain)
    return words


def _typed(column: str, values: list[str]) -> pd.Series:
    if column != NAME:
        try:
            return pd.to_numeric(pd.Series([_ABSENT.get(v, v) for v in values], dtype=object))
        except ValueError:
            pass
    return pd.Series(values, dtype=object)
