"""Measure how often wrong coordinates are noticed, and right ones taken for wrong.

    python scripts/benchmark_orientation.py runs/fewshot/*-clear runs/fewshot/*-faint
    python scripts/benchmark_orientation.py $CRYOMAE_DATA/empiar10017

Each folder holds ``particles.star`` and ``micrographs/``. Its true particles are stored in all
eight ways to lay a square on itself, at full size and binned by 4, and read as they stand: the
right way has to be named. As a control, as many places drawn at random must raise no warning.
With all particles of six micrographs and with few of them, with and without the diameter.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from cryomae.exchange import load
from cryomae.exchange.load import Loaded
from cryomae.orientation import Verdict, check
from cryomae.picks import Picks
from cryomae.transforms import SQUARES, Transform

AS_IS = Transform()


def stored(table: pd.DataFrame, change: Transform, loaded: Loaded) -> Picks:
    """Coordinates that the change brings to where they are now."""
    parts = []
    for name, part in table.groupby("micrograph", sort=False):
        size = np.array(loaded.context.shapes[str(name)][::-1], float)
        xy = part[["x", "y"]].to_numpy(float)
        xy = np.where([change.mirror_x, change.mirror_y], size - 1 - xy, xy)
        xy = (xy[:, ::-1] if change.swap else xy) / change.scale
        parts.append(part.assign(x=xy[:, 0], y=xy[:, 1]))
    return Picks(pd.concat(parts, ignore_index=True))


def at_random(table: pd.DataFrame, loaded: Loaded, rng: np.random.Generator) -> pd.DataFrame:
    """As many places anywhere in the same micrographs."""
    shapes = np.array([loaded.context.shapes[name] for name in table["micrograph"]], float)
    xy = rng.uniform(0, shapes[:, ::-1] - 1)
    return table.assign(x=xy[:, 0], y=xy[:, 1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="+")
    add("--picks", type=int, nargs="+", default=[30, 60, 10**9], help="taken (default 30 60 all)")
    add("--diameter", type=float, help="in Å, told in half of the runs")
    add("--random", type=int, default=8, help="controls of each kind (default 8)")
    add("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    total: dict[int, Counter[str]] = {count: Counter() for count in given.picks}
    for folder in given.folders:
        loaded = load(folder / "particles.star", str(folder / "micrographs"))
        names = loaded.picks.table["micrograph"].value_counts().index[:6]
        every = loaded.picks.table[loaded.picks.table["micrograph"].isin(names)]
        here = Counter[str]()
        for count in given.picks:
            for diameter in {given.diameter or np.nan, np.nan}:
                table = every.sample(min(count, len(every)), random_state=given.seed)
                table = table.assign(diameter=diameter)
                tally = Counter[str]()
                for scale in (1.0, 4.0):
                    for turn in SQUARES:
                        change = Transform(scale, *turn)
                        picks = stored(table, change, loaded)
                        found = check(picks, AS_IS, loaded.refs, loaded.context.pixel_sizes)
                        right = Verdict.RIGHT if change == AS_IS else Verdict.WRONG
                        known = found.verdict is right and found.best == change
                        silent = found.verdict is Verdict.UNKNOWN
                        tally["named" if known else "silent" if silent else "misled"] += 1
                for _ in range(given.random):
                    picks = Picks(at_random(table, loaded, rng))
                    found = check(picks, AS_IS, loaded.refs, loaded.context.pixel_sizes)
                    tally["false alarms" if found.verdict is Verdict.WRONG else "no alarms"] += 1
                total[count] += tally
                here += tally
        print(f"{folder}: {dict(here)}", flush=True)
    for count, tally in total.items():
        print(f"{count if count < 10**9 else 'all'} picks: {dict(tally)}")


if __name__ == "__main__":
    main()
