"""What can be chosen: models, sessions, programs."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QComboBox, QFileDialog

import cryomae
from cryomae.active.store import DATABASE

_OTHER = "a model file…"


class ModelBox(QComboBox):
    """The shipped models, or a file."""

    def __init__(self) -> None:
        super().__init__()
        # The registry itself comes with torch, which takes seconds to load.
        shipped = Path(cryomae.__file__).parent / "model" / "weights"
        self.addItems(sorted(card.stem for card in shipped.glob("*.json")))
        self.addItem(_OTHER)
        self.activated.connect(self._chosen)

    def name(self) -> str:
        """Name or path of the model."""
        return self.currentText()

    def _chosen(self, index: int) -> None:
        if self.itemText(index) != _OTHER:
            return
        found, _ = QFileDialog.getOpenFileName(self, "Model file", "", "Models (*.safetensors)")
        if found:
            self.insertItem(0, found)
        self.setCurrentIndex(0)


def is_session(path: Path) -> bool:
    """Whether a folder is that of a session."""
    return (path / DATABASE).is_file()


def session_beside(inputs: Path) -> Path:
    """Where the session of some micrographs is kept unless the user says otherwise."""
    place = inputs.absolute()
    return place.parent / f"{place.stem}_cryomae"
