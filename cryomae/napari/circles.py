"""The circles on the micrograph: what is picked, answered and asked, and the one that measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from cryomae.napari.marks import Marks, compose, in_angstrom, nearest
from cryomae.napari.state import NOTHING, Display, Found

if TYPE_CHECKING:
    from cryomae.napari.desk import Desk
    from cryomae.napari.layers import Layers
    from cryomae.napari.stage import Stage

Region = tuple[float, float, float, float]
"""Least y and x, and greatest."""

_MANY = 300  # circles beyond which those far away are left out
_CLICK = 0.35  # diameters from the centre of a circle within which a click is on it


class Circles(QObject):
    """The circles.

    Attributes
    ----------
    marks : Marks or None
        Those of particles.
    asking : bool
        Whether the proposal that is asked is drawn.
    ruler : tuple of float, or None
        y, x and diameter in Å of the circle that measures.
    """

    measured = Signal(float)  # the ruler was drawn; Å

    def __init__(self, desk: Desk, stage: Stage, display: Display, layers: Layers) -> None:
        super().__init__()
        self.marks: Marks | None = None
        self.asking = False
        self.ruler: tuple[float, float, float] | None = None
        self._desk, self._stage, self._display, self._layers = desk, stage, display, layers
        self._found: tuple[Found, int, Found] | None = None
        self._all: Marks | None = None  # as drawn
        self._near: Region | None = None  # where they are drawn; None for everywhere
        # News come in flocks: a key gives a new standing and then moves to another micrograph.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.draw)
        stage.shown.connect(self.draw)
        stage.turned.connect(self._forget_ruler)
        layers.on_move(self._moved)
        desk.changed.connect(self._draw_soon)
        desk.picks_changed.connect(self._draw_soon)

    def draw(self) -> None:
        """Draw them anew."""
        self._soon.stop()
        standing, at, size = self._desk.standing, self._stage.at, self._stage.pixel_size
        marks = None
        if standing is not None and at >= 0:
            marks = compose(standing, self._mine(at), at, self._display, asking=self.asking)
        self.marks = marks
        shown = None
        if size is not None and self._display.circles:
            shown = in_angstrom(marks, standing.diameter if standing else None, self.ruler)
        self._all = None if shown is None or size is None else shown.scaled(1 / size)
        self._near = None
        self._mark()

    def ask(self, on: bool) -> None:
        """Show the proposal that is asked, or what is picked alone."""
        self.asking = on
        self._draw_soon()

    def nearest(self, yx: tuple[float, float]) -> int | None:
        """Index of the circle under a place."""
        standing, size = self._desk.standing, self._stage.pixel_size
        if self.marks is None or size is None or standing is None:
            return None
        return nearest(self.marks, yx, _CLICK * standing.diameter / size)

    def measure(self, yx: tuple[float, float], across: float) -> None:
        """Draw the ruler: a circle round a place, so many Å across."""
        self.ruler = (*yx, across)
        self.draw()
        self.measured.emit(across)

    def show_ruler(self, across: float | None) -> None:
        """Draw the ruler where it was, or in the middle of the screen; None takes it away."""
        before = self.ruler
        if across is None or not self._stage.showing:
            self.ruler = None
        elif self.ruler is not None:
            self.ruler = (*self.ruler[:2], across)
        else:
            centre = [float(c) for c in self._stage.viewer.scene.camera.center[-2:]]
            self.ruler = (centre[0], centre[1], across)
        if self.ruler != before:
            self.draw()

    def _mark(self) -> None:
        """Draw them; where there are very many, only those near what the camera shows."""
        shown = self._all
        if shown is not None and len(shown) > _MANY:
            y, x, height, width = self._layers.view()
            self._near = (y - height, x - width, y + height, x + width)  # twice as wide and high
            shown = shown.inside(self._near)
        self._layers.mark(shown)

    def _moved(self, *_: object) -> None:
        if self._near is None:
            return
        y, x, height, width = self._layers.view()
        top, left, bottom, right = self._near
        if y - height / 2 < top or y + height / 2 > bottom or x - width / 2 < left or (
            x + width / 2 > right
        ):  # fmt: skip
            self._draw_soon()

    def _draw_soon(self, *_: object) -> None:
        self._soon.start(0)

    def _forget_ruler(self, *_: object) -> None:
        self.ruler = None

    def _mine(self, at: int) -> Found:
        """Picks of the micrograph on screen; put together once."""
        found = self._desk.found
        if self._found is None or self._found[0] is not found or self._found[1] != at:
            self._found = (found, at, found.of(at) if len(found.id) else NOTHING)
        return self._found[2]
