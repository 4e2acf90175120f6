"""How micrographs are shown: the same few controls in every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QSlider, QWidget
from superqt import QLabeledDoubleRangeSlider

from cryomae.napari.panel import button

if TYPE_CHECKING:
    from cryomae.napari.workspace import Workspace

_FINEST, _COARSEST = 8, 80


class LookBox(QWidget):
    """Low-pass, contrast and circles; they change the picture and never the data."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self.filtered = QCheckBox("Low-pass (L)")
        self.filtered.setToolTip("Hide detail finer than this; only for the eye.")
        self.resolution = QSlider(Qt.Orientation.Horizontal)
        self.resolution.setRange(_FINEST, _COARSEST)
        self._angstrom = QLabel()
        self._angstrom.setMinimumWidth(46)
        self.contrast = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.contrast.setRange(0, 100)
        self.contrast.setDecimals(1)
        self.contrast.setToolTip("Percentiles of the pixels that are black and white.")
        self.circles = QCheckBox("Circles (C)")
        for each in (self.filtered, self.resolution, self.circles):
            each.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.filtered, 0, 0)
        grid.addWidget(self.resolution, 0, 1)
        grid.addWidget(self._angstrom, 0, 2)
        grid.addWidget(QLabel("Contrast, %"), 1, 0)
        grid.addWidget(self.contrast, 1, 1, 1, 2)
        grid.addWidget(self.circles, 2, 0)
        self._load()
        self.filtered.toggled.connect(self._save)
        self.resolution.valueChanged.connect(self._save)
        self.circles.toggled.connect(self._save)
        self.contrast.valueChanged.connect(self._contrast)
        workspace.display_changed.connect(self._load)

    def _load(self) -> None:
        display = self._workspace.display
        everything = (self.filtered, self.resolution, self.circles, self.contrast)
        for each in everything:
            each.blockSignals(True)
        self.filtered.setChecked(display.filtered)
        self.resolution.setValue(round(display.resolution))
        self.resolution.setEnabled(display.filtered)
        self._angstrom.setText(f"{display.resolution:.0f} Å")
        self.circles.setChecked(display.circles)
        self.contrast.setValue((display.low, display.high))
        for each in everything:
            each.blockSignals(False)

    def _save(self) -> None:
        display = self._workspace.display
        display.filtered = self.filtered.isChecked()
        display.resolution = float(self.resolution.value())
        display.circles = self.circles.isChecked()
        self._workspace.show_differently()

    def _contrast(self, values: tuple[float, float]) -> None:
        display = self._workspace.display
        display.low, display.high = values
        self._workspace.stage.contrast()


class Turner(QWidget):
    """Which micrograph is on screen, and the way to the next."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._stage = workspace.stage
        back = button("◀", "Previous micrograph (,)")
        on = button("▶", "Next micrograph (.)")
        for each in (back, on):
            each.setFixedWidth(36)
        self._name = QLabel()
        self._name.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._name.setMinimumWidth(10)  # a long name is cut and does not widen the panel
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(back)
        row.addWidget(self._name, 1)
        row.addWidget(on)
        back.clicked.connect(lambda: self._stage.step(-1))
        on.clicked.connect(lambda: self._stage.step(1))
        self._stage.turned.connect(self._load)
        self._load()

    def _load(self, *_: object) -> None:
        if self._stage.at < 0:
            self._name.setText("no micrograph")
            return
        self._name.setText(f"{self._stage.name}  ·  {self._stage.at + 1} of {self._stage.count}")
        self._name.setToolTip(self._stage.name)
