"""The whole story in one window, with real keys and clicks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from scipy.spatial import cKDTree

from cryomae.active.journal import Answer
from cryomae.active.session import Session
from cryomae.formats import read_picks
from cryomae.names import stem

DIAMETER = 150.0


def _true_places(data_dir: Path, name: str) -> np.ndarray:
    picks = read_picks(data_dir / "empiar10017" / "particles.star").table
    mine = picks[[stem(n) == stem(name) for n in picks["micrograph"]]]
    return mine[["x", "y"]].to_numpy()


def _apart(places: np.ndarray, count: int, least: float) -> list[tuple[float, float]]:
    chosen: list[tuple[float, float]] = []
    for x, y in places:
        if all(np.hypot(x - a, y - b) > least for a, b in chosen):
            chosen.append((float(x), float(y)))
    return chosen[:count]


def _picked(folder: Path) -> set[tuple[str, int, int]]:
    found = set()
    for path in folder.rglob("Falcon*_cryomae.star"):
        table = read_picks(path).table
        found |= {
            (path.stem, round(x), round(y)) for x, y in zip(table["x"], table["y"], strict=True)
        }
    return found


@pytest.mark.slow
def test_from_a_folder_to_a_star_file(open_window, two_micrographs, data_dir, tmp_path) -> None:
    window = open_window()
    window.begin(two_micrographs, DIAMETER)
    name = window.stage.name

    # Fifteen particles are clicked; where a pick is there already, it is left alone.
    window.panel("Curate")
    pixels = DIAMETER / window.stage.pixel_size
    window.desk.do(Answer("threshold", value=0.97))
    window.settle()
    clicked = [
        p
        for p in _apart(_true_places(data_dir, name), 400, 2 * pixels)
        if window.circles.nearest((p[1], p[0])) is None
    ][:15]
    assert len(clicked) == 15
    for x, y in clicked:
        window.click(x, y)
    window.until(lambda: len(window.desk.standing.placed) == 15)
    placed = np.array([e.xy for e in window.desk.standing.placed])
    scale = 1 / window.viewer.scene.camera.zoom
    assert np.abs(placed - clicked).max() < 1.5 * scale  # a screen pixel and rounding
    window.desk.do(Answer("threshold", value=None))

    # It learns from them, in another process.
    confirm = window.panel("Confirm")
    window.settle()
    if not window.desk.standing.version:
        window.press(confirm.learn)
    window.until(lambda: window.desk.standing.version >= 1, 60)
    window.settle()
    confirm.auto.setChecked(False)

    # Twenty answers by key, whichever layer is selected.
    true = {
        n: _true_places(data_dir, n) for n in (m.name for m in window.desk.standing.micrographs)
    }
    before = len(window.desk.standing.answers)
    for number in range(20):
        window.viewer.layers.selection.active = window.viewer.layers[number % 2]
        window.until(lambda: window.desk.standing.current is not None)
        standing = window.desk.standing
        asked = standing.current
        assert np.allclose(window.viewer.scene.camera.center[-2:], (asked.y, asked.x), atol=0.01)
        there = true[standing.micrographs[asked.micrograph].name]
        near = np.hypot(*(there - (asked.x, asked.y)).T).min() < 0.3 * pixels
        window.key(Qt.Key.Key_Y if near else Qt.Key.Key_N)
        window.until(lambda n=number: len(window.desk.standing.answers) == before + n + 1, 5)
    for number in range(3):
        window.key(Qt.Key.Key_U)
        window.until(lambda n=number: len(window.desk.standing.answers) == before + 19 - n, 5)
    window.settle()
    last = window.desk.standing
    path = last.path
    window.close()

    # Nothing was lost, and the lock is free.
    with Session.open(path) as session:
        assert len(session.answers.answers) == len(last.answers) == before + 17
        expected = session.picks()

    again = open_window()
    again.open(path)
    assert again.desk.standing.answers == last.answers
    assert again.desk.standing.version == last.version
    again.settle()
    export = again.panel("Export")
    export.folder.setText(str(tmp_path / "out"))
    again.press(export.write)
    again.until(lambda: "picks of" in export.result.text(), 60)
    written = _picked(tmp_path / "out")
    assert len(written) == len(expected)
    table = expected.table
    for name, part in table.groupby("micrograph"):
        mine = np.array([(x, y) for n, x, y in written if n == f"{stem(str(name))}_cryomae"])
        away = cKDTree(mine).query(part[["x", "y"]].to_numpy())[0]
        assert len(mine) == len(part)
        assert away.max() <= np.hypot(0.5, 0.5) + 1e-6  # written as whole pixels
    assert int(again.desk.found.reach(again.desk.standing).sum()) == len(expected)

    # The command line gives the same.
    again.close()
    command = [Path(sys.executable).parent / "cryomae", "active", "export", path]
    subprocess.run([*command, "-o", tmp_path / "cli"], check=True)
    for mine in (tmp_path / "out").rglob("Falcon*_cryomae.star"):
        other = tmp_path / "cli" / mine.relative_to(tmp_path / "out")
        assert other.read_bytes() == mine.read_bytes()
