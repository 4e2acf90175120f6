"""Picking a labelled set with a model that is no file, within this process."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from _bench.exemplars import Exemplars
from _bench.outcome import Outcome
from _bench.sets import LabelledSet
from _bench.verdict import FIGURES, judge_picker
from cryomae.io import read_micrograph
from cryomae.micrograph import Micrograph, MicrographRef
from cryomae.pick import choose_threshold
from cryomae.pick.pipeline import Detector, Picked, candidates_of, pick
from cryomae.picks import Picks
from cryomae.prepare import WorkingImage, prepare
from cryomae.settings import PickSettings
from cryomae.sizes import CELL, COARSE, STRIDE
from cryomae.train.fewshot import Change
from cryomae.train.places import Maps


def read(data: LabelledSet, name: str) -> Micrograph:
    """Read one micrograph of a set."""
    return read_micrograph(MicrographRef(name, data.files[name]), data.pixel_size)


def pick_set(data: LabelledSet, detector: Detector) -> list[Picked]:
    """Pick all micrographs of a set."""
    settings = PickSettings(diameter=data.diameter)
    return [pick(read(data, name), detector, settings) for name in data.files]


@dataclass(frozen=True, eq=False)
class Scored:
    """A micrograph with the model's maps, to be picked with any correction of the model."""

    name: str
    working: WorkingImage
    maps: Maps

    def candidates(self, data: LabelledSet, change: Change | None) -> Picks:
        """What `cryomae.pick.pick` finds with the corrected model."""
        logits = self.maps[0] if change is None else self._corrected(*change)
        return candidates_of(
            logits, self.working, self.name, data.diameter, data.diameter / 2, "corrected"
        )

    def _corrected(
        self, slope: float, offset: float, weights: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Logits as `cryomae.model.detector.Correction` changes them; blending is linear, too."""
        logits, latents = self.maps
        here, around = weights.astype(np.float32)[:COARSE], weights.astype(np.float32)[COARSE:]
        part = np.tensordot(here, latents, 1)
        part += ndimage.uniform_filter(np.tensordot(around, latents, 1), 3, mode="nearest")
        factor = CELL // STRIDE
        rows, columns = ((np.arange(n) - (factor - 1) / 2) / factor for n in logits.shape)
        grid = np.meshgrid(rows, columns, indexing="ij")
        wide = ndimage.map_coordinates(part, grid, order=1, mode="nearest")
        return (slope * logits + wide + offset).astype(np.float32)


def score_set(data: LabelledSet, detector: Detector) -> dict[str, Scored]:
    """Score all micrographs of a set once."""
    scored = {}
    for name in data.files:
        micrograph = read(data, name)
        working = prepare(micrograph.pixels, micrograph.pixel_size, data.diameter)
        scored[name] = Scored(name, working, detector.logits_and_latents(working.image))
    return scored


def judge_candidates(
    data: LabelledSet,
    candidates: Picks,
    exemplars: Mapping[int, Exemplars],
    *,
    shown: bool,
) -> dict[str, float]:
    """Figures, means over seeds, at the automatic threshold of all micrographs and over all.

    Parameters
    ----------
    data : LabelledSet
    candidates : Picks
    exemplars : mapping of int to Exemplars
        By seed; micrographs that they are from are not tested.
    shown : bool
        Whether the detector was made from exemplars.
    """
    by_file = candidates.table.groupby("micrograph")["score"]
    scores = [s.to_numpy(dtype=float) for _, s in by_file]
    threshold = choose_threshold(scores, shown=shown).value
    made = Outcome(candidates.above(threshold), candidates, len(data.files), 0, 0, 0, "")
    results = dict.fromkeys(exemplars, made)
    verdict = judge_picker(results, data, exemplars, border=0, draws=1, seed=0)
    rows = verdict.of_seed.values()
    return {name: sum(row[name] for row in rows) / len(rows) for name in FIGURES}
