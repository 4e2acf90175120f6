"""Few-shot training from what a user names: micrographs and exemplars in, a model file out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cryomae import __version__
from cryomae.atomic import write_text
from cryomae.errors import InputError
from cryomae.model.registry import ModelCard, save_model
from cryomae.pick.pipeline import Detector, load_detector
from cryomae.sizes import COARSE
from cryomae.train.exemplars import Exemplars, check_places, odd_ones, read_exemplars
from cryomae.train.fewshot import Adapted, FewShot, adapt
from cryomae.train.gallery import draw_exemplars
from cryomae.train.places import Maps, look_at
from cryomae.train.scene import make_scene

MODEL = "model.safetensors"
PICTURE = "exemplars.png"
RECORD = "train.yaml"


@dataclass(frozen=True)
class Named:
    """What a user names.

    Attributes
    ----------
    inputs : list of str
        Micrographs: files, folders, globs, lists.
    exemplars : Path
        Coordinates of particles in one or some of them.
    diameter : float
        Of the particle in Å.
    negatives : Path, optional
        Coordinates of places that are no particles.
    pixel_size : float, optional
        Å per pixel, overriding list and header.
    model : str
        Model to start from.
    """

    inputs: list[str]
    exemplars: Path
    diameter: float
    negatives: Path | None = None
    pixel_size: float | None = None
    model: str = "default"


@dataclass(frozen=True)
class Checked:
    """Exemplars that can be learned from.

    Attributes
    ----------
    detector : Detector
        The model to start from.
    parts : list of Exemplars
        A micrograph each.
    maps : list of tuple of ndarray
        Logits and latents of their working images.
    odd : list of int
        Exemplars that look unlike the others, counted through all parts.
    remarks : list of str
        For the user.
    """

    detector: Detector
    parts: list[Exemplars]
    maps: list[Maps]
    odd: list[int]
    remarks: list[str]

    @property
    def count(self) -> int:
        """Number of exemplars."""
        return sum(len(part.xy) for part in self.parts)


@dataclass(frozen=True)
class Trained:
    """What a run gives.

    Attributes
    ----------
    folder : Path
        With `MODEL` and its card, `PICTURE` and `RECORD`.
    adapted : Adapted
    card : ModelCard
    remarks : list of str
        For the user.
    """

    folder: Path
    adapted: Adapted
    card: ModelCard
    remarks: list[str]


def check(named: Named, device: str = "auto") -> Checked:
    """Read exemplars and look for what is wrong with them.

    Raises
    ------
    InputError, FormatError, MicrographError, WeightsError
        If they cannot be read, are too few, lie off the micrograph or look mirrored or scaled.
    """
    parts, remarks = read_exemplars(
        named.exemplars, named.inputs, named.diameter,
        negative=named.negatives, pixel_size=named.pixel_size,
    )  # fmt: skip
    detector = load_detector(named.model, device)
    maps = [detector.logits_and_latents(part.working.image) for part in parts]
    remarks += check_places(parts, [logits for logits, _ in maps])
    latents = [look_at(own, part.xy)[1] for own, part in zip(maps, parts, strict=True)]
    odd = odd_ones(np.concatenate(latents)[:, :COARSE].astype(np.float32))
    if odd:
        remarks.append(
            f"{_numbers(odd)} of the exemplars look{'s' if len(odd) == 1 else ''} unlike the "
            f"others: are all of them the same particle? See {PICTURE}"
        )
    return Checked(detector, parts, maps, odd, remarks)


def train_on_exemplars(
    named: Named,
    folder: Path,
    *,
    settings: FewShot | None = None,
    device: str = "auto",
    overwrite: bool = False,
    command: Sequence[str] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train a model on exemplars and write it; nothing is written before it is done.

    Parameters
    ----------
    named : Named
    folder : Path
        For everything that is written.
    settings : FewShot, optional
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    overwrite : bool
        Replace a model that is there.
    command : sequence of str
        For the record.
    on_progress : callable, optional
        ``on_progress(done, total)`` in corrections that are learnt.

    Raises
    ------
    InputError, FormatError, MicrographError, WeightsError
        See `check`; also if the folder holds a model and ``overwrite`` is False.
    """
    refuse_to_replace(folder, overwrite)
    checked = check(named, device)
    how = settings or FewShot()
    scene = make_scene(checked.parts, checked.maps, how.seed)
    adapted = adapt(checked.detector.model, scene, how, on_progress)
    remarks = checked.remarks + _remarks(adapted)
    folder.mkdir(parents=True, exist_ok=True)
    draw_exemplars(folder / PICTURE, checked.parts, adapted, checked.odd)
    record: dict[str, Any] = {
        "cryomae": __version__,
        "command": list(command),
        "named": asdict(named) | {"exemplars": str(named.exemplars)},
        "settings": asdict(how),
        "micrographs": {part.name: len(part.xy) for part in checked.parts},
        "helped": adapted.helped,
        "gain": round(adapted.gain, 4),
        "error": round(adapted.error, 4),
        "score before": np.round(adapted.before, 4).tolist(),
        "score after": np.round(adapted.after, 4).tolist(),
        "remarks": remarks,
    }
    if named.negatives is not None:
        record["named"]["negatives"] = str(named.negatives)
    write_text(folder / RECORD, yaml.safe_dump(record, sort_keys=False, allow_unicode=True))
    card = save_model(folder / MODEL, adapted.model, _card(named, checked, adapted, folder))
    return Trained(folder, adapted, card, remarks)


def refuse_to_replace(folder: Path, overwrite: bool) -> None:
    """Raise InputError if the folder holds a model that is not to be replaced."""
    if (folder / MODEL).exists() and not overwrite:
        raise InputError(
            "there is a model already",
            "choose another --output, or replace it with --overwrite",
            folder / MODEL,
        )


def _remarks(adapted: Adapted) -> list[str]:
    if not adapted.held_out:
        return [
            f"{len(adapted.before)} exemplars are too few to hold some out and see whether they "
            "help: about 15 are best"
        ]
    if not adapted.helped:
        return [
            "held-out exemplars were told no better from the rest than before, so the model is "
            "the one that it started from"
        ]
    return []


def _card(named: Named, checked: Checked, adapted: Adapted, folder: Path) -> dict[str, Any]:
    start = checked.detector.card
    names = ", ".join(part.name for part in checked.parts)
    return {
        "name": folder.absolute().name,
        "architecture": start.architecture,
        "description": f"{start.name}, trained further on {checked.count} exemplars of "
        f"{named.diameter:g} Å.",
        "recipe": f"cryomae train from {start.name} ({start.sha256[:12]})",
        "data": f"{checked.count} exemplars in {names}",
        "diameter": named.diameter,
        "measured": {
            "exemplars' median score before": f"{np.median(adapted.before):.2f}",
            "exemplars' median score after, held out": f"{np.median(adapted.after):.2f}",
        },
    }


def _numbers(indices: list[int]) -> str:
    """Numbers from 1, in words: no. 3, 5 and 9."""
    every = [str(i + 1) for i in indices]
    return "no. " + (" and ".join([", ".join(every[:-1]), every[-1]]) if every[1:] else every[0])
