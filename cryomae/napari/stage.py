"""Which micrograph is on the canvas, and where the camera looks."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from cryomae.napari.images import Images, Ready, Shown, Wanted
from cryomae.napari.state import Display, Standing

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from cryomae.napari.desk import Desk
    from cryomae.napari.layers import Layers

_CLOSE = 9.0  # particle diameters that the canvas is wide when a proposal is shown
_AHEAD = 12  # micrographs that are read before they are needed
_LIVE = 40  # ms between two filterings while a slider moves


class Stage(QObject):
    """The micrographs that can be shown, and the one that is.

    Attributes
    ----------
    at : int
        Index of the micrograph on screen; in a session its id.
    broken : bool
        Whether it cannot be read.
    """

    turned = Signal(int)  # another micrograph was chosen
    shown = Signal()  # it is on screen, or not any more
    failed = Signal(str)

    def __init__(
        self, viewer: Viewer, desk: Desk, images: Images, display: Display, layers: Layers
    ) -> None:
        super().__init__()
        self.viewer, self.desk, self.images, self.display = viewer, desk, images, display
        self.at = -1
        self.broken = False
        self._sources: list[Wanted] = []
        self._ready: Ready | None = None
        self._shown: Shown | None = None
        self._look_at: tuple[float, float, float] | None = None
        self._layers = layers
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_LIVE)
        self._soon.timeout.connect(self._make)
        images.ready.connect(self._arrived)
        images.failed.connect(self._lost)
        desk.changed.connect(self._read_ahead)
        desk.opened.connect(self._opened)

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

    def preview(self, sources: list[Wanted]) -> None:
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
        ready = self.images.get(self._sources[index].key)
        self._read_ahead()
        if ready is not None:
            self._arrived(ready)
        why = self.images.why_not(self._sources[index].key)
        if why:
            self._lost(self._sources[index].key, why)
        if not self.showing:
            self._layers.blank()
            self.shown.emit()
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

    def inside(self, yx: tuple[float, float]) -> bool:
        """Whether a place lies on the micrograph."""
        if self._ready is None:
            return False
        return all(-0.5 <= p <= n - 0.5 for p, n in zip(yx, self._ready.shape, strict=True))

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
            Wanted(
                (str(standing.path), m.id),
                Path(m.name).name,
                self.desk.reader_of(m.id),
                standing.diameter,
            )
            for m in standing.micrographs
        ]
        self._replace(sources)
        first = next((m.id for m in standing.micrographs if m.state == "ready"), 0)
        self.show(first)

    def _replace(self, sources: list[Wanted]) -> None:
        self.images.forget()
        self._sources, self.at, self._ready, self._shown = sources, -1, None, None
        self._layers.blank()
        self.shown.emit()

    def _read_ahead(self, *_: object) -> None:
        """The micrograph on screen, those of the next proposals, and its neighbour."""
        standing = self.desk.standing
        order = [self.at]
        if standing is not None:
            order += [p.micrograph for p in standing.proposals[standing.at :]]
        order.append(self.at + 1)
        order = [i for i in dict.fromkeys(order) if 0 <= i < len(self._sources)]
        self.images.want([self._sources[i] for i in order[:_AHEAD]])

    def _arrived(self, ready: Ready) -> None:
        resolution = self.display.resolution if self.display.filtered else None
        if not 0 <= self.at < len(self._sources):
            return
        mine = self._sources[self.at].key == ready.key
        if mine:
            self._ready = ready
            self._make()
        elif resolution is not None:
            # Filtered ahead as well, so that turning to it takes no time.
            wanted = next((s for s in self._sources if s.key == ready.key), None)
            if wanted is not None:
                self.images.make(wanted, resolution, lambda _: None)

    def _lost(self, key: Hashable, why: str) -> None:
        here = 0 <= self.at < len(self._sources) and self._sources[self.at].key == key
        if here:
            self.broken = True
            self.failed.emit(why)

    def _make(self) -> None:
        if not 0 <= self.at < len(self._sources):
            return
        resolution = self.display.resolution if self.display.filtered else None
        self.images.make(self._sources[self.at], resolution, self._show)

    def _show(self, shown: Shown) -> None:
        if not 0 <= self.at < len(self._sources) or self._ready is None:
            return
        if shown.key != self._sources[self.at].key:
            return
        fresh = self._shown is None or self._shown.key != shown.key
        self._shown = shown
        self._layers.show(shown)
        self.contrast()
        if fresh:
            self._point_camera(self._look_at)
            self.shown.emit()

    def _point_camera(self, look_at: tuple[float, float, float] | None) -> None:
        if look_at is None or self._ready is None:
            self.viewer.reset_view()
            return
        y, x, across = look_at
        self._layers.look_at((y, x), across / self._ready.pixel_size)
