"""What a user must know before believing a figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cryomae.evaluate.breakdown import Localisation
from cryomae.evaluate.judge import Judged
from cryomae.evaluate.mistakes import Mistake


def remarks_on(
    judged: Judged,
    threshold: float | None,
    localisation: Localisation | None,
    mistake: Mistake | None,
    shapes: Mapping[str, tuple[int, int]],
) -> tuple[str, ...]:
    """Sentences about what is odd in picks or truth, gravest first.

    Parameters
    ----------
    judged : Judged
        Picks and particles after matching.
    threshold : float or None
        Score of the operating point.
    localisation : Localisation or None
    mistake : Mistake or None
        What seems wrong with the coordinates.
    shapes : mapping of str to (int, int)
        Rows and columns of the micrographs that are known, by stem.
    """
    remarks = []
    picks = judged.picks
    if mistake is not None:
        remarks.append(_sentence(f"{mistake.cause}; {mistake.remedy}"))
    if not len(picks):
        remarks.append("There are no picks: every particle counts as missed.")
    elif threshold is not None and not (picks["score"] >= threshold).any():
        best = picks["score"].max()
        remarks.append(
            f"No pick reaches the threshold {threshold:g}: the best score is {best:.3g}. "
            "Every particle counts as missed."
        )
    if not len(judged.particles):
        remarks.append("The truth holds no particles: recall, F1 and AP are undefined.")
    if localisation is not None and localisation.shifted and mistake is None:
        remarks.append(
            f"Right picks lie off their particles by {localisation.mean_dx:+.1f} px in x and "
            f"{localisation.mean_dy:+.1f} px in y on average: look for a mistake of half a box or "
            "of binning in one of the two files."
        )
    remarks += _about_rows(judged, shapes)
    return tuple(remarks)


def _about_rows(judged: Judged, shapes: Mapping[str, tuple[int, int]]) -> list[str]:
    remarks = []
    picks, left_out = judged.picks, judged.left_out
    twice = int(picks.duplicated(["micrograph", "x", "y"]).sum())
    if twice:
        remarks.append(
            f"{_count(twice, 'pick repeats', 'picks repeat')} the very coordinates of another on "
            "the same micrograph, and can only count as wrong: was a file joined twice?"
        )
    again = int(judged.particles.duplicated(["micrograph", "x", "y"]).sum())
    if again:
        remarks.append(
            f"{_count(again, 'true particle repeats', 'true particles repeat')} the very "
            "coordinates of another: was a file joined twice?"
        )
    sizes = np.array([shapes.get(name, (np.inf, np.inf)) for name in picks["micrograph"]])
    if len(picks):
        xy = picks[["y", "x"]].to_numpy(dtype=np.float64)
        outside = int(((xy < -0.5) | (xy > sizes - 0.5)).any(axis=1).sum())
        if outside:
            remarks.append(
                f"{_count(outside, 'pick lies', 'picks lie')} outside the micrograph: check that "
                "the coordinates are pixels of these files (--scale)."
            )
        idle = sorted(set(judged.micrographs) - set(picks["micrograph"]))
        lost = int(judged.particles["micrograph"].isin(idle).sum())
        if lost:
            remarks.append(
                f"{len(idle):,} of {len(judged.micrographs):,} labelled micrographs have no picks, "
                f"such as '{idle[0]}': their {lost:,} particles count as missed. If these were "
                "never picked, give a truth without them."
            )
    if len(left_out):
        others = left_out["micrograph"].nunique()
        remarks.append(
            f"{_count(len(left_out), 'pick', 'picks')} on "
            f"{_count(others, 'micrograph', 'micrographs')} that the truth does not name "
            "are left out."
        )
    return remarks


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
