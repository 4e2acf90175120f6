"""Begin a session, or go on with one, from what a user names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cryomae.active.answers_file import Row
from cryomae.active.records import SessionMicrograph
from cryomae.active.session import Session
from cryomae.active.settings import SessionSettings, make_settings
from cryomae.active.settle import Settled, settle
from cryomae.active.store import DATABASE
from cryomae.errors import FormatError, InputError, MicrographError
from cryomae.formats.star import read_blocks
from cryomae.io import find_micrographs
from cryomae.io.pixel_size import checked_option
from cryomae.micrograph import MicrographRef

if TYPE_CHECKING:
    from cryomae.pick import Detector

EXEMPLARS = "exemplars"
"""Annotator of what was known before the session began."""

Failures = list[tuple[str, str, str]]
"""Name, cause and remedy of what could not be taken in."""

_REMEDY = (
    "repeat the options that it was begun with, choose another name, or delete that folder if "
    "nothing was answered yet"
)
_OPTIONS = {"diameter": "--diameter", "pixel_size": "--pixel-size", "seed": "--seed"}
_DEFOCUS = ("rlnDefocusU", "rlnDefocusV")
_NAME = "rlnMicrographName"


@dataclass(frozen=True)
class Named:
    """What a user names.

    Attributes
    ----------
    path : Path
        Folder of the session.
    inputs : list of str
        Micrographs: files, folders, globs, lists.
    diameter : float
        Å.
    pixel_size : float or None
        Å per pixel, overriding list and header.
    model : str
    exemplars, negatives : Path or None
        Coordinates of particles, and of places that are none.
    seed : int
    """

    path: Path
    inputs: list[str]
    diameter: float
    pixel_size: float | None = None
    model: str = "default"
    exemplars: Path | None = None
    negatives: Path | None = None
    seed: int = 1


@dataclass(frozen=True, eq=False)
class Beginning:
    """Everything that was checked before anything is written.

    Attributes
    ----------
    named : Named
    refs : list of MicrographRef
    failures : list of MicrographError
        What was named and is not there.
    settings : SessionSettings
    rows : list of Row
        Exemplars and negatives.
    remarks : list of str
        For the user.
    there : bool
        Whether the session is there already.
    """

    named: Named
    refs: list[MicrographRef]
    failures: list[MicrographError]
    settings: SessionSettings
    rows: list[Row]
    remarks: list[str]
    there: bool


def check(named: Named, detector: Detector) -> Beginning:
    """Check everything that a user names; nothing is written.

    Raises
    ------
    InputError, FormatError, MicrographError
        If no micrograph is there, the session has other settings, or the exemplars cannot be
        read, are too few, lie off the micrograph or look mirrored or scaled.
    """
    checked_option(named.pixel_size)
    refs, missing = find_micrographs(named.inputs)
    if not refs:
        raise missing[0]
    settings = make_settings(
        {
            "diameter": named.diameter,
            "pixel_size": named.pixel_size,
            "model": named.model,
            "model_sha256": detector.sha256,
            "seed": named.seed,
        }
    )
    there = (named.path / DATABASE).is_file()
    if not there and named.path.exists() and (not named.path.is_dir() or any(named.path.iterdir())):
        what = "is a folder with other things in it" if named.path.is_dir() else "is a file"
        raise InputError(f"{what}, and no session", "choose another name", named.path)
    if there:
        with Session.open(named.path, write=False) as session:
            _check_same(session, settings)
    rows, remarks = _exemplars(named, detector)
    return Beginning(named, refs, missing, settings, rows, remarks, there)


def begin(plan: Beginning) -> Session:
    """Make the session, or open it and take in micrographs that are new."""
    path = plan.named.path
    defocus = _defocus(plan.named.inputs)
    if not plan.there:
        return Session.create(path, plan.settings, plan.refs, defocus=defocus, annotator=EXEMPLARS)
    session = Session.open(path, annotator=EXEMPLARS)
    try:
        session.extend(plan.refs, defocus)
    except BaseException:
        session.close()
        raise
    return session


def take_exemplars(plan: Beginning, session: Session) -> Settled:
    """Write exemplars and negatives down as answers, those that are not there yet."""
    path = plan.named.exemplars or plan.named.path
    ready = {m.name for m in session.micrographs if m.state == "ready"}
    settled = settle([row for row in plan.rows if row.micrograph in ready], session, path)
    if settled.answers:
        session.answer_many(settled.answers)
    return settled


def failures(session: Session, plan: Beginning) -> Failures:
    """Name, cause and remedy of all that could not be taken in."""
    missing = [(error.path or "(input)", error.cause, error.remedy) for error in plan.failures]
    return missing + [_failure(m) for m in session.micrographs if m.state == "failed"]


def _check_same(session: Session, settings: SessionSettings) -> None:
    old = session.settings
    for field, option in _OPTIONS.items():
        before, now = getattr(old, field), getattr(settings, field)
        if before != now:
            raise InputError(
                f"the session was begun with {_option(option, before)}, not {_option(option, now)}",
                _REMEDY,
                session.path,
            )
    if old.model_sha256 != settings.model_sha256:
        raise InputError(
            f"the session was begun with another model, '{old.model}'",
            _REMEDY,
            session.path,
        )


def _option(name: str, value: float | None) -> str:
    return f"no {name}" if value is None else f"{name} {value:g}"


def _exemplars(named: Named, detector: Detector) -> tuple[list[Row], list[str]]:
    """Exemplars and negatives as rows of a table, checked."""
    if named.exemplars is None:
        if named.negatives is not None:
            raise InputError("--negatives needs --exemplars as well", "", named.negatives)
        return [], []
    from cryomae.names import stem
    from cryomae.train.exemplars import check_places, read_exemplars

    parts, remarks = read_exemplars(
        named.exemplars, named.inputs, named.diameter,
        negative=named.negatives, pixel_size=named.pixel_size,
    )  # fmt: skip
    remarks += check_places(parts, [detector.logits(part.working.image) for part in parts])
    names = {stem(ref.name): ref.name for ref in find_micrographs(named.inputs)[0]}
    rows: list[Row] = []
    for part in parts:
        for kind, places in (("confirm", part.xy), ("reject", part.negatives)):
            for x, y in part.working.to_file(places):
                rows.append(Row(len(rows) + 1, None, kind, names[part.name], (float(x), float(y))))
    return rows, remarks


def _defocus(inputs: Sequence[str]) -> dict[str, float]:
    """Defocus in µm by name, of STAR files that have it."""
    found: dict[str, float] = {}
    for text in inputs:
        if not text.lower().endswith(".star") or not Path(text).is_file():
            continue
        try:
            blocks = read_blocks(Path(text))
        except FormatError:  # said when the list itself is read
            continue
        for table in blocks.values():
            if {_NAME, *_DEFOCUS} <= set(table.columns):
                both = table[list(_DEFOCUS)].apply(pd.to_numeric, errors="coerce")
                mean = both.mean(axis=1, skipna=False) / 1e4
                found |= {
                    str(n): float(d) for n, d in zip(table[_NAME], mean, strict=True) if d == d
                }
    return found


def _failure(micrograph: SessionMicrograph) -> tuple[str, str, str]:
    """Name, cause and remedy; the latter stands in the last brackets of the cause."""
    text = micrograph.cause
    depth = 0
    if text.endswith(")"):
        for i in range(len(text) - 1, 0, -1):
            depth += {")": 1, "(": -1}.get(text[i], 0)
            if not depth:
                return micrograph.name, text[: i - 1], text[i + 1 : -1]
    return micrograph.name, text, ""
