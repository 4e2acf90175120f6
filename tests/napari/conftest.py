"""A real window for the tests of the plugin; they need napari and a display."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from window_helpers import Window


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
def display() -> None:
    """A screen; one in memory where there is none."""
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        return
    if shutil.which("Xvfb") is None:
        reason = "there is neither a display nor Xvfb: run `make system-deps`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    read, write = os.pipe()
    # It ends by itself, when the application that it is for is gone, and that outlives all tests.
    subprocess.Popen(
        ["Xvfb", "-terminate", "-displayfd", str(write), "-screen", "0", SCREEN],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as number:
        os.environ["DISPLAY"] = f":{number.readline().strip()}"


@pytest.fixture(scope="session")
def qapp_args(display: None) -> list[str]:
    """Arguments of the application, which needs the display."""
    return ["pytest"]


@pytest.fixture
def open_window(qtbot: Any, make_napari_viewer: Any) -> Iterator[Callable[[], Window]]:
    """Opens windows."""
    from napari.utils.notifications import notification_manager
    from window_helpers import Window

    opened: list[Window] = []

    def make() -> Window:
        viewer = make_napari_viewer(show=True)
        window = Window(viewer, qtbot)
        qtbot.waitExposed(window.main)
        opened.append(window)
        return window

    yield make
    while opened:  # the viewer's own check that nothing is left of it comes after this
        opened.pop().forget()
    notification_manager.records.clear()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A session whose candidates were found already."""
    from window_helpers import make_session

    return make_session(tmp_path)


@pytest.fixture
def two_micrographs(data_dir: Path, tmp_path: Path) -> Path:
    """A folder with two real micrographs."""
    folder = tmp_path / "mics"
    folder.mkdir()
    for path in sorted((data_dir / "empiar10017" / "micrographs").glob("*.mrc"))[:2]:
        shutil.copy(path, folder)
    return folder
