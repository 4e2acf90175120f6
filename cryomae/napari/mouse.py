"""Clicks and drags on the canvas."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np

from cryomae.active.journal import Answer

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from cryomae.napari.circles import Circles
    from cryomae.napari.desk import Desk
    from cryomae.napari.stage import Stage

_STILL = 4.0  # pixels of the screen that a click may tremble


class Mouse:
    """What the mouse does, whichever layer is selected.

    A click on an empty place puts a particle there, one on a circle takes it away, and a circle
    can be dragged to another place; dragging an empty place moves the picture, as ever. While
    measuring, a drag draws the circle that measures.

    Parameters
    ----------
    viewer : Viewer
    desk : Desk
    stage : Stage
    circles : Circles

    Attributes
    ----------
    editing : bool
        Whether clicks change anything.
    measuring : bool
    """

    def __init__(self, viewer: Viewer, desk: Desk, stage: Stage, circles: Circles) -> None:
        self.editing, self.measuring = True, False
        self._viewer, self._desk, self._stage, self._circles = viewer, desk, stage, circles
        viewer.mouse_drag_callbacks.append(self._drag)

    def close(self) -> None:
        """Listen no more."""
        # A viewer that is closed already has no callbacks any more.
        callbacks = getattr(self._viewer, "mouse_drag_callbacks", [])
        if self._drag in callbacks:
            callbacks.remove(self._drag)

    def _drag(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        if event.button != 1 or self._stage.at < 0:
            return
        if self.measuring:
            yield from self._measure(event)
        elif self.editing and self._desk.standing is not None and not event.modifiers:
            yield from self._edit(event)

    def _edit(self, event: Any) -> Generator[None, None, None]:
        begin, where = np.array(event.pos), _place(event)
        index = self._circles.nearest(where)
        marks = self._circles.marks
        taken = None if index is None or marks is None else int(marks.id[index])
        camera = self._viewer.scene.camera
        pan = camera.mouse_pan
        if taken is not None:
            camera.mouse_pan = False  # the circle moves, and not the picture
        moved = False
        try:
            yield
            while event.type == "mouse_move":
                moved = moved or float(np.hypot(*(np.array(event.pos) - begin))) > _STILL
                yield
        finally:
            camera.mouse_pan = pan
        end = _place(event)
        if taken is None:
            if not moved and self._stage.inside(where):
                xy = where[1], where[0]
                self._desk.do(Answer("add", micrograph=self._stage.at, xy=xy))
        elif not moved:
            self._desk.do(Answer("reject", taken))
        elif self._stage.inside(end):
            self._desk.do(Answer("move", taken, xy=(end[1], end[0])))

    def _measure(self, event: Any) -> Generator[None, None, None]:
        centre = _place(event)
        size = self._stage.pixel_size
        camera = self._viewer.scene.camera
        pan = camera.mouse_pan
        camera.mouse_pan = False
        try:
            yield
            moved = False
            while size is not None and (event.type == "mouse_move" or moved):
                moved = True
                y, x = _place(event)
                across = 2 * float(np.hypot(y - centre[0], x - centre[1])) * size
                self._circles.measure(centre, across)
                if event.type != "mouse_move":  # it was let go, a little farther on
                    break
                yield
        finally:
            camera.mouse_pan = pan


def _place(event: Any) -> tuple[float, float]:
    """Y and x in pixels of the file."""
    y, x = event.position[-2:]
    return float(y), float(x)
