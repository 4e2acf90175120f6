"""Picking a labelled set with a model that is no file, within this process."""

from collections.abc import Mapping

from _bench.exemplars import Exemplars
from _bench.outcome import Outcome
from _bench.sets import LabelledSet
from _bench.verdict import FIGURES, judge_picker
from cryomae.io import read_micrograph
from cryomae.micrograph import Micrograph, MicrographRef
from cryomae.pick import choose_threshold
from cryomae.pick.pipeline import Detector, Picked, pick
from cryomae.picks import Picks
from cryomae.settings import PickSettings


def read(data: LabelledSet, name: str) -> Micrograph:
    """Read one micrograph of a set."""
    return read_micrograph(MicrographRef(name, data.files[name]), data.pixel_size)


def pick_set(data: LabelledSet, detector: Detector) -> list[Picked]:
    """Pick all micrographs of a set."""
    settings = PickSettings(diameter=data.diameter)
    return [pick(read(data, name), detector, settings) for name in data.files]


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
