"""Make the pictures of the guide to the window, cryomae/napari/README.md.

    xvfb-run -a -s "-screen 0 1920x1200x24" python scripts/make_guide.py

A real window is led through the steps on real micrographs; proposals are answered by the
published particles.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from cryomae.formats import read_picks
from cryomae.names import stem

PICTURES = Path(__file__).parents[1] / "cryomae" / "napari" / "guide"
SIZE = 1360, 850  # pixels of the window
COLOURS = 256  # of a picture: enough for a window, and a third of the bytes


class Guide:
    """A window, and the particles that are known."""

    def __init__(self, truth: Path) -> None:
        import napari

        self.truth = read_picks(truth).table
        self.viewer = napari.Viewer(title="cryomae")
        self.main = self.viewer.window._qt_window
        self.main.resize(*SIZE)
        self.main.activateWindow()  # or it gets no keys
        self.pick = self.panel("Pick")
        self.workspace = self.pick.workspace
        self.desk, self.stage = self.workspace.desk, self.workspace.stage

    def panel(self, step: str) -> Any:
        """Bring a step to the front."""
        dock, panel = self.viewer.window.add_plugin_dock_widget("cryomae", step)
        dock.show()
        dock.raise_()
        return panel

    def until(self, condition: Callable[[], Any], seconds: float = 120) -> None:
        """Let the window work until something is so."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("the window did not get there")
            QApplication.processEvents()
            time.sleep(0.005)

    def settle(self) -> None:
        """Wait until nothing is under way, and all is painted."""
        end = time.monotonic() + 1
        self.until(lambda: time.monotonic() > end and not self.desk.active)

    def key(self, key: Qt.Key) -> None:
        """Press a key on the canvas."""
        QTest.keyClick(self.viewer.window._qt_viewer.canvas.native, key)

    def answer(self, count: int) -> None:
        """Answer proposals as the published particles say."""
        for _ in range(count):
            self.until(lambda: self.desk.standing.current is not None and self._there())
            asked, before = self.desk.standing.current, self.desk.standing.at
            name = self.desk.standing.name(asked.micrograph)
            mine = self.truth[[stem(n) == stem(name) for n in self.truth["micrograph"]]]
            away = np.hypot(mine["x"] - asked.x, mine["y"] - asked.y).min()
            near = away < 0.3 * self.desk.standing.diameter / self.stage.pixel_size
            self.key(Qt.Key.Key_Y if near else Qt.Key.Key_N)
            self.until(lambda at=before: self.desk.standing.at != at)

    def ruler_on_a_particle(self) -> None:
        """Zoom in, and draw the ruler round a particle in the middle."""
        mine = self.truth[[stem(n) == stem(self.stage.name) for n in self.truth["micrograph"]]]
        middle = np.array(self.viewer.scene.camera.center[-2:])
        yx = mine[["y", "x"]].to_numpy()
        y, x = (float(v) for v in yx[np.hypot(*(yx - middle).T).argmin()])
        self.workspace.circles.measure((y, x), self.pick.diameter.value())
        self.viewer.scene.camera.center = (0, y, x)
        self.viewer.scene.camera.zoom *= 5

    def save(self, name: str) -> None:
        """Keep what is on screen."""
        self.settle()
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)[..., :3]
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        PICTURES.mkdir(exist_ok=True)
        path = PICTURES / f"{name}.png"
        picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            path, optimize=True
        )
        print(f"{path.name}: {path.stat().st_size // 1000} kB", flush=True)

    def _there(self) -> bool:
        shown = self.stage.showing and self.stage.at == self.desk.standing.current.micrograph
        return bool(shown and self.workspace.circles.asking)


def main() -> None:
    """Lead a window through the steps."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    data = Path(os.environ.get("CRYOMAE_DATA", "../shared/data")) / "empiar10017"
    parser.add_argument("--micrographs", type=Path, default=data / "micrographs")
    parser.add_argument("--truth", type=Path, default=data / "particles.star")
    parser.add_argument("--diameter", type=float, default=170)
    options = parser.parse_args()
    with TemporaryDirectory() as place:
        folder = Path(place) / "micrographs"
        folder.mkdir()
        for path in sorted(options.micrographs.glob("*.mrc"))[:3]:
            shutil.copy(path, folder)
        guide = Guide(options.truth)
        try:
            lead(guide, folder, options.diameter)
        finally:
            guide.workspace.close()
            guide.viewer.close()


def lead(guide: Guide, folder: Path, diameter: float) -> None:
    """Do what a user does, and keep pictures of it."""
    guide.pick.open(str(folder))
    guide.until(lambda: guide.stage.showing)
    guide.pick.diameter.setValue(diameter)
    guide.ruler_on_a_particle()
    guide.pick.inputs.setText("/data/session42/micrographs")
    guide.save("pick")
    guide.pick.inputs.setText(str(folder))
    guide.pick.run.click()
    guide.until(lambda: guide.desk.standing is not None)
    guide.settle()

    guide.panel("Curate")
    guide.viewer.reset_view()
    guide.viewer.scene.camera.zoom *= 2
    guide.save("curate")

    guide.desk.auto_train = False
    guide.panel("Confirm")
    guide.settle()
    guide.answer(14)
    guide.desk.train()
    guide.settle()
    guide.answer(4)
    guide.save("confirm")
    guide.key(Qt.Key.Key_H)
    guide.save("keys")
    guide.key(Qt.Key.Key_H)

    export = guide.panel("Export")
    export.folder.setText(str(folder.parent / "picks"))
    QTest.mouseClick(export.write, Qt.MouseButton.LeftButton)
    guide.until(lambda: export.result.text())
    export.folder.setText("/data/session42/picks")
    export.result.setText(export.result.text().replace(str(folder.parent), "/data/session42"))
    guide.save("export")


if __name__ == "__main__":
    main()
