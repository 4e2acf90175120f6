"""The keys, laid over the canvas."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QLabel, QMainWindow

_STYLE = """
QLabel { background: rgba(20, 22, 28, 235); color: #f2f2f2; border: 1px solid #6b7280;
         border-radius: 8px; padding: 14px 18px; font-size: 14px; }
"""


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
