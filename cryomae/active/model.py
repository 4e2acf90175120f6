"""A session's answers as a model file that any picking run can use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryomae.model.detector import corrected
from cryomae.model.registry import ModelCard, create_model, model_card, save_model

if TYPE_CHECKING:
    from cryomae.active.session import Session


def export_model(session: Session, path: Path) -> ModelCard:
    """Write the model of a session's newest version, for ``cryomae pick --model``.

    Parameters
    ----------
    session : Session
    path : Path
        Weight file to write, ending in ``.safetensors``; its card comes beside it.

    Raises
    ------
    WeightsError
        If the model that the session started from is not there any more.
    OutputError
        If it cannot be written.
    """
    settings = session.settings
    start = model_card(settings.model)
    labels = session.labels
    yes, no = int((labels.y == 1).sum()), int((labels.y == 0).sum())
    version = session.versions[-1].version if session.versions else 0
    name = session.path.absolute().name
    card = {
        "name": name,
        "architecture": start.architecture,
        "description": f"{start.name}, corrected by {yes} confirmed and {no} rejected places of "
        f"particles of {settings.diameter:g} Å.",
        "recipe": f"cryomae active train, version {version}, from {start.name} "
        f"({start.sha256[:12]})",
        "data": f"{yes + no} answers in the session {name}",
        "diameter": settings.diameter,
    }
    model = create_model(settings.model)
    if session.head.answered:
        model = corrected(model, *session.head.change)
    return save_model(path, model, card)
