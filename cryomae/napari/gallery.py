"""Crops of the proposals, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, QSize, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QWidget

from cryomae.active.crops import ACROSS

if TYPE_CHECKING:
    from cryomae.active.records import Proposal
    from cryomae.napari.state import Standing
    from cryomae.napari.workspace import Workspace

_COLUMNS, _ROWS = 5, 2
_GAP = 5
_PAPER = 0.12  # grey of what lies beyond the micrograph
_FRAMES = {
    "confirm": QColor("#33e68c"),
    "move": QColor("#33e68c"),
    "reject": QColor("#ff5a4d"),
    "skip": QColor("#9aa3b2"),
}
_ASKED = QColor("#ffd933")


class Gallery(QWidget):
    """The proposals round the one that is asked; a click asks another.

    Crops are cut when their micrographs are read; until then their places are empty.
    """

    clicked = Signal(int)  # index of a proposal

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._crops: dict[tuple[int, float, float], QImage] = {}
        self._first = 0
        self.setToolTip("Proposals to come and answered ones; click one to go there.")
        workspace.desk.opened.connect(lambda _: self._crops.clear())
        workspace.stage.images.ready.connect(self.update)

    def sizeHint(self) -> QSize:
        """A few rows."""
        return QSize(360, self.heightForWidth(360))

    def hasHeightForWidth(self) -> bool:
        """Crops are square."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Height of all rows."""
        return int(_ROWS * (self._side(width) + _GAP))

    def resizeEvent(self, event: object) -> None:
        """Keep crops square."""
        self.setFixedHeight(self.heightForWidth(self.width()))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the crops, each with its circle and a frame of what was answered."""
        standing = self._workspace.desk.standing
        if standing is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        shown = standing.proposals[self._first : self._first + _COLUMNS * _ROWS]
        for place, proposal in enumerate(shown):
            self._draw(painter, self._box(place), proposal, standing, place + self._first)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Ask the one that was clicked."""
        standing = self._workspace.desk.standing
        if event is None or standing is None:
            return
        for place in range(_COLUMNS * _ROWS):
            index = self._first + place
            if self._box(place).contains(event.position()) and index < len(standing.proposals):
                self.clicked.emit(index)

    def _draw(
        self, painter: QPainter, box: QRectF, proposal: Proposal, standing: Standing, index: int
    ) -> None:
        image = self._image(proposal, standing)
        if image is None:
            painter.fillRect(box, QColor(0, 0, 0, 80))
        else:
            painter.drawImage(box, image)
        entry = standing.answers.get(proposal.candidate)
        asked = index == standing.at
        colour = _ASKED if asked else _FRAMES.get(entry.kind if entry else "", QColor("#5b6370"))
        inset = box.width() * (1 - 1 / ACROSS) / 2
        painter.setPen(QPen(QColor(255, 217, 51, 130), 1))
        painter.drawEllipse(box.adjusted(inset, inset, -inset, -inset))
        painter.setPen(QPen(colour, 3 if asked or entry else 1))
        painter.drawRect(box.adjusted(1, 1, -1, -1))
        if entry and asked:
            painter.fillRect(
                QRectF(box.left() + 3, box.bottom() - 8, box.width() - 6, 5), _FRAMES[entry.kind]
            )

    def _image(self, proposal: Proposal, standing: Standing) -> QImage | None:
        key = (proposal.micrograph, proposal.x, proposal.y)
        if key not in self._crops:
            ready = self._workspace.stage.images.get((str(standing.path), proposal.micrograph))
            if ready is None or ready.crops is None:
                return None
            self._crops[key] = to_image(ready.crops.crop(proposal.x, proposal.y))
        return self._crops[key]

    def follow(self) -> None:
        """Show the proposals round the one that is asked now."""
        standing = self._workspace.desk.standing
        if standing is not None:
            # The one that is asked is in the first row: most of what is seen is yet to come.
            row = min(standing.at, max(0, len(standing.proposals) - 1)) // _COLUMNS
            rows = max(1, -(-len(standing.proposals) // _COLUMNS))
            self._first = _COLUMNS * max(0, min(row, rows - _ROWS))
        self.update()

    def _side(self, width: int) -> float:
        return (width - (_COLUMNS - 1) * _GAP) / _COLUMNS

    def _box(self, place: int) -> QRectF:
        side = self._side(self.width())
        row, column = divmod(place, _COLUMNS)
        return QRectF(column * (side + _GAP), row * (side + _GAP), side, side)


def to_image(crop: NDArray[np.float32]) -> QImage:
    """A crop as grey pixels of its own."""
    grey = np.where(np.isnan(crop), _PAPER, crop)
    pixels = np.ascontiguousarray((255 * np.clip(grey, 0, 1)).astype(np.uint8))
    h, w = pixels.shape
    return QImage(pixels.tobytes(), w, h, w, QImage.Format.Format_Grayscale8).copy()
