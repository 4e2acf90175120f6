"""Picks and truth that are known by construction."""

import mrcfile
import numpy as np
import pandas as pd
import starfile
import yaml

from cryomae.evaluate import Truth
from cryomae.picks import Picks

NAME, X, Y = "rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY"
SCORE = "rlnAutopickFigureOfMerit"


def truth_of(**micrographs):
    """Truth of ``name=[(x, y), ...]``."""
    rows = [(name, x, y) for name, xy in micrographs.items() for x, y in xy]
    return Truth(pd.DataFrame(rows, columns=["micrograph", "x", "y"]), tuple(micrographs))


def picks_of(**micrographs):
    """Picks of ``name=[(x, y, score), ...]``, named as files."""
    parts = []
    for name, rows in micrographs.items():
        table = np.array(rows, dtype=float).reshape(-1, 3)
        parts.append(Picks.from_arrays(f"mics/{name}.mrc", table[:, :2], table[:, 2], 100))
    return Picks.concat(parts)


def regions_of(*rows):
    """Regions of ``(micrograph, x, y, radius, kind, outside)``."""
    return pd.DataFrame(rows, columns=["micrograph", "x", "y", "radius", "kind", "outside"])


def scattered(rng, count, width, height, apart):
    """Points at least ``apart`` from each other."""
    points = np.zeros((0, 2))
    while len(points) < count:
        new = rng.uniform(0, [width, height], (count, 2))
        for point in new:
            if len(points) < count and (np.hypot(*(points - point).T) >= apart).all():
                points = np.vstack([points, point])
    return points


def write_star(path, rows, columns=(NAME, X, Y, SCORE), pixel_size=None):
    """Write a coordinate file, with an optics block if there is a pixel size."""
    table = pd.DataFrame(rows, columns=list(columns))
    blocks = {"particles": table}
    if pixel_size is not None:
        optics = {"rlnOpticsGroup": [1], "rlnMicrographPixelSize": [pixel_size]}
        blocks = {"optics": pd.DataFrame(optics), "particles": table.assign(rlnOpticsGroup=1)}
    starfile.write(blocks, path)
    return path


def write_set(folder, *, images=True):
    """Write a small simulated set; give the true particles of each micrograph.

    Three micrographs of 400 x 300 pixels at 2 Å, the last without particles, of 40 Å.
    """
    rng = np.random.default_rng(0)
    (folder / "micrographs").mkdir(parents=True)
    names = [f"micrographs/s_{i}.mrc" for i in range(3)]
    truth = {name: scattered(rng, 25 if i < 2 else 0, 400, 300, 24) for i, name in enumerate(names)}
    rows = [
        (name, x, y, 0.3 * (k % 2), 10_000.0 + 5_000 * i)
        for i, (name, xy) in enumerate(truth.items())
        for k, (x, y) in enumerate(xy)
    ]
    write_star(
        folder / "particles.star", rows, (NAME, X, Y, "cryomaeOverlap", "rlnDefocusU"), pixel_size=2
    )
    listed = {"optics": pd.DataFrame({"rlnOpticsGroup": [1], "rlnMicrographPixelSize": [2.0]})}
    listed["micrographs"] = pd.DataFrame({NAME: names, "rlnOpticsGroup": [1, 1, 1]})
    starfile.write(listed, folder / "micrographs.star")
    write_star(
        folder / "contaminants.star",
        [(names[2], 60, 60, "ice", 30, 0), (names[2], 399, 150, "edge", 10, 0)],
        (NAME, X, Y, "cryomaeKind", "cryomaeRadius", "cryomaeOutside"),
    )
    (folder / "simulation.yaml").write_text(yaml.safe_dump({"diameter": 40.0, "pixel_size": 2.0}))
    if images:
        for name, xy in truth.items():
            image = rng.normal(size=(300, 400)).astype(np.float32)
            for x, y in xy.round().astype(int):
                image[max(0, y - 5) : y + 6, max(0, x - 5) : x + 6] -= 3
            with mrcfile.new(folder / name) as mrc:
                mrc.set_data(image)
                mrc.voxel_size = 2.0
    return truth
