"""The two layers: one micrograph, and one layer of circles whose data are swapped."""

from __future__ import annotations

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


class Layers:
    """What is on the canvas.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.image = Image(np.zeros((2, 2), np.float32), name=MICROGRAPH)
        self.points = Points(
            np.zeros((0, 2), np.float32),
            name=PARTICLES,
            face_color="transparent",
            border_width_is_relative=False,
            antialiasing=1,
        )
        self.points.editable = False  # clicks go to the session, which puts them here

    def show(self, shown: Shown) -> None:
        """Put a picture on screen."""
        for layer in (self.image, self.points):
            if layer not in self._viewer.layers:
                self._viewer.add_layer(layer)
        # Its place in pixels of the file stays the same however small the picture is.
        self.image.data = shown.picture.image
        self.image.scale = shown.picture.spacing
        self.image.visible = True

    def blank(self) -> None:
        """Show nothing, rather than what is not asked for any more."""
        self.image.visible = False
        self.mark(None, None)

    def contrast(self, shown: Shown, low: float, high: float) -> None:
        """Choose the greys by percentiles."""
        bottom, top = limits(shown.ordered, low, high)
        ends = float(shown.ordered[0]), float(shown.ordered[-1])
        self.image.contrast_limits_range = (min(bottom, ends[0]), max(top, ends[1]))
        self.image.contrast_limits = (bottom, top)

    def mark(self, marks: Marks | None, pixel_size: float | None) -> None:
        """Draw circles; their sizes are in Å."""
        layer = self.points
        nothing = marks is None or pixel_size is None or not len(marks)
        if nothing and not len(layer.data):
            return
        # One update of the screen for all that changes.
        with layer.events.set_data.blocker():
            if marks is None or pixel_size is None or nothing:
                layer.data = np.zeros((0, 2), np.float32)
            else:
                size = marks.size / pixel_size
                layer.data = marks.yx
                layer.size = size
                layer.border_width = marks.width * size
                layer.border_color = marks.colour
                layer.face_color = np.zeros((len(marks), 4), np.float32)
        layer.refresh(extent=False)

    def look_at(self, yx: tuple[float, float], across: float) -> None:
        """Point the camera at a place; ``across`` pixels of the file fill the canvas."""
        camera = self._viewer.scene.camera
        camera.center = (0.0, *yx)
        camera.zoom = min(self._viewer.canvas.size) / across
