"""Step 1: which micrographs, how large the particle is, and off it goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QWidget,
)
from superqt import QCollapsible

from cryomae.napari.choices import ModelBox, is_session, session_beside
from cryomae.napari.images import Wanted
from cryomae.napari.labour import LOOK
from cryomae.napari.look import LookBox, Turner
from cryomae.napari.panel import Panel, button, heading, words

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from cryomae.micrograph import MicrographRef
    from cryomae.napari.state import Job, Standing
    from cryomae.napari.workspace import Workspace

_STAR = "RELION micrographs (*.star);;All files (*)"


class PickPanel(Panel):
    """Begin: micrographs, diameter, model."""

    step = "Pick"

    def __init__(self, napari_viewer: Viewer, workspace: Workspace | None = None) -> None:
        super().__init__(napari_viewer, workspace)
        self._refs: list[MicrographRef] = []
        self._make_form()
        self.state = words()
        self.progress = QProgressBar()
        self.run = button("Find particles", "Look at all micrographs; a second or two each.")
        self.run.setMinimumHeight(36)
        self.cancel = button("Cancel", "Stop; what is done is kept.")
        self.on = button("Curate the picks  ▶")
        self.confirm = button("Confirm proposals  ▶")
        row = QHBoxLayout()
        row.addWidget(self.run, 3)
        row.addWidget(self.cancel, 1)
        further = QHBoxLayout()
        further.addWidget(self.on)
        further.addWidget(self.confirm)
        self.body.addLayout(row)
        self.body.addWidget(self.progress)
        self.body.addWidget(self.state)
        self.body.addLayout(further)
        self.body.addWidget(heading("Display"))
        self.body.addWidget(Turner(self.workspace))
        self.body.addWidget(LookBox(self.workspace))
        self.body.addStretch(1)
        self._connect()
        self._opened(self.workspace.desk.standing)

    def _make_form(self) -> None:
        self.inputs = QLineEdit()
        self.inputs.setPlaceholderText("a folder, or a RELION micrographs STAR file")
        self.folder = button("Folder…")
        self.star = button("STAR…")
        self.diameter = QDoubleSpinBox()
        self.diameter.setRange(10, 5000)
        self.diameter.setDecimals(0)
        self.diameter.setSingleStep(5)
        self.diameter.setValue(180)
        self.diameter.setSuffix(" Å")
        self.diameter.setToolTip("The longest dimension of the particle.")
        self.ruler = QCheckBox("show as a blue circle")
        self.ruler.setChecked(True)
        self.draw = button(
            "Draw it…", "Then press in the middle of a particle and drag to its edge."
        )
        self.draw.setCheckable(True)
        self.model = ModelBox()
        self.session = QLineEdit()
        self.session.setToolTip("Folder for everything you do; the same folder goes on with it.")
        self.pixel_size = QDoubleSpinBox()
        self.pixel_size.setRange(0, 100)
        self.pixel_size.setDecimals(4)
        self.pixel_size.setSpecialValueText("from the files")
        self.pixel_size.setSuffix(" Å")
        self.body.addWidget(heading("Micrographs"))
        self.body.addLayout(_row(self.inputs, self.folder, self.star))
        self.found = words()
        self.body.addWidget(self.found)
        self.body.addWidget(heading("Particle diameter"))
        self.body.addLayout(_row(self.diameter, self.draw))
        self.body.addWidget(self.ruler)
        more = QCollapsible("Model, pixel size, where it is kept")
        form = QWidget()
        lines = QFormLayout(form)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.addRow("Model", self.model)
        lines.addRow("Pixel size", self.pixel_size)
        self.elsewhere = button("Open another session…")
        lines.addRow("Session", self.session)
        lines.addRow("", self.elsewhere)
        more.addWidget(form)
        self.body.addWidget(more)

    def _connect(self) -> None:
        desk, stage = self.workspace.desk, self.workspace.stage
        self.folder.clicked.connect(self._ask_folder)
        self.star.clicked.connect(self._ask_star)
        self.elsewhere.clicked.connect(self._ask_session)
        self.inputs.editingFinished.connect(self._look)
        self.session.textChanged.connect(self._name_button)
        self.diameter.valueChanged.connect(self._show_ruler)
        self.ruler.toggled.connect(self._show_ruler)
        self.draw.toggled.connect(self._measure)
        self.run.clicked.connect(self._run)
        self.cancel.clicked.connect(self._cancel)
        self.on.clicked.connect(lambda: self.open_step("Curate"))
        self.confirm.clicked.connect(lambda: self.open_step("Confirm"))
        self.workspace.circles.measured.connect(self._measured)
        stage.shown.connect(self._show_ruler)
        desk.opened.connect(self._opened)
        desk.working.connect(self._working)

    def entered(self) -> None:
        """Show the ruler; nothing is asked here."""
        super().entered()
        self._show_ruler()

    def left(self) -> None:
        """Take the ruler away."""
        self.draw.setChecked(False)
        self.workspace.circles.show_ruler(None)

    def open(self, inputs: str) -> None:
        """Show the micrographs that are named, as if they had been typed in."""
        self.inputs.setText(inputs)
        self._look()

    # What the user names.

    def _ask_folder(self) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder of micrographs", self._start())
        if found:
            self.open(found)

    def _ask_star(self) -> None:
        found, _ = QFileDialog.getOpenFileName(self, "Micrographs STAR file", self._start(), _STAR)
        if found:
            self.open(found)

    def _ask_session(self) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder of a session", self._start())
        if found:
            self.session.setText(found)
            self.workspace.desk.open(Path(found))

    def _start(self) -> str:
        return self.inputs.text() or os.getcwd()

    def _look(self) -> None:
        text = self.inputs.text().strip()
        if not text:
            return
        if is_session(Path(text)):
            self.session.setText(text)
            self.workspace.desk.open(Path(text))
            return
        self.session.setText(str(session_beside(Path(text))))
        self.found.setText("looking …")

        def find() -> tuple[list[MicrographRef], list[str]]:
            from cryomae.io import find_micrographs

            refs, errors = find_micrographs([text])
            return refs, [str(error) for error in errors]

        self.workspace.aside.run(find, self._found, self._not_found)

    def _found(self, result: tuple[list[MicrographRef], list[str]]) -> None:
        self._refs, errors = result
        for text in errors:
            self.workspace.say("warning", text)
        count = len(self._refs)
        self.found.setText(f"{count:,} micrograph{'s' if count != 1 else ''}" if count else "none")
        self.run.setEnabled(count > 0)
        if count and self.workspace.desk.standing is None:
            self.workspace.stage.preview([self._source(ref) for ref in self._refs])

    def _not_found(self, error: BaseException) -> None:
        self.found.setText("none")
        self.run.setEnabled(False)
        self.workspace.fail(error)

    def _source(self, ref: MicrographRef) -> Wanted:
        from cryomae.io import read_micrograph

        size = self._pixel_size()
        key = (str(ref.path), size)
        return Wanted(key, Path(ref.name).name, lambda: read_micrograph(ref, size))

    def _pixel_size(self) -> float | None:
        return self.pixel_size.value() or None

    # The ruler.

    def _show_ruler(self, *_: object) -> None:
        shown = self.on_screen and self.ruler.isChecked()
        self.workspace.circles.show_ruler(self.diameter.value() if shown else None)

    def _measure(self, on: bool) -> None:
        self.workspace.mouse.measuring = on
        if on:
            self.ruler.setChecked(True)
            self.workspace.viewer.status = "Press in the middle of a particle and drag to its edge."

    def _measured(self, across: float) -> None:
        self.diameter.blockSignals(True)
        self.diameter.setValue(across)
        self.diameter.blockSignals(False)

    # Running.

    def _run(self) -> None:
        from cryomae.active.begin import Named

        self.draw.setChecked(False)
        named = Named(
            Path(self.session.text()),
            [self.inputs.text().strip()],
            self.diameter.value(),
            self._pixel_size(),
            self.model.name(),
        )
        self.workspace.desk.begin(named)

    def _cancel(self) -> None:
        self.workspace.desk.stop(LOOK)
        self.state.setText("Stopped. What is done is kept; press Go on to go on.")

    def _name_button(self, *_: object) -> None:
        there = is_session(Path(self.session.text()))
        self.run.setText("Go on" if there else "Find particles")

    def _opened(self, standing: Standing | None) -> None:
        if standing is not None:
            self.session.setText(str(standing.path))
            self.diameter.setValue(standing.diameter)
        self._working(LOOK, None)

    def refresh(self) -> None:
        """Show how far the session is."""
        standing = self.workspace.desk.standing
        for each in (self.on, self.confirm):
            each.setVisible(standing is not None)
        if standing is None:
            self.state.setText("")
            return
        counts = {s: sum(m.state == s for m in standing.micrographs) for s in ("ready", "failed")}
        picks = f"{standing.estimate.picks:,} picks" if standing.estimate else "no picks yet"
        text = f"{counts['ready']} of {len(standing.micrographs)} micrographs ready, {picks}."
        if counts["failed"]:
            text += f" {counts['failed']} cannot be used; step 2, Curate, says why."
        self.state.setText(text)

    def _working(self, kind: str, job: Job | None) -> None:
        if kind != LOOK:
            return
        self.progress.setVisible(job is not None)
        self.cancel.setEnabled(job is not None)
        self.run.setEnabled(job is None and bool(self._refs or self.workspace.desk.standing))
        self._name_button()
        if job is not None:
            self.progress.setMaximum(job.total)
            self.progress.setValue(job.done)
            self.progress.setFormat(f"{job.text}: %v of %m")


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for index, widget in enumerate(widgets):
        row.addWidget(widget, 0 if index else 1)
    return row
