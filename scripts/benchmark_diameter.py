"""Compare estimated particle diameters with the true ones.

    python scripts/benchmark_diameter.py runs/suite
    python scripts/benchmark_diameter.py runs/suite ../shared/data/empiar10017:191 \
        --output runs/diameter.csv

Each argument is a set, ``FOLDER``, ``FOLDER:DIAMETER`` or ``FOLDER:DIAMETER:PIXEL_SIZE``, in Å:
a folder with ``micrographs/`` and ``particles.star``; or a suite, a folder of such sets.
`cryomae simulate` writes them, with the true diameter.

Estimates are what ``cryomae pick --diameter auto`` does: from up to ten micrographs of a set,
evenly spread (--micrographs). Confidence is the probability, as cryomae gives it, that an
estimate is right within 20 %; the last lines compare it with how often that was so. A set
without an estimate ("none") counts as wrong.
"""

import argparse
import csv
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from _bench.sets import LabelledSet, find_sets

from cryomae.diameter import Measurement, estimate_from, measure
from cryomae.errors import CryomaeError, InputError
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef


@dataclass(frozen=True)
class Row:
    """One set; lengths in Å, NaN where there is no estimate."""

    name: str
    micrographs: int
    truth: float
    estimate: float
    low: float
    high: float
    confidence: float
    seconds: float

    @property
    def error(self) -> float:
        """Relative error, with its sign."""
        return self.estimate / self.truth - 1


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", help="FOLDER[:DIAMETER[:PIXEL_SIZE]]")
    parser.add_argument("--micrographs", type=int, default=10, help="of a set (default 10)")
    parser.add_argument("--output", type=Path, help="CSV file for the table")
    given = parser.parse_args(argv)
    if given.micrographs < 1:
        parser.error("--micrographs must be at least 1")
    return given


def judge(one: LabelledSet, most: int) -> Row:
    """Estimate the diameter of one set."""
    names = list(one.files)
    chosen = np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int))
    measured: list[Measurement] = []
    seconds = 0.0
    for i in chosen:
        path = one.files[names[i]]
        micrograph = read_micrograph(MicrographRef(names[i], path), one.pixel_size)
        start = time.perf_counter()
        measured.append(measure(micrograph.pixels, micrograph.pixel_size))
        seconds += time.perf_counter() - start
    name = one.name if one.name == one.group else f"{one.group}/{one.name}"
    seconds /= max(len(measured), 1)
    try:
        found = estimate_from(measured)
    except InputError:
        return Row(name, len(measured), one.diameter, *(float("nan"),) * 3, 0.0, seconds)
    return Row(
        name, len(measured), one.diameter, found.diameter, found.low, found.high,
        found.confidence, seconds,
    )  # fmt: skip


def show(rows: Sequence[Row]) -> None:
    """Print the table and what it comes to."""
    width = max(len(row.name) for row in rows)
    heads = ("true Å", "estimate", "error", "range", "confidence", "s/micrograph")
    print(f"{'set':<{width}}  {heads[0]:>7} {heads[1]:>9} {heads[2]:>7}  {heads[3]:>12}  "
          f"{heads[4]:>10} {heads[5]:>13}")  # fmt: skip
    for row in rows:
        found = np.isfinite(row.estimate)
        estimate = f"{row.estimate:.0f}" if found else "none"
        error = f"{100 * row.error:+.0f} %" if found else ""
        span = f"{row.low:.0f} to {row.high:.0f}" if found else ""
        print(f"{row.name:<{width}}  {row.truth:>7.0f} {estimate:>9} {error:>7}  {span:>12}  "
              f"{row.confidence:>10.2f} {row.seconds:>13.2f}")  # fmt: skip
    error = np.array([abs(row.error) if np.isfinite(row.estimate) else np.inf for row in rows])
    sure = np.array([row.confidence for row in rows])
    inside = np.mean([row.low <= row.truth <= row.high for row in rows])
    print(f"\n{len(rows)} sets: median error {100 * np.median(error):.1f} %, "
          f"{np.sum(error <= 0.1)} within 10 %, {np.sum(error <= 0.2)} within 20 %, "
          f"{100 * inside:.0f} % inside their range")  # fmt: skip
    for low, high in ((0, 0.6), (0.6, 0.8), (0.8, 1.01)):
        some = (sure >= low) & (sure < high)
        if some.any():
            print(f"confidence {low:g} to {min(high, 1):g}: {some.sum()} sets, said "
                  f"{sure[some].mean():.2f} on average, right within 20 %: "
                  f"{np.mean(error[some] <= 0.2):.2f}")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    given = arguments(argv)
    try:
        rows = [judge(one, given.micrographs) for spec in given.sets for one in find_sets(spec)]
    except CryomaeError as error:
        raise SystemExit(f"error: {error}") from None
    show(rows)
    if given.output is not None:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        with given.output.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, [*asdict(rows[0]), "error"])
            table.writeheader()
            table.writerows(asdict(row) | {"error": row.error} for row in rows)


if __name__ == "__main__":
    main()
