"""Weights as two files side by side: safetensors, and a card (JSON) that says what they are."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from safetensors.torch import save
from torch import Tensor

from cryomae.atomic import atomic_path, write_text
from cryomae.errors import WeightsError

Card = TypeVar("Card", bound=BaseModel)


def read_card(weights: Path, kind: type[Card], what: str, version: int) -> Card:
    """Card beside a weight file.

    Parameters
    ----------
    weights : Path
    kind : type of BaseModel
    what : str
        "model" or "encoder", for messages.
    version : int
        Format that this cryomae reads.

    Raises
    ------
    WeightsError
        If one of the two files is missing, or the card is damaged or of another version.
    """
    path = weights.with_suffix(".json")
    for file in (weights, path):
        if not file.is_file():
            raise WeightsError(
                "the file is missing",
                f"the {what} is two files side by side, {weights.name} and {path.name}",
                file,
            )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and found.get("format", version) != version:
            raise WeightsError(
                f"the {what} is of format {found['format']}, this cryomae reads format {version}",
                "train it again, or use the cryomae that made it",
                path,
            )
        return kind.model_validate(found)
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise WeightsError(
            f"this is not the card of {_a(what)}", f"copy the {what}'s two files again", path
        ) from error


def read_weights(weights: Path, sha256: str, what: str) -> bytes:
    """Content of a weight file.

    Raises
    ------
    WeightsError
        If its hash is not the one of the card.
    """
    data = weights.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(
            "the weights are not those of the card beside them (sha256 differs)",
            f"copy the {what}'s two files again",
            weights,
        )
    return data


def write_pair(
    weights: Path, tensors: dict[str, Tensor], kind: type[Card], card: dict[str, Any]
) -> Card:
    """Write weights and, after them, their card, whose ``sha256`` is filled in."""
    data = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    full = kind(sha256=hashlib.sha256(data).hexdigest(), **card)
    with atomic_path(weights) as part:
        part.write_bytes(data)
    write_text(weights.with_suffix(".json"), full.model_dump_json(indent=2) + "\n")
    return full


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
