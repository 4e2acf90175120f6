"""Tables beside the picks: one row a micrograph for people, lists for RELION."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cryomae.atomic import atomic_path
from cryomae.batch.layout import SUFFIX, Layout
from cryomae.batch.result import Outcome
from cryomae.formats import star

_COLUMNS = (
    "micrograph",
    "picks",
    "candidates",
    "masked_percent",
    "seconds",
    "pixel_size_A",
    "pixel_size_from",
    "status",
    "cause",
    "remedy",
    "picks_file",
)


def write_summary_csv(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write one row a micrograph, failures included."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(_COLUMNS)
        for outcome in outcomes:
            writer.writerow(_row(outcome))


def write_relion_lists(
    layout: Layout, outcomes: Sequence[Outcome], micrographs_star: Path | None
) -> dict[str, Path]:
    """Write the files that RELION's extraction job asks for.

    Parameters
    ----------
    layout : Layout
        Where the files go.
    outcomes : sequence of Outcome
        Micrographs; those without picks file are left out.
    micrographs_star : Path or None
        STAR file the micrographs came from, if they did.

    Returns
    -------
    dict of str to Path
        Files written, by the RELION version they are for.
    """
    rows = [(o.name, project_path(o.picks_file)) for o in outcomes if o.picks_file]
    star.write_list(layout.list, rows)
    files = {"relion": layout.list}
    if micrographs_star is not None:
        files["relion31"] = star.write_suffix_file(
            layout.picks_folder, SUFFIX, project_path(micrographs_star)
        )
    return files


def project_path(path: Path) -> str:
    """Path as RELION wants it: seen from the folder the command runs in, if it lies below."""
    here = os.getcwd()
    full = os.path.abspath(path)
    return os.path.relpath(full, here) if full.startswith(here.rstrip("/") + "/") else full


def short_names(names: Sequence[str]) -> dict[str, str]:
    """File names without folders where they differ, as cryoSPARC's import matches them best."""
    counts = Counter(PurePosixPath(name).name for name in names)
    base = {name: PurePosixPath(name).name for name in names}
    return {name: base[name] if counts[base[name]] == 1 else name for name in names}


def _row(outcome: Outcome) -> list[object]:
    def number(value: float | None, places: int) -> str:
        return "" if value is None else f"{value:.{places}f}"

    return [
        outcome.name,
        outcome.picks if outcome.picks_file else "",
        outcome.candidates if outcome.picks_file else "",
        number(None if outcome.masked is None else 100 * outcome.masked, 1),
        number(outcome.seconds, 2),
        number(outcome.pixel_size, 4),
        outcome.pixel_size_source,
        outcome.status,
        outcome.cause,
        outcome.remedy,
        "" if outcome.picks_file is None else str(outcome.picks_file),
    ]
