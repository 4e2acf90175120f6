"""How a worker gets its model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryomae.cores import threads

if TYPE_CHECKING:
    from cryomae.pick import Detector


@dataclass(frozen=True)
class WorkerModel:
    """Loads a model in the process that is to use it.

    Attributes
    ----------
    model : str
        Name of a shipped model, or absolute path.
    device : str
        As the user named it; of several GPUs each worker of a machine takes its own.
    """

    model: str
    device: str

    @classmethod
    def of(cls, model: str, device: str) -> WorkerModel:
        """Loader for a model as the user names it; a worker may run in another folder."""
        path = Path(model)
        return cls(str(path.absolute()) if path.suffix == ".safetensors" else model, device)

    def __call__(self, place: int | None) -> Detector:
        """Load it.

        Parameters
        ----------
        place : int or None
            Number of the worker on its machine.
        """
        import torch

        from cryomae.pick import load_detector

        torch.set_num_threads(threads())
        device = self.device
        count = torch.cuda.device_count()
        if device in ("auto", "cuda") and count > 1:
            device = f"cuda:{(place or 0) % count}"
        return load_detector(self.model, device)
