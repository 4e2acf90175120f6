"""Keys: they work wherever the focus is in the window, and whichever layer is selected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QLabel, QMainWindow

from cryomae.active.journal import Answer

if TYPE_CHECKING:
    from cryomae.napari.workspace import Workspace

_STYLE = """
QLabel { background: rgba(20, 22, 28, 235); color: #f2f2f2; border: 1px solid #6b7280;
         border-radius: 8px; padding: 14px 18px; font-size: 14px; }
"""


@dataclass(frozen=True)
class Key:
    """Keys that do one thing.

    Attributes
    ----------
    keys : tuple of str
        The first one is what is shown.
    says : str
        What it does.
    do : callable
    repeats : bool
        Whether holding the key down goes on doing it.
    """

    keys: tuple[str, ...]
    says: str
    do: Callable[[], None]
    repeats: bool = False


class Keys(QObject):
    """The shortcuts of one window.

    They are Qt's own and not those of a layer: napari's layers have keys of their own, such as
    S and L, which would come first whenever such a layer is selected.

    Parameters
    ----------
    window : QMainWindow
    workspace : Workspace
    """

    def __init__(self, window: QMainWindow, workspace: Workspace) -> None:
        super().__init__(window)
        self._workspace = workspace
        desk, stage = workspace.desk, workspace.stage
        self.table: tuple[tuple[str, tuple[Key, ...]], ...] = (
            (
                "Is it a particle?",
                (
                    Key(("Y",), "yes: confirm", lambda: self._answer("y")),
                    Key(("N",), "no: reject", lambda: self._answer("n")),
                    Key(("S",), "skip", lambda: self._answer("s")),
                    Key(("B",), "back to the one before", lambda: desk.press("b"), True),
                ),
            ),
            (
                "Anything",
                (
                    Key(("U", "Ctrl+Z"), "undo", lambda: desk.press("u"), True),
                    Key(("R", "Ctrl+Shift+Z"), "redo", lambda: desk.press("r"), True),
                ),
            ),
            (
                "Micrographs",
                (
                    Key((".", "PgDown"), "next", lambda: stage.step(1), True),
                    Key((",", "PgUp"), "previous", lambda: stage.step(-1), True),
                    Key(("X",), "leave this one out, or take it in", self._leave_out),
                ),
            ),
            (
                "Display",
                (
                    Key(("L",), "low-pass on or off", lambda: self._flip("filtered")),
                    Key(("C",), "circles on or off", lambda: self._flip("circles")),
                    Key(("H", "F1"), "this help", lambda: self.help.flip()),
                ),
            ),
        )
        for _, group in self.table:
            for key in group:
                for sequence in key.keys:
                    shortcut = QShortcut(QKeySequence(sequence), window)
                    shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
                    shortcut.setAutoRepeat(key.repeats)
                    shortcut.activated.connect(key.do)
        self.help = Help(window, self._text())

    def _answer(self, key: str) -> None:
        standing = self._workspace.desk.standing
        if standing is None or standing.current is None:
            self._workspace.viewer.status = "There is no proposal to answer; see step 3, Confirm."
            return
        stage, circles = self._workspace.stage, self._workspace.circles
        there = circles.asking and stage.at == standing.current.micrograph
        if not there or not (stage.showing or stage.broken):
            # Nobody answers what is not on screen.
            circles.ask(True)
            stage.show_asked()
            return
        self._workspace.desk.press(key)

    def _leave_out(self) -> None:
        standing, at = self._workspace.desk.standing, self._workspace.stage.at
        if standing is not None and at >= 0:
            kind = "include" if at in standing.excluded else "exclude"
            self._workspace.desk.do(Answer(kind, micrograph=at))

    def _flip(self, name: str) -> None:
        display = self._workspace.display
        setattr(display, name, not getattr(display, name))
        self._workspace.show_differently()

    def _text(self) -> str:
        rows = ""
        for title, group in self.table:
            rows += f'<tr><td colspan="2"><br><b>{title}</b></td></tr>'
            for key in group:
                shown = " or ".join(f"<code>&nbsp;{k}&nbsp;</code>" for k in key.keys)
                rows += f"<tr><td>{shown}&nbsp;&nbsp;&nbsp;</td><td>{key.says}</td></tr>"
        mouse = (
            '<tr><td colspan="2"><br><b>Mouse</b></td></tr>'
            "<tr><td>click&nbsp;</td><td>add a particle; on a circle: take it away</td></tr>"
            "<tr><td>drag a circle&nbsp;</td><td>move it</td></tr>"
            "<tr><td>drag, wheel&nbsp;</td><td>move the picture, zoom</td></tr>"
        )
        return f"<table>{rows}{mouse}</table>"


class Help(QLabel):
    """A table of the keys; a click or the key takes it away.

    Parameters
    ----------
    window : QMainWindow
    text : str
        As HTML.
    """

    def __init__(self, window: QMainWindow, text: str) -> None:
        super().__init__(text, window.centralWidget())
        window.installEventFilter(self)  # to stay in the middle
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setStyleSheet(_STYLE)
        self.hide()

    def flip(self) -> None:
        """Show or hide it."""
        if self.isVisible():
            self.hide()
            return
        self.adjustSize()
        self._centre()
        self.show()
        self.raise_()

    def mousePressEvent(self, event: object) -> None:
        """A click takes it away."""
        self.hide()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the window's size."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._centre()
        return False

    def _centre(self) -> None:
        around = self.parentWidget()
        if around is not None:
            self.move(
                max(0, (around.width() - self.width()) // 2),
                max(0, (around.height() - self.height()) // 2),
            )
