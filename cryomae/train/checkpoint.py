"""Checkpoints of a training run: one safetensors file, never half-written, never a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cryomae.atomic import atomic_path
from cryomae.errors import WeightsError


def save_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, note: Any
) -> None:
    """Write the state of modules and an optimiser.

    Parameters
    ----------
    path : Path
        File to write.
    modules : dict of Module
        By name.
    optimizer : Optimizer
    note : object
        Anything JSON can hold, such as the step and the losses so far.
    """
    tensors = {
        f"{name}/{key}": value.detach().contiguous().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer/{index}/{key}"] = (
                torch.as_tensor(value).detach().contiguous().clone()
            )
    with atomic_path(path) as part:
        save_file(tensors, part, {"note": json.dumps(note)})


def load_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer | None = None
) -> Any:
    """Load what `save_checkpoint` wrote into the same modules; give back its note.

    Raises
    ------
    WeightsError
        If the file is damaged or is that of another model.
    """
    try:
        with safe_open(path, "pt") as file:
            note = json.loads((file.metadata() or {})["note"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        for name, module in modules.items():
            module.load_state_dict(_under(tensors, name))
        if optimizer is not None:
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _under(tensors, "optimizer").items():
                index, name = key.split("/")
                state.setdefault(int(index), {})[name] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError) as error:
        raise WeightsError(
            "this is not a checkpoint of this training", "delete it to begin anew", path
        ) from error
    return note


def _under(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
