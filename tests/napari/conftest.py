"""A real window for the tests of the plugin; they need napari and a display."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SCREEN = "1920x1200x24"

if find_spec("napari") is None or find_spec("pytestqt") is None:
    collect_ignore_glob = ["test_*.py"]  # pip install 'cryomae[napari]' pytest-qt


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests; where others run in the same process, load Triton before any window."""
    mine = [item for item in items if HERE in Path(item.fspath).parents]
    for item in mine:
        item.add_marker(pytest.mark.napari)
    if mine and len(mine) < len(items):
        # Triton, which comes with torch, and Mesa each bring an LLVM. Together they work if
        # Triton's is loaded first, and crash otherwise.
        with suppress(ImportError):
            import triton  # noqa: F401


@pytest.fixture(scope="session")
def display() -> Iterator[None]:
    """A screen; one in memory where there is none."""
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        yield
        return
    if shutil.which("Xvfb") is None:
        reason = "there is neither a display nor Xvfb: run `make system-deps`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as number:
        os.environ["DISPLAY"] = f":{number.readline().strip()}"
    yield
    del os.environ["DISPLAY"]
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def qapp_args(display: None) -> list[str]:
    """Arguments of the application, which needs the display."""
    return ["pytest"]


class Window:
    """A napari window with the plugin in it."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.notes: list[tuple[str, str]] = []
        self.pick = self.panel("Pick")
        self.workspace = self.pick.workspace
        self.desk, self.stage = self.workspace.desk, self.workspace.stage
        notes = self.notes  # and not self, which a connection would keep alive
        self.desk.noted.connect(lambda level, text: notes.append((level, text)))
        self.main = viewer.window._qt_window
        self.main.resize(1400, 900)
        self.main.activateWindow()
        self.canvas = viewer.window._qt_viewer.canvas.native

    def panel(self, step: str) -> Any:
        dock, panel = self.viewer.window.add_plugin_dock_widget("cryomae", step)
        dock.show()
        dock.raise_()
        return panel

    def until(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=int(1000 * seconds))

    def begin(self, folder: Path, diameter: float) -> None:
        """Find particles, as a user does."""
        from qtpy.QtCore import Qt

        self.pick.open(str(folder))
        self.until(lambda: self.stage.pixel_size is not None)
        self.pick.diameter.setValue(diameter)
        self.qtbot.mouseClick(self.pick.run, Qt.MouseButton.LeftButton)
        self.until(self.ready, 60)

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
        self.qtbot.wait(50)
        self.until(lambda: not self.desk.active, 60)
        self.qtbot.wait(50)

    def key(self, key: Any, modifier: Any = None) -> None:
        from qtpy.QtCore import Qt

        self.qtbot.keyClick(self.canvas, key, modifier or Qt.KeyboardModifier.NoModifier)

    def click(self, x: float, y: float) -> None:
        """Click on a place of the micrograph, given in pixels of the file."""
        from qtpy.QtCore import Qt

        self.qtbot.mouseMove(self.canvas, self.on_canvas(x, y))
        self.qtbot.mouseClick(self.canvas, Qt.MouseButton.LeftButton, pos=self.on_canvas(x, y))

    def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one place to another, given as x, y in pixels of the file."""
        from qtpy.QtCore import Qt

        left = Qt.MouseButton.LeftButton
        self.qtbot.mousePress(self.canvas, left, pos=self.on_canvas(*begin))
        for share in (0.3, 0.6, 1.0):
            x, y = (b + share * (e - b) for b, e in zip(begin, end, strict=True))
            _move(self.canvas, self.on_canvas(x, y))
        self.qtbot.mouseRelease(self.canvas, left, pos=self.on_canvas(*end))

    def on_canvas(self, x: float, y: float) -> Any:
        from qtpy.QtCore import QPoint

        camera = self.viewer.scene.camera
        height, width = self.viewer.canvas.size
        cy, cx = camera.center[-2:]
        return QPoint(
            round(width / 2 + (x - cx) * camera.zoom), round(height / 2 + (y - cy) * camera.zoom)
        )

    def close(self) -> None:
        self.viewer.close()
        self.qtbot.wait(50)


def _move(widget: Any, point: Any) -> None:
    """Move the mouse with its button down, which QTest.mouseMove does not do."""
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    place = QPointF(point)
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, place, QPointF(widget.mapToGlobal(point)), none, left,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


@pytest.fixture
def open_window(qtbot: Any, make_napari_viewer: Any) -> Iterator[Callable[[], Window]]:
    """Opens windows."""
    from napari.utils.notifications import notification_manager

    opened: list[Window] = []

    def make() -> Window:
        viewer = make_napari_viewer(show=True)
        window = Window(viewer, qtbot)
        qtbot.waitExposed(window.main)
        opened.append(window)
        return window

    yield make
    while opened:  # the viewer's own check that nothing is left of it comes after this
        opened.pop().workspace.close()
    notification_manager.records.clear()


@pytest.fixture
def two_micrographs(data_dir: Path, tmp_path: Path) -> Path:
    """A folder with two real micrographs."""
    folder = tmp_path / "mics"
    folder.mkdir()
    for path in sorted((data_dir / "empiar10017" / "micrographs").glob("*.mrc"))[:2]:
        shutil.copy(path, folder)
    return folder
