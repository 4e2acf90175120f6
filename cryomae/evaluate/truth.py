"""What is known to be in the micrographs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pandas as pd

PARTICLE_COLUMNS = ("micrograph", "x", "y")
REGION_COLUMNS = ("micrograph", "x", "y", "radius", "kind", "outside")

EDGE = "edge"
"""Kind of a region where a pick is neither right nor wrong: a particle cut by the border."""


def no_regions() -> pd.DataFrame:
    """Table of regions without rows."""
    return pd.DataFrame({column: [] for column in REGION_COLUMNS})


@dataclass(frozen=True)
class Truth:
    """True particles of labelled micrographs, and what else is known to lie in them.

    Attributes
    ----------
    particles : DataFrame
        One row a particle: ``micrograph`` (stem of its name), ``x`` and ``y`` (pixels, as
        in `Picks`). Optional: ``overlap`` (0 to 1, share of the particle's disc that others
        cover) and ``defocus`` (µm, positive is underfocus).
    micrographs : tuple of str
        Stems of all labelled micrographs, those without a particle included.
    regions : DataFrame
        One row a contaminant: ``micrograph``, ``x``, ``y``, ``radius`` (pixels), ``kind``,
        and ``outside``: true where the region is everything outside the circle.
    """

    particles: pd.DataFrame
    micrographs: tuple[str, ...]
    regions: pd.DataFrame = field(default_factory=no_regions)

    def __post_init__(self) -> None:
        for table, columns in (
            (self.particles, PARTICLE_COLUMNS),
            (self.regions, REGION_COLUMNS),
        ):
            missing = [c for c in columns if c not in table.columns]
            if missing:
                raise ValueError(f"Truth needs the columns {', '.join(missing)}")
        unknown = set(self.particles["micrograph"]) - set(self.micrographs)
        if unknown:
            raise ValueError(f"particles of micrographs that are not listed: {sorted(unknown)[:2]}")

    def only(self, micrographs: Collection[str]) -> Truth:
        """Truth of those of the ``micrographs`` that are labelled."""
        wanted = set(micrographs)
        return Truth(
            self.particles[self.particles["micrograph"].isin(wanted)].reset_index(drop=True),
            tuple(name for name in self.micrographs if name in wanted),
            self.regions[self.regions["micrograph"].isin(wanted)].reset_index(drop=True),
        )
