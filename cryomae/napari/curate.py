"""Step 2: the threshold, single picks, and which micrographs count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from cryomae.active.journal import Answer
from cryomae.napari.histogram import Histogram
from cryomae.napari.look import LookBox, Turner
from cryomae.napari.micrographs import MicrographTable
from cryomae.napari.panel import Panel, button, heading, words

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from cryomae.napari.state import Standing
    from cryomae.napari.workspace import Workspace


class ThresholdBox(QWidget):
    """A histogram, the number, and the way back from what was chosen.

    Parameters
    ----------
    title : str
    back, tip : str
        On the button that goes back, and what it does.
    """

    moved = Signal(float)  # while it is dragged
    chosen = Signal(object)  # score, or None to go back

    def __init__(self, title: str, back: str, tip: str) -> None:
        super().__init__()
        self.histogram = Histogram()
        self.value = QDoubleSpinBox()
        self.value.setRange(0, 1)
        self.value.setDecimals(2)
        self.value.setSingleStep(0.01)
        self.value.setKeyboardTracking(False)
        self.value.setFixedWidth(76)
        self.back = button(back, tip)
        row = QHBoxLayout()
        row.addWidget(QLabel(title), 1)
        row.addWidget(self.value)
        row.addWidget(self.back)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.histogram)
        self.histogram.moved.connect(self.moved)
        self.histogram.chosen.connect(self._typed)
        self.value.valueChanged.connect(self._typed)
        self.back.clicked.connect(lambda: self.chosen.emit(None))

    def show_scores(self, scores: NDArray[np.float64], threshold: float, chosen: bool) -> None:
        """Show scores and threshold, and whether it is the user's."""
        self.histogram.show_scores(scores, threshold)
        self.value.blockSignals(True)
        self.value.setValue(threshold)
        self.value.blockSignals(False)
        self.back.setEnabled(chosen)

    def _typed(self, value: float) -> None:
        """Choose what was typed, or where the line was let go."""
        self.chosen.emit(value)
        self.value.clearFocus()


class CuratePanel(Panel):
    """Look through the picks and put them right."""

    step = "Curate"

    def __init__(self, napari_viewer: Viewer, workspace: Workspace | None = None) -> None:
        super().__init__(napari_viewer, workspace)
        self.summary = words("Open micrographs in step 1 first.")
        self.all = ThresholdBox(
            "All micrographs", "Automatic", "Back to the threshold that the training chose."
        )
        self.own = ThresholdBox(
            "This micrograph", "As all", "Back to the threshold of all micrographs."
        )
        self.hide_below = QCheckBox("hide picks below it")
        self.by_score = QCheckBox("colour by score")
        self.edit = QCheckBox("edit: click to add or take away, drag to move")
        self.table = MicrographTable(self.workspace)
        self.confirm = button("Confirm proposals  ▶")
        self.export = button("Export  ▶")
        self._lay_out()
        self._load_display()
        self._connect()

    def _lay_out(self) -> None:
        self.body.addWidget(self.summary)
        self.body.addWidget(heading("Least score of a pick"))
        self.body.addWidget(self.all)
        self.body.addWidget(self.own)
        row = QHBoxLayout()
        row.addWidget(self.hide_below)
        row.addWidget(self.by_score)
        self.body.addLayout(row)
        self.body.addWidget(self.edit)
        self.body.addWidget(heading("Micrographs"))
        self.body.addWidget(Turner(self.workspace))
        self.body.addWidget(self.table, 1)
        self.body.addWidget(heading("Display"))
        self.body.addWidget(LookBox(self.workspace))
        steps = QHBoxLayout()
        steps.addWidget(self.confirm)
        steps.addWidget(self.export)
        self.body.addLayout(steps)

    def _connect(self) -> None:
        desk, stage = self.workspace.desk, self.workspace.stage
        self.all.moved.connect(lambda value: desk.preview(value, None))
        self.all.chosen.connect(lambda value: desk.do(Answer("threshold", value=value)))
        self.own.moved.connect(lambda value: desk.preview(value, stage.at))
        self.own.chosen.connect(self._choose_own)
        self.hide_below.toggled.connect(self._save_display)
        self.by_score.toggled.connect(self._save_display)
        self.edit.toggled.connect(self._set_editing)
        self.confirm.clicked.connect(lambda: self.open_step("Confirm"))
        self.export.clicked.connect(lambda: self.open_step("Export"))
        self.workspace.display_changed.connect(self._load_display)

    def _load_display(self) -> None:
        display = self.workspace.display
        for box, on in (
            (self.hide_below, display.hide),
            (self.by_score, display.by_score),
            (self.edit, self.workspace.mouse.editing),
        ):
            box.blockSignals(True)
            box.setChecked(on)
            box.blockSignals(False)

    def _save_display(self, *_: object) -> None:
        display = self.workspace.display
        display.hide, display.by_score = self.hide_below.isChecked(), self.by_score.isChecked()
        self.workspace.circles.draw()

    def _choose_own(self, value: float | None) -> None:
        at = self.workspace.stage.at
        self.workspace.desk.do(Answer("threshold", micrograph=at, value=value))

    def _set_editing(self, on: bool) -> None:
        self.workspace.mouse.editing = on

    def refresh(self) -> None:
        """Show scores, thresholds and counts."""
        standing = self.workspace.desk.standing
        self.table.load()
        if standing is None:
            self.summary.setText("Open micrographs in step 1 first.")
            return
        found, at = self.workspace.desk.found, self.workspace.stage.at
        picked = found.reach(standing)
        here = found.micrograph == at
        text = f"<b>{picked.sum():,}</b> picks in {self._micrographs(standing)}"
        if at >= 0:
            text += f", <b>{(picked & here).sum():,}</b> in this one"
        self.summary.setText(text + ".")
        chosen = standing.thresholds
        self.all.show_scores(found.score[~found.sure], standing.threshold, None in chosen)
        mine = found.score[here & ~found.sure]
        self.own.show_scores(mine, standing.threshold_of(at), at in chosen)

    def _micrographs(self, standing: Standing) -> str:
        left = [m for m in standing.micrographs if m.state == "ready"]
        count = sum(m.id not in standing.excluded for m in left)
        return f"{count:,} micrograph{'' if count == 1 else 's'}"
