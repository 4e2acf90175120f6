"""What the widgets of one window share; handed to each of them, and held by nobody else."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QApplication

from cryomae.napari.background import Background, in_words
from cryomae.napari.circles import Circles
from cryomae.napari.desk import Desk
from cryomae.napari.images import Images
from cryomae.napari.layers import Layers
from cryomae.napari.mouse import Mouse
from cryomae.napari.stage import Stage
from cryomae.napari.state import Display

if TYPE_CHECKING:
    from napari.viewer import Viewer

_SAY = {"info": show_info, "warning": show_warning, "error": show_error}


class Workspace(QObject):
    """The session, the canvas and how it is shown, in one window.

    Attributes
    ----------
    viewer : Viewer
    desk : Desk
    stage : Stage
    circles : Circles
    display : Display
    mouse : Mouse
    aside : Background
        For what takes a moment and belongs to no session.
    closed : bool
    """

    display_changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.display = Display()
        self.desk = Desk()
        layers = Layers(viewer)
        self.stage = Stage(viewer, self.desk, Images(), self.display, layers)
        self.circles = Circles(self.desk, self.stage, self.display, layers)
        self.mouse = Mouse(viewer, self.desk, self.stage, self.circles)
        self.aside = Background("cryomae-aside", self.fail)
        self.closed = False
        self._users: set[int] = set()
        self.desk.noted.connect(self.say)
        self.stage.failed.connect(self._not_shown)
        # The garbage collector goes over all that napari made at its start every now and then,
        # and the window stands still for 0.2 s; none of that becomes garbage while it is open.
        gc.freeze()
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close)

    def say(self, level: str, text: str) -> None:
        """Show a notification."""
        _SAY[level](text)

    def fail(self, error: BaseException) -> None:
        """Say what went wrong."""
        self.say("error", in_words(error))

    def show_differently(self) -> None:
        """Take over what `display` says, and tell all that show it."""
        self.stage.refresh()
        self.circles.draw()
        self.display_changed.emit()

    def enter(self, widget: QObject) -> None:
        """A widget uses this; when the last one is gone, everything is closed."""
        key = id(widget)
        self._users.add(key)
        widget.destroyed.connect(lambda: self._leave(key))

    def close(self) -> None:
        """End all threads and processes, and close the session."""
        if self.closed:
            return
        self.closed = True
        self.mouse.close()
        self.aside.close()
        self.desk.close()
        self.stage.close()
        gc.unfreeze()

    def _not_shown(self, why: str) -> None:
        self.say("warning", why)

    def _leave(self, key: int) -> None:
        self._users.discard(key)
        if not self._users:
            with suppress(RuntimeError):  # Python ends, and Qt's objects are gone already
                self.close()
