"""The list of micrographs: how many picks each has, and whether it counts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from cryomae.active.journal import Answer

if TYPE_CHECKING:
    from cryomae.active.records import SessionMicrograph
    from cryomae.napari.state import Standing
    from cryomae.napari.workspace import Workspace

_COLUMNS = ("use", "micrograph", "picks")


class MicrographTable(QTableWidget):
    """A row a micrograph; the check box takes it in or leaves it out."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(0, len(_COLUMNS))
        self._workspace = workspace
        self._loading = False
        self._before: object = None
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setMinimumHeight(120)
        self.setTextElideMode(Qt.TextElideMode.ElideLeft)
        down, across = self.verticalHeader(), self.horizontalHeader()
        if down is not None and across is not None:
            down.hide()
            across.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            across.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.cellClicked.connect(self._clicked)
        self.itemChanged.connect(self._checked)

    def load(self) -> None:
        """Show the micrographs and what is picked in them."""
        standing = self._workspace.desk.standing
        found = self._workspace.desk.found
        if standing is None:
            self.setRowCount(0)
            return
        # Threshold and micrographs are all that this shows; answers come far more often.
        now = (found, standing.threshold, dict(standing.thresholds), standing.excluded,
               standing.micrographs)  # fmt: skip
        if now == self._before:
            self._turned(self._workspace.stage.at)
            return
        self._before = now
        picked = found.micrograph[found.reach(standing)]
        counts = np.bincount(picked, minlength=len(standing.micrographs))
        self._loading = True
        self.setRowCount(len(standing.micrographs))
        for row, micrograph in enumerate(standing.micrographs):
            self._fill(row, micrograph, standing, int(counts[row]))
        self._loading = False
        self._turned(self._workspace.stage.at)

    def _fill(self, row: int, m: SessionMicrograph, standing: Standing, count: int) -> None:
        use = self._item(row, 0)
        use.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
        on = m.id not in standing.excluded and m.state != "failed"
        use.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        name = self._item(row, 1)
        name.setText(Path(m.name).name)
        name.setToolTip(m.name if m.state != "failed" else f"{m.name}: {m.cause}")
        number = self._item(row, 2)
        texts: Mapping[str, str] = {"ready": f"{count:,}", "waiting": "waiting", "failed": "failed"}
        number.setText(texts[m.state])
        number.setToolTip(m.cause)
        number.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def _item(self, row: int, column: int) -> QTableWidgetItem:
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(row, column, item)
        return item

    def _turned(self, at: int) -> None:
        if 0 <= at < self.rowCount():
            self.selectRow(at)
            self.scrollToItem(self._item(at, 1))

    def _clicked(self, row: int, column: int) -> None:
        if column:
            self._workspace.stage.show(row)

    def _checked(self, item: QTableWidgetItem) -> None:
        if not self._loading and item.column() == 0:
            kind = "include" if item.checkState() == Qt.CheckState.Checked else "exclude"
            self._workspace.desk.do(Answer(kind, micrograph=item.row()))
