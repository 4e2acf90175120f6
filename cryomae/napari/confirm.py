"""Step 3: one question after the other, and what the model makes of the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QProgressBar

from cryomae.active.words import SAID, reason_in_words
from cryomae.napari.gallery import Gallery
from cryomae.napari.labour import LEARN
from cryomae.napari.look import LookBox
from cryomae.napari.panel import Panel, button, heading, words

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from cryomae.active.estimate import Estimate
    from cryomae.napari.state import Job, Standing
    from cryomae.napari.workspace import Workspace

_COLOURS = {"y": "#1f7a4d", "n": "#9c322b", "s": "#4b5563"}


class ConfirmPanel(Panel):
    """Answer proposals."""

    step = "Confirm"

    def __init__(self, napari_viewer: Viewer, workspace: Workspace | None = None) -> None:
        super().__init__(napari_viewer, workspace)
        self._asked: tuple[int, int] | None = None
        self.question = QLabel()
        font = self.question.font()
        font.setPointSizeF(font.pointSizeF() * 1.35)
        font.setBold(True)
        self.question.setFont(font)
        self.why = words()
        self.gallery = Gallery(self.workspace)
        self.message = words()
        self.answers = words()
        self.estimate = words()
        self.stop = words()
        self.learn = button("Learn now", "New scores, a new threshold and new proposals.")
        self.auto = QCheckBox()
        self.auto.setChecked(self.workspace.desk.auto_train)
        self.progress = QProgressBar()
        self.cancel = button("Cancel", "Stop learning; the answers are kept.")
        self.export = button("Export  ▶")
        self._lay_out()
        self._connect()
        self._working(LEARN, None)

    def _lay_out(self) -> None:
        self.body.addWidget(self.question)
        self.body.addWidget(self.why)
        big = QHBoxLayout()
        for key, text in (("y", "Yes  (Y)"), ("n", "No  (N)"), ("s", "Skip  (S)")):
            made = button(text)
            made.setMinimumHeight(40)
            made.setStyleSheet(
                f"QPushButton {{ background: {_COLOURS[key]}; color: white; font-weight: bold; }}"
            )
            made.clicked.connect(lambda _, k=key: self.workspace.desk.press(k))
            big.addWidget(made)
        small = QHBoxLayout()
        for key, text in (("b", "Back (B)"), ("u", "Undo (U)"), ("r", "Redo (R)")):
            made = button(text)
            made.clicked.connect(lambda _, k=key: self.workspace.desk.press(k))
            small.addWidget(made)
        self.body.addLayout(big)
        self.body.addLayout(small)
        self.body.addWidget(self.message)
        self.body.addWidget(self.gallery)
        self.body.addWidget(heading("What it has learnt"))
        self.body.addWidget(self.answers)
        self.body.addWidget(self.estimate)
        self.body.addWidget(self.stop)
        grid = QGridLayout()
        grid.addWidget(self.learn, 0, 0)
        grid.addWidget(self.auto, 0, 1)
        grid.addWidget(self.progress, 1, 0)
        grid.addWidget(self.cancel, 1, 1)
        self.body.addLayout(grid)
        self.body.addWidget(heading("Display"))
        self.body.addWidget(LookBox(self.workspace))
        self.body.addWidget(words("<b>H</b> shows all keys."))
        self.body.addWidget(self.export)
        self.body.addStretch(1)

    def _connect(self) -> None:
        desk = self.workspace.desk
        self.learn.clicked.connect(lambda: desk.train())
        self.cancel.clicked.connect(lambda: desk.stop(LEARN))
        self.auto.toggled.connect(self._set_auto)
        self.gallery.clicked.connect(desk.go_to)
        self.export.clicked.connect(lambda: self.open_step("Export"))
        desk.working.connect(self._working)

    def entered(self) -> None:
        """Go to the proposal that is asked."""
        self._asked = None
        self.workspace.circles.ask(True)

    def _set_auto(self, on: bool) -> None:
        self.workspace.desk.auto_train = on

    def refresh(self) -> None:
        """Show the question and what was learnt."""
        standing = self.workspace.desk.standing
        self.gallery.follow()
        if standing is None:
            self.question.setText("No session is open")
            self.why.setText("Open micrographs in step 1 first.")
            return
        current = standing.current
        if current is None:
            self.question.setText("Nothing to answer now")
            self.why.setText(self._nothing(standing))
        else:
            self.question.setText("Is this a particle?")
            before = standing.answers.get(current.candidate)
            text = f"{reason_in_words(current.reason).capitalize()}.  Nº {standing.at + 1}"
            text += f" of {len(standing.proposals)}, in {standing.name(current.micrograph)}."
            if before is not None:
                text += f"  <b>{SAID[before.kind].capitalize()} before.</b>"
            self.why.setText(text)
        self.message.setText(standing.message)
        self.answers.setText(
            f"<b>{standing.positives + standing.negatives}</b> answers: {standing.positives} "
            f"particles, {standing.negatives} not; {standing.unlearnt} not learnt from yet."
        )
        self.estimate.setText(_in_words(standing.estimate, standing.version))
        self.stop.setText(standing.stop)
        self.stop.setVisible(bool(standing.stop))
        self.auto.setText("by itself after every batch")
        self._go(standing)

    def _go(self, standing: Standing) -> None:
        """Move the camera, if another proposal is asked than before."""
        current = standing.current
        asked = None if current is None else (current.micrograph, current.id)
        if asked == self._asked:
            return
        self._asked = asked
        if asked is not None:
            self.workspace.circles.asking = True
            self.workspace.stage.show_asked()

    def _nothing(self, standing: Standing) -> str:
        if any(m.state == "waiting" for m in standing.micrographs):
            return "The micrographs are being looked at; questions come in a moment."
        if self.progress.isVisible():
            return "New questions come when learning is done."
        return "All proposals are answered."

    def _working(self, kind: str, job: Job | None) -> None:
        if kind != LEARN:
            return
        self.progress.setVisible(job is not None)
        self.cancel.setVisible(job is not None)
        self.learn.setEnabled(job is None)
        if job is not None:
            self.progress.setMaximum(job.total)
            self.progress.setValue(job.done)
            self.progress.setFormat(job.text)


def _in_words(estimate: Estimate | None, version: int) -> str:
    if estimate is None:
        return ""
    e = estimate
    if not version:
        return f"Not trained yet: {e.picks:,} picks of the model as it came."
    return (
        "<table>"
        "<tr><td>precision, right among the picks&nbsp;&nbsp;</td>"
        f"<td><b>{e.precision:.0%}</b>&nbsp;&nbsp;"
        f"({e.precision_low:.0%} to {e.precision_high:.0%})</td></tr>"
        "<tr><td>recall, found of all particles&nbsp;&nbsp;</td>"
        f"<td><b>{e.recall:.0%}</b>&nbsp;&nbsp;"
        f"({e.recall_low:.0%} to {e.recall_high:.0%})</td></tr></table>"
        f"Estimated, 95 %; {e.picks:,} picks, training nº {version}."
    )
