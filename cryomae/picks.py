"""Picks: the one table of coordinates that everything reads and writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

COLUMNS = ("micrograph", "x", "y", "score", "diameter", "provenance")


@dataclass(frozen=True)
class Picks:
    """Particle coordinates, one row a particle.

    Attributes
    ----------
    table : DataFrame
        Columns ``micrograph`` (name, verbatim), ``x`` and ``y`` (pixels of the
        original file, 0-based; x is the column and y the row of the MRC array as
        stored), ``score`` (calibrated, 0 to 1), ``diameter`` (Å) and
        ``provenance`` (what made the pick). Rows keep the order they were given in.
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        missing = [c for c in COLUMNS if c not in self.table.columns]
        if missing:
            raise ValueError(f"Picks need the columns {', '.join(missing)}")

    @classmethod
    def from_arrays(
        cls,
        micrograph: str,
        xy: ArrayLike,
        score: ArrayLike,
        diameter: float,
        provenance: str = "",
    ) -> Picks:
        """Make the picks of one micrograph.

        Parameters
        ----------
        micrograph : str
            Name of the micrograph.
        xy : array_like, shape (n, 2)
            x and y in pixels of the original file.
        score : array_like, shape (n,)
            Scores from 0 to 1.
        diameter : float
            Particle diameter in Å.
        provenance : str
            What made the picks, such as a model name.
        """
        points = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
        return cls(
            pd.DataFrame(
                {
                    "micrograph": pd.Series([micrograph] * len(points), dtype=object),
                    "x": points[:, 0],
                    "y": points[:, 1],
                    "score": np.asarray(score, dtype=np.float64).reshape(-1),
                    "diameter": np.full(len(points), float(diameter)),
                    "provenance": pd.Series([provenance] * len(points), dtype=object),
                }
            )
        )

    @classmethod
    def concat(cls, many: Iterable[Picks]) -> Picks:
        """Join picks of several micrographs into one table."""
        tables = [p.table for p in many]
        filled = [t for t in tables if len(t)]
        if not filled:
            return cls.from_arrays("", np.zeros((0, 2)), np.zeros(0), 0.0)
        return cls(pd.concat(filled, ignore_index=True))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def xy(self) -> NDArray[np.float64]:
        """Coordinates, shape (n, 2), x then y."""
        # Ten times as fast as taking both columns out of the table at once.
        columns = (self.table[name].to_numpy(dtype=np.float64) for name in ("x", "y"))
        return np.stack(list(columns), axis=1)

    @property
    def score(self) -> NDArray[np.float64]:
        """Scores, shape (n,)."""
        return self.table["score"].to_numpy(dtype=np.float64)

    def above(self, threshold: float) -> Picks:
        """Picks whose score is at least ``threshold``."""
        return Picks(self.table[self.table["score"] >= threshold].reset_index(drop=True))

    def best(self, count: int) -> Picks:
        """The ``count`` picks with the highest scores, best first."""
        order = np.argsort(-self.score, kind="stable")[:count]
        return Picks(self.table.iloc[order].reset_index(drop=True))
