"""From one micrograph to its candidates: the pure core that every shell calls."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from cryomae.errors import InputError
from cryomae.micrograph import Micrograph
from cryomae.model.detector import ParticleDetector
from cryomae.model.mae import choose_attention
from cryomae.model.registry import ModelCard, create_model, model_card
from cryomae.pick.device import choose_batch, choose_device, choose_dtype
from cryomae.pick.peaks import find_peaks, inside, suppress
from cryomae.pick.threshold import CANDIDATE_FLOOR
from cryomae.pick.windows import score_and_describe, score_logits
from cryomae.picks import Picks
from cryomae.prepare import WORKING_DIAMETER, WorkingImage, prepare
from cryomae.settings import PickSettings
from cryomae.sizes import STRIDE

T = TypeVar("T")


@dataclass(frozen=True)
class Detector:
    """A model on its device, with everything that is needed to score.

    Attributes
    ----------
    model : ParticleDetector
    card : ModelCard
    torch_device : torch.device
    dtype : torch.dtype
    batch : int
        Windows computed at a time.
    """

    model: ParticleDetector
    card: ModelCard
    torch_device: torch.device
    dtype: torch.dtype
    batch: int

    @property
    def name(self) -> str:
        """Name on the model's card."""
        return self.card.name

    @property
    def sha256(self) -> str:
        """Hash of the weights."""
        return self.card.sha256

    @property
    def shown(self) -> bool:
        """Whether the model was made from exemplars of the user's particle, or answers."""
        return self.model.correction is not None

    @property
    def device(self) -> str:
        """Device and precision in words."""
        return f"{self.torch_device} ({str(self.dtype).removeprefix('torch.')})"

    def logits(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logit map of a working image, as `score_logits` lays it out."""
        return self._in_batches(partial(score_logits, image, self.model))

    def logits_and_latents(
        self, image: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Maps of a working image, as `score_and_describe` lays them out."""
        return self._in_batches(partial(score_and_describe, image, self.model))

    def _in_batches(self, work: Callable[..., T]) -> T:
        """Work in batches; one that does not fit into memory is halved until it does."""
        batch = self.batch
        while True:
            try:
                return work(device=self.torch_device, dtype=self.dtype, batch=batch)
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise
                batch = max(1, batch // 2)


def probability(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores, 0 to 1, of peak logits; the shipped weights are calibrated."""
    return 1 / (1 + np.exp(-np.clip(np.asarray(logits, dtype=np.float64), -50, 50)))


def load_detector(model: str = "default", device: str = "auto") -> Detector:
    """Load a model and choose where and how it runs.

    Parameters
    ----------
    model : str
        Name of a shipped model or path of a ``.safetensors`` file.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises
    ------
    WeightsError
        If the model cannot be loaded.
    InputError
        If the device does not exist.
    """
    return make_detector(create_model(model), model_card(model), choose_device(device))


def make_detector(model: ParticleDetector, card: ModelCard, device: torch.device) -> Detector:
    """Choose how a model runs on a device, and move it there."""
    # Convolutions are faster with the channels last.
    network = model.to(device).to(memory_format=torch.channels_last)
    dtype = choose_dtype(device)
    choose_attention(network, device, dtype)
    return Detector(network, card, device, dtype, choose_batch(device, dtype))


@dataclass(frozen=True)
class Picked:
    """What picking one micrograph gives.

    Attributes
    ----------
    candidates : Picks
        Every peak with a score of `CANDIDATE_FLOOR` or more, best first.
    image : ndarray, float32, shape (h, w)
        Working image: protein dark, noise of unit strength, 0 where masked.
    valid : ndarray, bool, shape (h, w)
        False where borders, carbon or contaminants are masked.
    spacing : tuple of float
        Pixels of the file in one working pixel, along y and x.
    seconds : dict
        Time of each stage.
    """

    candidates: Picks
    image: NDArray[np.float32]
    valid: NDArray[np.bool_]
    spacing: tuple[float, float]
    seconds: dict[str, float]


def pick(micrograph: Micrograph, detector: Detector, settings: PickSettings) -> Picked:
    """Find the candidate particles of one micrograph.

    Parameters
    ----------
    micrograph : Micrograph
    detector : Detector
    settings : PickSettings
        ``threshold`` and ``max_picks`` are applied later, when the scores of the whole
        data set are known.

    Returns
    -------
    Picked
        Coordinates are in pixels of the file. A particle is kept when all of its
        diameter lies on usable pixels.

    Raises
    ------
    MicrographError
        If the particle is too small or too large for this micrograph.
    InputError
        If the least distance is more than ten diameters.
    """
    apart = settings.least_distance
    if apart > 10 * settings.diameter:
        raise InputError(
            f"a least distance of {apart:g} Å is more than ten diameters", "--min-distance is in Å"
        )
    clock = [time.perf_counter()]
    working = prepare(micrograph.pixels, micrograph.pixel_size, settings.diameter)
    clock.append(time.perf_counter())
    logits = detector.logits(working.image)
    clock.append(time.perf_counter())

    candidates = candidates_of(
        logits, working, micrograph.name, settings.diameter, apart, detector.name
    )
    clock.append(time.perf_counter())
    stages = dict(zip(("prepare", "score", "peaks"), np.diff(clock).tolist(), strict=True))
    return Picked(candidates, working.image, working.valid, working.spacing, stages)


def candidates_of(
    logits: NDArray[np.float32],
    working: WorkingImage,
    name: str,
    diameter: float,
    apart: float,
    provenance: str,
) -> Picks:
    """Candidates of a map of logits, best first.

    Parameters
    ----------
    logits : ndarray, float32
        Of the working image, as `Detector.logits` gives them.
    working : WorkingImage
    name : str
        Of the micrograph.
    diameter, apart : float
        Of the particle, and least distance of two candidates, in Å.
    provenance : str
        What gave the logits.

    Returns
    -------
    Picks
        With a score of `CANDIDATE_FLOOR` or more, in pixels of the file.
    """
    on_map, height = find_peaks(logits, float(np.log(CANDIDATE_FLOOR / (1 - CANDIDATE_FLOOR))))
    xy = on_map * STRIDE + (STRIDE - 1) / 2
    whole = inside(xy, working.valid, WORKING_DIAMETER / 2)
    xy, height = xy[whole], height[whole]
    kept = suppress(xy, apart / diameter * WORKING_DIAMETER)
    return Picks.from_arrays(
        name, working.to_file(xy[kept]), probability(height[kept]), diameter, provenance
    )
