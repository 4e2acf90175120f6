"""A session's answers as a model file that any picking run can use."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from cryomae.active.head import Head
from cryomae.model.detector import Correction, ParticleDetector
from cryomae.model.registry import ModelCard, create_model, model_card, save_model
from cryomae.sizes import COARSE

if TYPE_CHECKING:
    from cryomae.active.session import Session


def corrected(model: ParticleDetector, head: Head) -> ParticleDetector:
    """A copy of a model that scores as a head learnt on its latents does.

    Parameters
    ----------
    model : ParticleDetector
        That the latents came from. It is not changed.
    head : Head
    """
    made = copy.deepcopy(model)
    if not head.answered:
        return made
    before = made.correction or Correction()
    weights = head.mean[2:] / head.scale
    slope, offset = float(head.mean[0]), float(head.mean[1] - weights @ head.centre)
    after = Correction()
    after.slope.copy_(slope * before.slope)
    after.offset.copy_(slope * before.offset + offset)
    here, around = torch.from_numpy(weights).float().split(COARSE)
    after.here.copy_(slope * before.here + here)
    after.around.copy_(slope * before.around + around)
    made.correction = after
    return made


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
    return save_model(path, corrected(create_model(settings.model), session.head), card)
