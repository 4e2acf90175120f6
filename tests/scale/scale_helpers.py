"""A picker without a model, whose files say what happens to whoever reads them.

It can be pickled, so it works in other processes, too.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryomae.batch import Engine, run_pick
from cryomae.errors import MicrographError
from cryomae.micrograph import Micrograph, MicrographRef
from cryomae.picks import Picks
from cryomae.settings import PickSettings

SHAPE = (90, 130)


@dataclass
class FakeDetector:
    name: str = "fake"
    sha256: str = "ab" * 32
    device: str = "cpu"
    shown: bool = False


@dataclass
class FakePicked:
    candidates: Picks
    image: np.ndarray
    valid: np.ndarray
    spacing: tuple[float, float]
    seconds: dict[str, float]


@dataclass
class FakeThreshold:
    value: float = 0.5
    explanation: str = "Chosen by the test."


def load(place):
    return FakeDetector()


def read(ref, pixel_size):
    words = ref.path.read_text().split()
    if words[0] == "corrupt":
        raise MicrographError("is corrupt", "copy it again", ref.path)
    if words[0] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if words[0] == "full":
        raise OSError(28, "No space left on device")
    time.sleep(float(words[2]) if len(words) > 2 else 0)
    pixels = np.full(SHAPE, float(words[1]), dtype=np.float32)
    return Micrograph(ref.name, ref.path, pixels, 1.5, "header")


def pick(micrograph, detector, settings):
    random = np.random.default_rng(int(micrograph.pixels[0, 0]))
    xy = random.uniform(0, 90, (12, 2))
    picks = Picks.from_arrays(micrograph.name, xy, random.uniform(size=12), 100.0, "fake")
    valid = np.ones((45, 65), dtype=bool)
    return FakePicked(picks, np.zeros((45, 65), np.float32), valid, (2.0, 2.0), {})


def choose_threshold(scores):
    return FakeThreshold()


ENGINE = Engine(read, pick, choose_threshold)


def make_files(folder: Path, count: int, bad: dict[int, str], seconds: float = 0.0):
    """Files of which some are bad, and references to them."""
    folder.mkdir(parents=True, exist_ok=True)
    refs = []
    for number in range(count):
        path = folder / f"m{number:03d}.mrc"
        path.write_text(f"{bad.get(number, 'good')} {number} {seconds}")
        refs.append(MicrographRef(f"mics/{path.name}", path))
    return refs


def go(refs, out, backend=None, **options):
    return run_pick(
        refs,
        [],
        out,
        PickSettings(diameter=100),
        detector=FakeDetector(),
        engine=ENGINE,
        load=options.pop("load", load),
        preview=False,
        backend=backend,
        **options,
    )


def picks_of(out: Path) -> dict[str, bytes]:
    """Every file of a run that must not depend on where it was picked."""
    files = [*out.glob("candidates/**/*.star"), *out.glob("picks/**/*.star")]
    files += [out / "all_picks.star", out / "autopick.star"]
    found = {str(f.relative_to(out)): f.read_bytes() for f in files}
    found["autopick.star"] = found["autopick.star"].replace(str(out).encode(), b"OUT")
    return found
