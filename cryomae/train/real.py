"""A pool of fields from real micrographs, whose truth is not known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryomae.atomic import write_text
from cryomae.errors import CryomaeError, InputError, MicrographError
from cryomae.micrograph import MicrographRef
from cryomae.train.fields import Field
from cryomae.train.pool import write_fields
from cryomae.train.working import usable_image

RECORD = "micrographs.json"


def make_real_pool(
    folder: Path,
    refs: Sequence[MicrographRef],
    diameter: float,
    *,
    window: int,
    pixel_size: float | None = None,
    most: int = 1000,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[MicrographError]:
    """Make the fields of real micrographs, or go on where an earlier call stopped.

    What the first call chose is recorded and kept, so that a run that goes on sees the
    micrographs it began with, though there may be more by now.

    Parameters
    ----------
    folder : Path
    refs : sequence of MicrographRef
    diameter : float
        Of the particle in Å.
    window : int
        Side of the windows that will be drawn, in working pixels.
    pixel_size : float, optional
        Å per pixel, overriding list and header.
    most : int
        Micrographs to use at most, evenly spread over the list.
    on_progress : callable, optional
        ``on_progress(done, total)`` in micrographs.

    Returns
    -------
    list of MicrographError
        Of those that could not be used.

    Raises
    ------
    InputError
        If that is all of them.
    """
    chosen, failed = _recall(folder / RECORD)
    if not chosen and refs:
        places = np.linspace(0, len(refs) - 1, min(most, len(refs)))
        chosen = [refs[int(i)] for i in places.round()]
        _note(folder / RECORD, chosen, None)
    if failed is None:
        failed = []
        for i, ref in enumerate(chosen):
            path = folder / f"fields_{i:06d}.npz"
            if not path.exists():
                try:
                    working = usable_image(ref, diameter, window, pixel_size)
                    write_fields(path, [Field(working.image, working.valid)])
                except MicrographError as error:
                    failed.append(MicrographError(error.cause, error.remedy, ref.path))
            if on_progress is not None:
                on_progress(i + 1, len(chosen))
        if len(failed) < len(chosen):
            _note(folder / RECORD, chosen, failed)
    if len(failed) == len(chosen):
        (folder / RECORD).unlink(missing_ok=True)
        why = f"the first: {failed[0]}" if failed else "the list is empty"
        raise InputError(f"none of the {len(chosen)} micrographs can be used; {why}")
    return failed


def earlier_failures(folder: Path) -> list[MicrographError]:
    """Micrographs that an earlier `make_real_pool` in the folder could not use."""
    return _recall(folder / RECORD)[1] or []


def _note(path: Path, chosen: list[MicrographRef], failed: list[MicrographError] | None) -> None:
    content: dict[str, Any] = {
        "chosen": [[r.name, r.path.absolute().as_posix(), r.pixel_size] for r in chosen],
        "failed": None if failed is None else [[e.cause, e.remedy, e.path] for e in failed],
    }
    write_text(path, json.dumps(content, indent=1) + "\n")


def _recall(path: Path) -> tuple[list[MicrographRef], list[MicrographError] | None]:
    if not path.exists():
        return [], None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        chosen = [MicrographRef(name, Path(file), size) for name, file, size in content["chosen"]]
        failed = content["failed"]
        return chosen, None if failed is None else [MicrographError(*e) for e in failed]
    except (ValueError, KeyError, TypeError) as error:
        raise CryomaeError(
            "this is not the record of a pool", "begin anew with --overwrite", path
        ) from error
