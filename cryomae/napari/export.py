"""Step 4: the picks for another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QFormLayout, QHBoxLayout, QLineEdit

from cryomae.napari.labour import WRITE
from cryomae.napari.panel import Panel, button, heading, words

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from cryomae.napari.state import Job, Standing
    from cryomae.napari.worker import Written
    from cryomae.napari.workspace import Workspace

_PROGRAMS = {
    "RELION": "relion",
    "cryoSPARC": "cryosparc",
    "EMAN (.box)": "eman",
    "EMAN2 (.json)": "eman2",
    "crYOLO (.cbox)": "cryolo",
    "Topaz": "topaz",
}


class ExportPanel(Panel):
    """Write picks, answers and model."""

    step = "Export"

    def __init__(self, napari_viewer: Viewer, workspace: Workspace | None = None) -> None:
        super().__init__(napari_viewer, workspace)
        self.summary = words()
        self.program = QComboBox()
        self.program.addItems(list(_PROGRAMS))
        self.folder = QLineEdit()
        self.browse = button("…")
        self.model = QCheckBox("also the model, to pick other micrographs with")
        self.model.setChecked(True)
        self.write = button("Export")
        self.write.setMinimumHeight(36)
        self.result = words()
        place = QHBoxLayout()
        place.addWidget(self.folder, 1)
        place.addWidget(self.browse)
        form = QFormLayout()
        form.addRow("For", self.program)
        form.addRow("Folder", place)
        self.body.addWidget(heading("Picks"))
        self.body.addWidget(self.summary)
        self.body.addLayout(form)
        self.body.addWidget(self.model)
        self.body.addWidget(self.write)
        self.body.addWidget(self.result)
        self.body.addStretch(1)
        desk = self.workspace.desk
        self.browse.clicked.connect(self._ask)
        self.write.clicked.connect(self._write)
        desk.opened.connect(self._opened)
        desk.working.connect(self._working)
        self._opened(desk.standing)

    def _ask(self) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder to write to", self.folder.text())
        if found:
            self.folder.setText(found)

    def _write(self) -> None:
        self.result.setText("")
        program = _PROGRAMS[self.program.currentText()]
        self.workspace.desk.export(
            Path(self.folder.text()), program, self.model.isChecked(), self._written
        )

    def _written(self, written: Written) -> None:
        lines = [
            f"<b>{written.picks:,}</b> picks of {written.micrographs:,} micrographs and "
            f"{written.answers:,} answers written:"
        ]
        lines += [f"{what}: {path}" for what, path in written.files.items()]
        self.result.setText("<br>".join(lines))

    def _opened(self, standing: Standing | None) -> None:
        self.write.setEnabled(standing is not None)
        if standing is not None:
            self.folder.setText(
                str(standing.path.absolute().parent / f"{standing.path.name}_picks")
            )

    def refresh(self) -> None:
        """Show what would be written."""
        standing = self.workspace.desk.standing
        if standing is None:
            self.summary.setText("Open micrographs in step 1 first.")
            return
        count = int(self.workspace.desk.found.reach(standing).sum())
        text = f"<b>{count:,}</b> picks with a score of {standing.threshold:.2f} or more."
        if standing.unlearnt:
            text += (
                f" {standing.unlearnt} answers are newer than the last training: confirmed and "
                "rejected places count, all others score as before."
            )
        waiting = sum(m.state == "waiting" for m in standing.micrographs)
        if waiting:
            text += f" {waiting} micrographs are not looked at yet and have no picks."
        self.summary.setText(text)

    def _working(self, kind: str, job: Job | None) -> None:
        if kind == WRITE:
            self.write.setEnabled(job is None)
            self.write.setText("Export" if job is None else "Writing …")
