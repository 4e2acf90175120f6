"""Scores as a histogram with a threshold that can be dragged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QWidget

_BINS = 50
_HEIGHT = 84
_AXIS = 16  # pixels for the numbers
_BAR, _FAINT, _LINE = QColor("#ff9f40"), QColor("#5b6370"), QColor("#ffd933")


class Histogram(QWidget):
    """Bars of scores from 0 to 1; those below the threshold are grey.

    Attributes
    ----------
    threshold : float
    """

    moved = Signal(float)  # the user drags the threshold
    chosen = Signal(float)  # and has let it go

    def __init__(self) -> None:
        super().__init__()
        self.threshold = 0.5
        self._counts: NDArray[np.intp] = np.zeros(_BINS, np.intp)
        self.setMinimumHeight(_HEIGHT)
        self.setMaximumHeight(_HEIGHT)
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setToolTip("Drag the yellow line: picks to the right of it are kept.")

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(300, _HEIGHT)

    def show_scores(self, scores: NDArray[np.float64], threshold: float) -> None:
        """Draw these."""
        self._counts = np.histogram(scores, _BINS, (0, 1))[0]
        self.threshold = threshold
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the bars, the axis and the line."""
        painter = QPainter(self)
        width, height = self.width(), self.height() - _AXIS
        painter.fillRect(QRectF(0, 0, width, height), QColor(0, 0, 0, 60))
        # Square roots: there are far more poor scores than good ones, and both are to be seen.
        tall = np.sqrt(self._counts / max(1, int(self._counts.max(initial=0))))
        step = width / _BINS
        for i, share in enumerate(tall):
            top = (height - 3) * float(share)
            kept = (i + 0.5) / _BINS >= self.threshold
            painter.fillRect(
                QRectF(i * step, height - top, max(1.0, step - 1), top), _BAR if kept else _FAINT
            )
        x = self.threshold * width
        painter.setPen(QPen(_LINE, 2))
        painter.drawLine(int(x), 0, int(x), height)
        painter.setPen(self.palette().text().color())
        for value in (0.0, 0.25, 0.5, 0.75, 1.0):
            label = f"{value:g}"
            room = painter.fontMetrics().horizontalAdvance(label)
            left = min(max(0.0, value * width - room / 2), width - room - 1)
            painter.drawText(int(left), self.height() - 2, label)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take the line there."""
        self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Drag the line."""
        self._drag(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Let the line go."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(self.threshold)

    def _drag(self, event: QMouseEvent | None) -> None:
        if event is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        value = min(max(event.position().x() / max(1, self.width()), 0.0), 1.0)
        self.threshold = round(value, 3)
        self.update()
        self.moved.emit(self.threshold)
