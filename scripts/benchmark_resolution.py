"""Say what picks are worth: the resolution that they reach once they are reconstructed.

    export CRYOMAE_DATA=/folder     # holds structures/1y1v.pdb
    cryomae simulate configs/resolution.yaml --output runs/resolution_set
    python scripts/benchmark_resolution.py runs/resolution_set --output runs/resolution

    python scripts/benchmark_peers.py runs/resolution_set --output runs/resolution_peers \
        --pickers cryomae relion-log blob-oracle --seeds 0
    python scripts/benchmark_resolution.py runs/resolution_set --output runs/resolution \
        --peers runs/resolution_peers --picks mine=picks.star

SET is what ``cryomae simulate`` writes; other sets do not know poses. ``cryomae pick`` is run
with the shipped model, unless --peers holds its picks. Other picks come from --picks (a STAR
file, a folder of them, a table of Topaz in .txt, or a folder of ``cryomae pick``) and from all
that benchmark_peers.py kept for this set. RELION (``make system-deps``) extracts and
reconstructs. ``results.md``, ``results.json`` and ``results.png`` are written to --output.

No refinement is run: it would take hours and add its own luck. Instead each pick gets what a
good refinement would find, so that the rows differ by their picks alone:

- **Right picks** (within half a diameter of a particle that no better pick took, as in
  `cryomae.evaluate`) get pose and defocus of their particle. The coordinates are the picker's
  own, rounded to pixels as RELION extracts them; the origin takes up the rest of the distance,
  as a refinement finds it. With --no-recentre it does not, and bad centring costs resolution.
- **Wrong picks** get a random pose and the mean defocus of their micrograph. That includes
  second picks of one particle, and picks on particles that the border cuts; the latter do not
  count in the precision.
- --angle-error turns each right pick by a normal deviate about each of three axes, as a
  refinement errs. Without it, the resolution is a bound that no refinement reaches, and wrong
  picks hurt less than they do in practice, where they also mislead the alignment.

Extraction is ``relion_preprocess`` with inverted contrast, normalised, no downscaling, in a
box of 1.5 diameters. Half-sets are random and equal in number. ``relion_reconstruct --ctf``
makes each half map, with ``--pad 1 --iter 3``: the particle fills less than its box, and
compared with the defaults this is ten times as fast and not coarser. Maps are multiplied with
the same soft sphere for every row (one diameter and an edge of 10 Å).

- **resolution**: where the Fourier shell correlation of the half maps first falls below 0.143.
- **against the truth**: where that of the mean of both half maps with the true potential
  falls below 0.5, which is the same quality, and which no noise common to the halves can
  flatter. A figure as coarse as the particle says that something else, such as contaminants
  that a picker likes best, drowns its very shape.

Each is a mean over --seeds, with the range: a seed draws half-sets, poses of the wrong picks,
and errors. Rows of a picker are its own threshold (``own``; all of a file's picks) and the
highest thresholds at which it finds the --recall. **truth** is what picking could reach at
best; at a recall it is a random part of the particles. **truth and as many wrong** adds a wrong
pick for every particle, anywhere but on one.

Each reconstruction is kept in --output, by its particles, and used again: a run goes on where
it stopped. What is kept does not notice changed code. A picker that fails is a line in the
notes.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _bench import contestants, report, resolution_report
from _bench.contestants import Contestant
from _bench.operating import OWN, Point, at_recalls
from _bench.outcome import FAILURES
from _bench.poses import HALF, halves, match, pose, read_posed_truth
from _bench.relion_maps import Extraction
from _bench.sets import LabelledSet, read_set
from _bench.shells import resolution, shell_correlation, soft_sphere
from _bench.true_map import true_map

from cryomae.errors import CryomaeError

EDGE = 10.0
"""Of the mask, in Å."""


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", type=Path, metavar="SET", help="folder of cryomae simulate")
    add("--output", type=Path, required=True, help="folder for everything that is written")
    add("--picks", nargs="+", default=[], metavar="NAME=PATH", help="picks of other pickers")
    add("--peers", type=Path, metavar="FOLDER", help="output of benchmark_peers.py")
    add("--recall", type=float, nargs="+", default=[0.3, 0.5, 0.7, 0.9], help="default 0.3 to 0.9")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    add("--no-recentre", action="store_true", help="leave picks as badly centred as they are")
    add("--angle-error", type=float, default=0.0, metavar="DEGREES", help="default 0")
    add("--box", type=int, metavar="PIXELS", help="default 1.5 diameters")
    add("--model", default="default", help="name or file of the model (default: the shipped one)")
    add("--jobs", type=int, default=2, help="reconstructions at a time (default 2)")
    given = parser.parse_args(argv)
    given.output = given.output.absolute()
    if shutil.which("relion_reconstruct") is None:
        parser.error("RELION is not installed: run `make system-deps`")
    if given.box is not None and given.box % 2:
        parser.error("--box must be even")
    return given


class Bench:
    """Reconstructs picks of one set, or remembers what came of it.

    Parameters
    ----------
    data : LabelledSet
    folder : Path
        The set.
    given : argparse.Namespace
    """

    def __init__(self, data: LabelledSet, folder: Path, given: argparse.Namespace) -> None:
        self.data, self.folder, self.given = data, folder, given
        self.truth = read_posed_truth(folder, list(data.files))
        across = data.diameter / data.pixel_size
        self.box: int = given.box or 2 * int(np.ceil(0.75 * across))
        self.extent = self.box * data.pixel_size
        edge = EDGE / data.pixel_size
        self.mask = soft_sphere(self.box, min(across / 2, self.box / 2 - edge), edge)
        self.map = true_map(folder, self.box) * self.mask
        self.fingerprint = contestants.fingerprint(data)
        self.kept = given.output / "kept"
        self.kept.mkdir(parents=True, exist_ok=True)

    def points(self, one: Contestant) -> list[Point]:
        """Thresholds of a picker."""
        count = len(self.data.truth.particles)
        taken = match(one.candidates, self.data.truth, self.data.radius)
        points = at_recalls(one.candidates, taken, count, self.given.recall)
        # Without scores there is but one threshold.
        points = points if one.candidates.table["score"].nunique() > 1 else []
        if one.own is not None:
            found = match(one.own, self.data.truth, self.data.radius)
            points.append(Point(OWN, one.own, found, count))
        return points

    def curves(self, one: Contestant, points: list[Point]) -> list[list[dict[str, Any]]]:
        """Both FSC curves of each point and seed."""
        tables = [[self._posed(p, seed) for seed in self.given.seeds] for p in points]
        files = [[self._file(t) for t in of_point] for of_point in tables]
        todo = {
            file: table
            for of_point in zip(files, tables, strict=True)
            for file, table in zip(*of_point, strict=True)
            if not file.is_file()
        }
        if todo:
            made = Extraction(self.given.output / "project", self.folder, self.box)
            made.add(pd.concat(todo.values()))
            for number, (file, table) in enumerate(todo.items(), start=1):
                file.write_text(json.dumps(self._measure(made, table)) + "\n")
                print(f"{one.name}: {number} of {len(todo)} reconstructed", flush=True)
            made.discard()
        return [[json.loads(file.read_text()) for file in of_point] for of_point in files]

    def _posed(self, point: Point, seed: int) -> pd.DataFrame:
        particles = pose(
            point.picks, point.taken, self.truth, self.data.pixel_size, seed,
            recentre=not self.given.no_recentre, angle_error=self.given.angle_error,
        )  # fmt: skip
        return particles.assign(**{HALF: halves(len(particles), seed)})

    def _file(self, particles: pd.DataFrame) -> Path:
        text = particles.to_csv(index=False, float_format="%.3f")
        whole = f"{self.fingerprint} {self.data.pixel_size} {self.data.diameter} {self.box} {text}"
        return self.kept / f"{hashlib.sha256(whole.encode()).hexdigest()[:20]}.json"

    def _measure(self, made: Extraction, particles: pd.DataFrame) -> dict[str, Any]:
        one, other = (v * self.mask for v in made.reconstruct(particles, self.given.jobs))
        return {
            "fsc": shell_correlation(one, other).round(5).tolist(),
            "fsc_truth": shell_correlation(one + other, self.map).round(5).tolist(),
        }


def results_of(bench: Bench, one: Contestant) -> list[dict[str, Any]]:
    """Everything measured of one picker, a dictionary a threshold."""
    points = bench.points(one)
    rows = []
    limits = {"fsc": resolution_report.HALF_MAPS, "fsc_truth": resolution_report.AGAINST_TRUTH}
    for point, of_point in zip(points, bench.curves(one, points), strict=True):
        curves = {key: np.array([c[key] for c in of_point]) for key in limits}
        half, true = (
            [resolution(curve, limits[key], bench.extent) for curve in curves[key]]
            for key in limits
        )
        rows.append(
            {
                "name": one.name, "threshold": point.label, "picks": len(point.picks),
                "right": point.right, "precision": point.precision, "recall": point.recall,
                "distance": _distance(point, bench), "resolution": half,
                "resolution_truth": true,
                **{key: curve.mean(axis=0).round(4).tolist() for key, curve in curves.items()},
            }
        )  # fmt: skip
    return rows


def _distance(point: Point, bench: Bench) -> float:
    """Median distance of right picks from their particles, in Å."""
    right = point.taken >= 0
    places = bench.data.truth.particles[["x", "y"]].to_numpy(dtype=float)[point.taken[right]]
    apart = np.linalg.norm(point.picks.xy[right] - places, axis=1)
    return float(np.median(apart)) * bench.data.pixel_size if len(apart) else float("nan")


def gather(given: argparse.Namespace, data: LabelledSet, notes: list[str]) -> list[Contestant]:
    """All whose picks are to be had; failures go to the notes."""
    found = contestants.of_truth(data)
    peers = contestants.from_peers(given.peers, data) if given.peers else []
    if not any(p.name == "cryomae" for p in peers):
        try:
            found.append(contestants.run_cryomae(data, given.output / "cryomae", given.model))
        except FAILURES as error:
            notes.append(f"cryomae: failed: {str(error).strip().splitlines()[-1]}")
    found += peers
    found += [contestants.from_file(spec, data) for spec in given.picks]
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two pickers are called {twice[0]}")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Reconstruct and report."""
    given = arguments(argv)
    given.output.mkdir(parents=True, exist_ok=True)
    notes: list[str] = []
    try:
        data = read_set(given.data, given.data.resolve().name)
        bench = Bench(data, given.data, given)
        everyone = gather(given, data, notes)
    except (CryomaeError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    rows: list[dict[str, Any]] = []
    for one in everyone:
        notes.append(f"{one.name}: {one.note}" if one.note else one.name)
        try:
            rows += results_of(bench, one)
        except FAILURES as error:
            notes.append(f"{one.name}: failed: {str(error).strip().splitlines()[-1]}")
            print(notes[-1], flush=True)
    notes += [
        f"{data.name}: {len(data.files)} micrographs with {len(data.truth.particles)} particles of "
        f"{data.diameter:.0f} Å; box {bench.box} px of {data.pixel_size:g} Å, so nothing is finer "
        f"than {2 * data.pixel_size:g} Å; seeds {', '.join(map(str, given.seeds))}",
        f"poses are true, but for {given.angle_error:g}° about each axis; right picks are "
        + ("not recentred" if given.no_recentre else "recentred"),
        "resolution: mean over seeds (range); off by: median distance of right picks",
    ]
    results = {"machine": report.machine(), "extent": bench.extent, "rows": rows, "notes": notes}
    title = "Resolution that picks give"
    report.write(given.output, results, {data.name: resolution_report.table(rows)}, title)
    resolution_report.draw(given.output / "results.png", rows, bench.extent)


if __name__ == "__main__":
    main()
