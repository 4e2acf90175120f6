"""A window to press keys and click in, and a session that needs no model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mrcfile
import numpy as np
import psutil
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from cryomae.active.encode import Encoded
from cryomae.active.files import checksum, stamp
from cryomae.active.session import Session
from cryomae.active.settings import SessionSettings
from cryomae.io import find_micrographs
from cryomae.sizes import LATENT

SIDE, STEP, FIRST = 600, 70, 90  # pixels: micrographs, and the grid of their candidates
DIAMETER = 40.0  # Å, and as many pixels
PER = 49


def is_particle(candidate: int) -> bool:
    """Whether there is a disc at a candidate of `made`."""
    return candidate % 2 == 0


def place_of(candidate: int) -> tuple[float, float]:
    """Where it is, x and y."""
    row, column = divmod(candidate % PER, 7)
    return float(FIRST + STEP * column), float(FIRST + STEP * row)


class Window:
    """A napari window with the plugin in it."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.pick = self.panel("Pick")
        self.workspace = self.pick.workspace
        self.desk, self.stage = self.workspace.desk, self.workspace.stage
        self.circles = self.workspace.circles
        self.main = viewer.window._qt_window
        self.main.resize(1400, 900)
        self.main.activateWindow()
        self.canvas = viewer.window._qt_viewer.canvas.native

    def panel(self, step: str) -> Any:
        dock, panel = self.viewer.window.add_plugin_dock_widget("cryomae", step)
        dock.show()
        dock.raise_()
        return panel

    def until(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=int(1000 * seconds))

    def open(self, session: Path) -> None:
        """Open a session, as a user does who names its folder."""
        self.pick.open(str(session))
        self.until(lambda: self.ready() and self.stage.showing)

    def press(self, button: Any) -> None:
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def said(self, word: str) -> bool:
        """Whether a notification was shown that has a word in it."""
        return any(word in record.message for record in notification_manager.records)

    def begin(self, folder: Path, diameter: float) -> None:
        """Find particles, as a user does."""
        self.pick.open(str(folder))
        self.until(lambda: self.stage.pixel_size is not None)
        self.pick.diameter.setValue(diameter)
        self.press(self.pick.run)
        self.until(self.ready, 120)

    def ready(self) -> bool:
        """Whether all micrographs were looked at."""
        standing = self.desk.standing
        return (
            standing is not None
            and all(m.state != "waiting" for m in standing.micrographs)
            and standing.current is not None
            and len(self.desk.found.id) > 0
        )

    def settle(self) -> None:
        """Wait until nothing is under way."""
        self.until(lambda: not self.desk.active, 120)

    def key(self, key: Any, modifier: Any = None, focus: Any = None) -> None:
        """Press a key, on the canvas or on what else has the focus."""
        self.qtbot.keyClick(focus or self.canvas, key, modifier or Qt.KeyboardModifier.NoModifier)

    def click(self, x: float, y: float) -> None:
        """Click on a place of the micrograph, given in pixels of the file."""
        self.qtbot.mouseMove(self.canvas, self.on_canvas(x, y))
        self.qtbot.mouseClick(self.canvas, Qt.MouseButton.LeftButton, pos=self.on_canvas(x, y))

    def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one place to another, given as x, y in pixels of the file."""
        left = Qt.MouseButton.LeftButton
        self.qtbot.mousePress(self.canvas, left, pos=self.on_canvas(*begin))
        for share in (0.3, 0.6, 1.0):
            x, y = (b + share * (e - b) for b, e in zip(begin, end, strict=True))
            _move(self.canvas, self.on_canvas(x, y))
        self.qtbot.mouseRelease(self.canvas, left, pos=self.on_canvas(*end))

    def on_canvas(self, x: float, y: float) -> Any:
        camera = self.viewer.scene.camera
        height, width = self.viewer.canvas.size
        cy, cx = camera.center[-2:]
        return QPoint(
            round(width / 2 + (x - cx) * camera.zoom), round(height / 2 + (y - cy) * camera.zoom)
        )

    def workers(self) -> list[int]:
        """Ids of the processes that this one started and that are not gone."""
        return [child.pid for child in psutil.Process().children(recursive=True)
                if "cryomae.napari.worker" in child.cmdline()]  # fmt: skip

    def forget(self) -> None:
        """End everything, and hold nothing of the window any more."""
        self.workspace.close()
        self.__dict__.clear()

    def close(self) -> None:
        self.viewer.close()
        self.qtbot.waitUntil(lambda: self.workspace.closed)


def _move(widget: Any, point: Any) -> None:
    """Move the mouse with its button down, which QTest.mouseMove does not do."""
    place = QPointF(point)
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, place, QPointF(widget.mapToGlobal(point)), none, left,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


def make_session(tmp_path: Path) -> Path:
    """Make a session of two micrographs with dark discs on a grid, candidates already found."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "mics"
    folder.mkdir()
    yy, xx = np.mgrid[:SIDE, :SIDE]
    for m in range(2):
        image = rng.normal(size=(SIDE, SIDE)).astype(np.float32)
        for x, y in (place_of(i) for i in range(m * PER, m * PER + PER) if is_particle(i)):
            image -= 1.5 * (np.hypot(yy - y, xx - x) < DIAMETER / 2)
        with mrcfile.new(folder / f"m{m}.mrc") as file:
            file.set_data(image)
            file.voxel_size = 1.0
    refs, _ = find_micrographs([str(folder)])
    settings = SessionSettings(diameter=DIAMETER, model_sha256="0" * 64)
    with Session.create(tmp_path / "session", settings, refs, annotator="ann") as session:
        for micrograph in session.micrographs:
            ids = range(micrograph.id * PER, (micrograph.id + 1) * PER)
            sign = np.array([1.0 if is_particle(i) else -1.0 for i in ids])
            found = SimpleNamespace(
                xy=np.array([place_of(i) for i in ids], np.float32),
                kind=np.zeros(PER, np.uint8),
                logit=(0.3 * sign + rng.normal(0, 1, PER)).astype(np.float32),
                latents=(rng.normal(size=(PER, LATENT)) + 0.8 * sign[:, None]).astype(np.float16),
            )
            size, mtime = stamp(micrograph.path)
            ready = replace(
                micrograph, state="ready", pixel_size=1.0, shape=(SIDE, SIDE), count=PER,
                masked=0.0, size=size, mtime_ns=mtime, checksum=checksum(micrograph.path),
            )  # fmt: skip
            session.keep_encoded(Encoded(ready, found))  # type: ignore[arg-type]
    return tmp_path / "session"
