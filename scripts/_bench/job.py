"""One picker on one set: what it is given."""

from dataclasses import dataclass
from pathlib import Path

from _bench.exemplars import Exemplars
from _bench.sets import LabelledSet
from cryomae.evaluate.figures import Pool, ranking
from cryomae.evaluate.judge import judge
from cryomae.picks import Picks


@dataclass(frozen=True)
class Options:
    """What the user says about the pickers.

    Attributes
    ----------
    topaz_env, aspire_env : Path
        Their virtual environments, made when they are not there.
    model : str
        Name or file of the cryomae model.
    weights : str
        Hash of its weights.
    updates, epochs : int
        Topaz training: parameter updates of an epoch, and epochs.
    """

    topaz_env: Path
    aspire_env: Path
    model: str
    weights: str
    updates: int
    epochs: int


@dataclass(frozen=True)
class Job:
    """One picker on one set.

    Attributes
    ----------
    data : LabelledSet
    exemplars : Exemplars or None
        Of this seed; None for a picker that learns nothing.
    folder : Path
        For everything it writes, absolute.
    options : Options
    """

    data: LabelledSet
    exemplars: Exemplars | None
    folder: Path
    options: Options

    @property
    def files(self) -> list[str]:
        """Micrographs to pick: all, but for the one that the exemplars are from."""
        left_out = self.exemplars.micrograph if self.exemplars else None
        return [str(p.absolute()) for name, p in self.data.files.items() if name != left_out]

    @property
    def learned_from(self) -> tuple[Exemplars, str]:
        """The exemplars and the file of their micrograph."""
        if self.exemplars is None:
            raise ValueError("this picker was given no exemplars")
        return self.exemplars, str(self.data.files[self.exemplars.micrograph].absolute())


def best_on(picks: Picks, data: LabelledSet, micrographs: list[str]) -> tuple[float, float]:
    """Best F1 of any threshold on some micrographs, and that threshold."""
    judged = judge(picks, data.truth.only(micrographs), data.radius)
    found = ranking(Pool.of(judged))
    return found["best_f1"], found["best_threshold"]
