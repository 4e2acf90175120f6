"""What the four widgets have in common: the bar of steps, room to scroll, and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from cryomae.napari.keys import Keys
from cryomae.napari.workspace import Workspace

if TYPE_CHECKING:
    from napari.viewer import Viewer

STEPS = ("Pick", "Curate", "Confirm", "Export")
_WIDTH = 400  # pixels: two thumbs' width of crops fit, and the micrograph keeps the rest


class Panel(QWidget):
    """One step of the work, docked beside the canvas.

    Parameters
    ----------
    napari_viewer : Viewer
    workspace : Workspace, optional
        To share; default that of the other panels of the window, or a new one.

    Attributes
    ----------
    workspace : Workspace
    on_screen : bool
        Whether it is in front of the other steps.
    body : QVBoxLayout
        Where the widgets of the step go.
    """

    step = ""

    def __init__(self, napari_viewer: Viewer, workspace: Workspace | None = None) -> None:
        super().__init__()
        self.workspace = workspace or workspace_of(napari_viewer)
        self.workspace.enter(self)
        self.setMinimumWidth(_WIDTH)
        inside = QWidget()
        self.body = QVBoxLayout(inside)
        self.body.setContentsMargins(10, 8, 10, 8)
        self.body.setSpacing(10)
        scroll = QScrollArea()
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._step_bar())
        outer.addWidget(scroll)
        self.on_screen = self._joined = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._join)
        desk, stage = self.workspace.desk, self.workspace.stage
        for news in (desk.changed, desk.opened, desk.picks_changed, stage.turned):
            news.connect(self._news)

    def sizeHint(self) -> QSize:
        """Wide enough for the gallery, and as tall as there is room."""
        return QSize(_WIDTH + 20, 800)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Join the other panels, the first time."""
        super().showEvent(event)
        if not self._joined:
            self._soon.start(0)  # it is in its dock only after this

    def entered(self) -> None:
        """The step came to the front: say what the canvas is to show."""
        self.workspace.circles.ask(False)

    def left(self) -> None:
        """Another step came to the front."""

    def refresh(self) -> None:
        """Show what stands; called only while the step is on screen."""

    def open_step(self, step: str) -> None:
        """Bring another step to the front."""
        dock, _ = self.workspace.viewer.window.add_plugin_dock_widget("cryomae", step)
        dock.show()
        dock.raise_()

    def _news(self, *_: object) -> None:
        if self.on_screen:
            self.refresh()

    def _step_bar(self) -> QWidget:
        bar = QWidget()
        row = QHBoxLayout(bar)
        row.setContentsMargins(8, 6, 8, 0)
        row.setSpacing(4)
        for number, step in enumerate(STEPS, 1):
            button = QPushButton(f"{number} {step}")
            button.setFlat(step != self.step)
            button.setCheckable(True)
            button.setChecked(step == self.step)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _, s=step, b=button: self._turn_to(s, b))
            row.addWidget(button, 1)
        return bar

    def _turn_to(self, step: str, button: QPushButton) -> None:
        button.setChecked(step == self.step)
        if step != self.step:
            self.open_step(step)

    def _join(self) -> None:
        """Become a tab beside the other panels, and bind the keys."""
        dock = _dock_of(self)
        window = None if dock is None else dock.parent()
        if dock is None or self._joined or not isinstance(window, QMainWindow):
            return
        self._joined = True
        others = [
            other
            for other in window.findChildren(QDockWidget)
            if other is not dock and other.findChild(Panel) is not None and not other.isFloating()
        ]
        if others:
            window.tabifyDockWidget(others[0], dock)
            dock.raise_()
        if window.findChild(Keys) is None:
            Keys(window, self.workspace)
        # Widgets behind other tabs count as visible for Qt; only their docks know better.
        dock.visibilityChanged.connect(self._seen)
        self._seen(True)

    def _seen(self, on: bool) -> None:
        if on == self.on_screen:
            return
        self.on_screen = on
        if on:
            self.entered()
            self.refresh()
        else:
            self.left()


def workspace_of(viewer: Viewer) -> Workspace:
    """The workspace of the window's panels; a new one for the first of them."""
    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, Panel):
            return widget.workspace
    return Workspace(viewer)


def heading(text: str) -> QLabel:
    """A line above a group of widgets."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def words(text: str = "") -> QLabel:
    """A paragraph."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def button(text: str, tip: str = "") -> QPushButton:
    """A button that leaves the focus, and so the keys, where it was."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return made


def _dock_of(widget: QWidget) -> QDockWidget | None:
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent
