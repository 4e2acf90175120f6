"""The two layers: one micrograph, and one layer of circles whose data are swapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Points

from cryomae.display import limits

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from cryomae.napari.images import Shown
    from cryomae.napari.marks import Marks

MICROGRAPH, PARTICLES = "micrograph", "particles"
"""Their names."""

_FILL = 500  # points by which the layer grows


class Layers:
    """What is on the canvas.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._marks: Marks | None = None
        self.image = Image(np.zeros((2, 2), np.float32), name=MICROGRAPH)
        self.points = Points(
            np.zeros((0, 2), np.float32),
            name=PARTICLES,
            face_color="transparent",
            border_width_is_relative=False,
            antialiasing=0.6,
        )
        self.points.editable = False  # clicks go to the session, which puts them here

    def show(self, shown: Shown) -> None:
        """Put a picture on screen."""
        for layer in (self.image, self.points):
            if layer not in self._viewer.layers:
                self._viewer.add_layer(layer)
        image = self.image
        # Each change makes napari go over all layers: only what differs is changed.
        if not np.array_equal(image.scale, shown.picture.spacing):
            # Its place in pixels of the file stays the same however small the picture is.
            image.scale = shown.picture.spacing
        picture = shown.picture.image
        if image.data is not picture and np.shape(image.data) == picture.shape:
            # Only pixels differ, and dimensions and extents of all layers need not be found anew.
            with image.events.data.blocker(), image._block_refresh():
                image.data = picture
            image.refresh(extent=False, thumbnail=False)
        elif image.data is not picture:
            image.data = picture
        if not image.visible:
            image.visible = True

    def blank(self) -> None:
        """Show nothing, rather than what is not asked for any more."""
        if self.image.visible:
            self.image.visible = False
        self.mark(None)

    def contrast(self, shown: Shown, low: float, high: float) -> None:
        """Choose the greys by percentiles."""
        bottom, top = limits(shown.ordered, low, high)
        ends = min(bottom, float(shown.ordered[0])), max(top, float(shown.ordered[-1]))
        least, most = self.image.contrast_limits_range
        fits = least <= bottom and top <= most and most - least < 2 * (ends[1] - ends[0])
        if not fits:  # the range of the slider, which takes napari as long as the limits
            self.image.contrast_limits_range = ends
        self.image.contrast_limits = (bottom, top)

    def mark(self, marks: Marks | None) -> None:
        """Draw circles; their sizes are in pixels of the file."""
        if marks is self._marks or (marks and self._marks and marks.same_as(self._marks)):
            return
        self._marks = marks
        layer, count = self.points, 0 if marks is None else len(marks)
        # Points that are not shown fill the layer up, because napari takes long over each that
        # is added or taken away; and each change would draw all of them anew.
        with (
            layer.events.blocker_all(),
            layer._border.events.blocker_all(),
            layer._face.events.blocker_all(),
            layer._block_refresh(),
        ):
            if count and not len(layer.data) / 8 <= count <= len(layer.data):
                layer.data = np.zeros((_FILL * -(-count // _FILL), 2), np.float32)
                layer.face_color = np.zeros((len(layer.data), 4), np.float32)
            rest = len(layer.data) - count
            layer.shown = np.arange(len(layer.data)) < count
            if marks:
                layer.data = np.concatenate([marks.yx, np.repeat(marks.yx[-1:], rest, 0)])
                layer.size = np.concatenate([marks.size, np.ones(rest)])
                layer.border_width = np.concatenate([marks.width * marks.size, np.zeros(rest)])
                layer.border_color = np.concatenate([marks.colour, np.zeros((rest, 4))])
        layer.refresh(extent=False, thumbnail=False, highlight=False)

    def on_move(self, call: Callable[..., None]) -> None:
        """Call something whenever the camera moved."""
        for event in ("center", "zoom"):
            getattr(self._viewer.scene.camera.events, event).connect(call)

    def view(self) -> tuple[float, float, float, float]:
        """What the camera shows: y and x of its centre, height and width, in pixels of the file."""
        camera = self._viewer.scene.camera
        height, width = (float(side) / camera.zoom for side in self._viewer.canvas.size)
        y, x = (float(place) for place in camera.center[-2:])
        return y, x, height, width

    def look_at(self, yx: tuple[float, float], across: float) -> None:
        """Point the camera at a place; ``across`` pixels of the file fill the canvas."""
        camera = self._viewer.scene.camera
        camera.center = (0.0, *yx)
        zoom = min(self._viewer.canvas.size) / across
        if zoom != camera.zoom:
            camera.zoom = zoom
