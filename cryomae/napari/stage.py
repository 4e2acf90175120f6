"""What is on the canvas: one micrograph, one layer of circles, and where the camera looks."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from cryomae.napari.images import Images, Ready, Shown, Wanted
from cryomae.napari.layers import Layers
from cryomae.napari.marks import Marks, compose, in_angstrom, nearest
from cryomae.napari.state import NOTHING, Display, Found, Standing

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from cryomae.napari.desk import Desk

_CLOSE = 9.0  # particle diameters that the canvas is wide when a proposal is shown
_AHEAD = 12  # micrographs that are read before they are needed
_LIVE = 40  # ms between two filterings while a slider moves


@dataclass(frozen=True)
class Source:
    """A micrograph that can be shown.

    Attributes
    ----------
    wanted : Wanted
    name : str
    """

    wanted: Wanted
    name: str


class Stage(QObject):
    """The canvas.

    Attributes
    ----------
    at : int
        Index of the micrograph on screen; in a session its id.
    broken : bool
        Whether it cannot be read.
    asking : bool
        Whether the proposal that is asked is drawn.
    marks : Marks or None
        What is drawn on it.
    ruler : tuple of float, or None
        y, x and diameter in Å of the circle that measures.
    """

    turned = Signal(int)  # another micrograph is on screen
    drawn = Signal()  # its marks changed
    measured = Signal(float)  # the ruler was drawn; Å
    failed = Signal(str)

    def __init__(self, viewer: Viewer, desk: Desk, images: Images, display: Display) -> None:
        super().__init__()
        self.viewer, self.desk, self.images, self.display = viewer, desk, images, display
        self.at = -1
        self.broken = False
        self.asking = False
        self.marks: Marks | None = None
        self.ruler: tuple[float, float, float] | None = None
        self._sources: list[Source] = []
        self._ready: Ready | None = None
        self._shown: Shown | None = None
        self._found: tuple[Found, int, Found] | None = None
        self._look_at: tuple[float, float, float] | None = None
        self._layers = Layers(viewer)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_LIVE)
        self._soon.timeout.connect(self._make)
        images.ready.connect(self._arrived)
        images.failed.connect(self._lost)
        desk.changed.connect(self._changed)
        desk.opened.connect(self._opened)
        desk.picks_changed.connect(self.draw)

    # Which micrograph.

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._sources)

    @property
    def name(self) -> str:
        """Name of the micrograph on screen."""
        return self._sources[self.at].name if 0 <= self.at < len(self._sources) else ""

    @property
    def showing(self) -> bool:
        """Whether the micrograph is on screen, and not still being read."""
        return (
            self._ready is not None
            and self._shown is not None
            and self._shown.key == self._ready.key
        )

    @property
    def pixel_size(self) -> float | None:
        """Å per pixel of the micrograph on screen, once it is read."""
        return self._ready.pixel_size if self._ready else None

    def preview(self, sources: list[Source]) -> None:
        """Show micrographs that are in no session yet."""
        self._replace(sources)
        if sources:
            self.show(0)

    def show(self, index: int, look_at: tuple[float, float, float] | None = None) -> None:
        """Show a micrograph.

        Parameters
        ----------
        index : int
        look_at : tuple of float, optional
            y and x in pixels of the file and width in Å for the camera; else all of it.
        """
        if not 0 <= index < len(self._sources):
            return
        if index == self.at and self.showing:
            self._point_camera(look_at)
            return
        turned, self.at = index != self.at, index
        self._look_at, self._ready, self.broken = look_at, None, False
        ready = self.images.get(self._sources[index].wanted.key)
        self._read_ahead()
        if ready is not None:
            self._arrived(ready)
        if not self.showing:
            self._layers.blank()
        if turned:
            self.turned.emit(index)

    def step(self, by: int) -> None:
        """Show the next or previous micrograph."""
        if self._sources:
            self.show((self.at + by) % len(self._sources))

    def show_asked(self) -> None:
        """Move to the proposal that is asked."""
        standing = self.desk.standing
        if standing is None or standing.current is None:
            return
        asked = standing.current
        self.show(asked.micrograph, (asked.y, asked.x, _CLOSE * standing.diameter))

    # How it is shown.

    def refresh(self) -> None:
        """Show the micrograph as `display` now says; live, a little later."""
        if not self._soon.isActive():
            self._soon.start()

    def contrast(self) -> None:
        """Take over the percentiles of `display`."""
        if self._shown is not None:
            self._layers.contrast(self._shown, self.display.low, self.display.high)

    def draw(self, *_: object) -> None:
        """Draw the circles anew."""
        standing = self.desk.standing
        marks = None
        if standing is not None and self.at >= 0:
            marks = compose(standing, self._mine(), self.at, self.display, asking=self.asking)
        self.marks = marks
        size = self.pixel_size
        if size is None or not self.display.circles:
            shown = None
        else:
            shown = in_angstrom(marks, standing.diameter if standing else None, self.ruler)
        self._layers.mark(shown, size)
        self.drawn.emit()

    def nearest(self, yx: tuple[float, float]) -> int | None:
        """Index of the circle under a place."""
        if self.marks is None or self.pixel_size is None or self.desk.standing is None:
            return None
        within = 0.35 * self.desk.standing.diameter / self.pixel_size
        return nearest(self.marks, yx, within)

    def inside(self, yx: tuple[float, float]) -> bool:
        """Whether a place lies on the micrograph."""
        if self._ready is None:
            return False
        return all(-0.5 <= p <= n - 0.5 for p, n in zip(yx, self._ready.shape, strict=True))

    def measure(self, yx: tuple[float, float], across: float) -> None:
        """Draw the ruler: a circle round a place, so many Å across."""
        self.ruler = (*yx, across)
        self.draw()
        self.measured.emit(across)

    def show_ruler(self, across: float | None) -> None:
        """Draw the ruler where it was, or in the middle of the screen; None takes it away."""
        if across is None or self._ready is None:
            self.ruler = None
        elif self.ruler is not None:
            self.ruler = (*self.ruler[:2], across)
        else:
            centre = [float(c) for c in self.viewer.scene.camera.center[-2:]]
            self.ruler = (centre[0], centre[1], across)
        self.draw()

    def close(self) -> None:
        """Stop what is under way."""
        self._soon.stop()
        self.images.close()

    # How.

    def _opened(self, standing: Standing | None) -> None:
        if standing is None:
            self._replace([])
            return
        sources = [
            Source(
                Wanted((str(standing.path), m.id), self.desk.reader_of(m.id), standing.diameter),
                Path(m.name).name,
            )
            for m in standing.micrographs
        ]
        self._replace(sources)
        first = next((m.id for m in standing.micrographs if m.state == "ready"), 0)
        self.show(first)

    def _replace(self, sources: list[Source]) -> None:
        self.images.forget()
        self._sources, self.at, self._ready, self._shown = sources, -1, None, None
        self._found, self.ruler = None, None
        self._layers.blank()
        self.draw()

    def _changed(self, standing: Standing) -> None:
        self.draw()
        self._read_ahead()

    def _read_ahead(self) -> None:
        """The micrograph on screen, those of the next proposals, and its neighbour."""
        standing = self.desk.standing
        order = [self.at]
        if standing is not None:
            order += [p.micrograph for p in standing.proposals[standing.at :]]
        order.append(self.at + 1)
        order = [i for i in dict.fromkeys(order) if 0 <= i < len(self._sources)]
        self.images.want([self._sources[i].wanted for i in order[:_AHEAD]])

    def _arrived(self, ready: Ready) -> None:
        resolution = self.display.resolution if self.display.filtered else None
        if not 0 <= self.at < len(self._sources):
            return
        mine = self._sources[self.at].wanted.key == ready.key
        if mine:
            self._ready = ready
            self._make()
        elif resolution is not None:
            # Filtered ahead as well, so that turning to it takes no time.
            wanted = next((s.wanted for s in self._sources if s.wanted.key == ready.key), None)
            if wanted is not None:
                self.images.make(wanted, resolution, lambda _: None)

    def _lost(self, key: Hashable, why: str) -> None:
        here = 0 <= self.at < len(self._sources) and self._sources[self.at].wanted.key == key
        if here:
            self.broken = True
            self.failed.emit(why)

    def _make(self) -> None:
        if not 0 <= self.at < len(self._sources):
            return
        resolution = self.display.resolution if self.display.filtered else None
        self.images.make(self._sources[self.at].wanted, resolution, self._show)

    def _show(self, shown: Shown) -> None:
        if not 0 <= self.at < len(self._sources) or self._ready is None:
            return
        if shown.key != self._sources[self.at].wanted.key:
            return
        fresh = self._shown is None or self._shown.key != shown.key
        self._shown = shown
        self._layers.show(shown)
        self.contrast()
        if fresh:
            self.draw()
            self._point_camera(self._look_at)

    def _point_camera(self, look_at: tuple[float, float, float] | None) -> None:
        if look_at is None or self._ready is None:
            self.viewer.reset_view()
            return
        y, x, across = look_at
        self._layers.look_at((y, x), across / self._ready.pixel_size)

    def _mine(self) -> Found:
        """Picks of the micrograph on screen; put together once."""
        found = self.desk.found
        if self._found is None or self._found[0] is not found or self._found[1] != self.at:
            self._found = (found, self.at, found.of(self.at) if len(found.id) else NOTHING)
        return self._found[2]
