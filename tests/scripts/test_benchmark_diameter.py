"""The benchmark of estimated diameters, on a set that is drawn here."""

import csv

import benchmark_diameter
import mrcfile
import numpy as np
import pytest
from benchmark_diameter import Row


def star(path, columns, rows):
    head = "\n".join(f"_{name} #{i}" for i, name in enumerate(columns, 1))
    body = "\n".join(" ".join(str(value) for value in row) for row in rows)
    path.write_text(f"\ndata_\n\nloop_\n{head}\n{body}\n")


@pytest.fixture
def spheres(tmp_path):
    """Two micrographs of dark spheres, 120 Å wide, in noise."""
    folder = tmp_path / "spheres"
    (folder / "micrographs").mkdir(parents=True)
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:384, :384]
    rows = []
    for name in ("a", "b"):
        image = rng.standard_normal((384, 384))
        for u in range(32, 384, 64):
            for v in range(32, 384, 64):
                spot = np.array([u, v]) + rng.integers(-8, 9, 2)
                r2 = ((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 15**2
                image -= 1.2 * np.sqrt(np.maximum(1 - r2, 0))
                rows.append((f"micrographs/{name}.mrc", *spot))
        with mrcfile.new(folder / "micrographs" / f"{name}.mrc") as mrc:
            mrc.set_data(image.astype(np.float32))
            mrc.voxel_size = 4.0
    star(folder / "particles.star", ["rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY"], rows)
    return folder


def test_the_table(spheres, tmp_path, capsys):
    out = tmp_path / "table.csv"
    benchmark_diameter.main([f"{spheres}:120", "--output", str(out)])
    text = capsys.readouterr().out
    assert "1 sets: median error" in text
    with out.open() as file:
        (row,) = csv.DictReader(file)
    assert row["name"] == "spheres"
    assert float(row["truth"]) == 120
    assert abs(float(row["error"])) < 0.3


def test_a_set_without_an_estimate_counts_as_wrong(capsys):
    nan = float("nan")
    benchmark_diameter.show(
        [Row("a", 4, 100, 104, 90, 120, 0.9, 1.0), Row("b", 4, 100, nan, nan, nan, 0.0, 1.0)]
    )
    text = capsys.readouterr().out
    assert "none" in text
    assert "1 within 10 %" in text
    assert "+4 %" in text


def test_a_folder_without_truth_is_said(tmp_path):
    with pytest.raises(SystemExit, match=r"particles\.star"):
        benchmark_diameter.main([str(tmp_path)])
