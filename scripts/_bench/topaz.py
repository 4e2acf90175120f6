"""Topaz in an environment of its own. It is GPL, so it is only ever called as a program."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np

from _bench.measure import Measured, measure

REQUIREMENTS = ["topaz-em==0.3.20", "torch==2.14.1", "torchvision==0.29.1"]
LOWEST = -6
"""Score at which Topaz stops by default; p >= 0.0025 in its own words."""

SEEN = 71
"""Pixels that its convolutions see."""

POSITIVE = 3
"""Downsampled pixels round a particle that training takes for it: the default."""

DETECTOR = "resnet16"
"""Its default detector, of 64 units."""


def own_factor(radius: float) -> int:
    """Downsampling factor by the rule of RELION's wrapper: two diameters in what it sees.

    Parameters
    ----------
    radius : float
        Half the particle diameter in pixels of the micrograph.
    """
    return max(1, round(4 * radius / SEEN))


def make_environment(env: Path, requirements: list[str]) -> None:
    """Make a virtual environment with these packages."""
    print(f"making {env} with {' '.join(requirements)} (a minute or two) ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", env], check=True)
    pip = [env / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"cannot install {requirements[0]}:\n{done.stderr[-2000:]}")


def topaz_program(env: Path | None, output: Path) -> tuple[Path, str]:
    """Give ``topaz`` of an environment, made if it is not there, and its version.

    Parameters
    ----------
    env : Path or None
        Virtual environment; default ``topaz-env`` below ``output``.
    output : Path
        Output folder.
    """
    env = (output / "topaz-env" if env is None else env).absolute()
    program = env / "bin" / "topaz"
    if not program.is_file():
        make_environment(env, REQUIREMENTS)
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return program, (shown.stdout or shown.stderr).strip().splitlines()[-1]


@dataclass(frozen=True)
class Topaz:
    """One way to run Topaz.

    Attributes
    ----------
    program : Path
        Its command.
    scale : int
        Downsampling factor of ``topaz preprocess -s``.
    radius : float
        Half the particle diameter in pixels of the micrograph.
    folder : Path
        For everything written.
    """

    program: Path
    scale: int
    radius: float
    folder: Path

    @property
    def extraction_radius(self) -> int:
        """``-r`` of ``topaz extract``, in downsampled pixels."""
        return max(1, round(self.radius / self.scale))

    def preprocess(self, micrographs: list[str], name: str) -> tuple[Measured, list[str]]:
        """Downsample and normalise, a process a core; gives the new files."""
        done = self.folder / f"{name}_images"
        words = ["preprocess", "-s", str(self.scale), "-d", "-1", "-t", str(_cores()), "-j", "1"]
        measured = self._run([*words, "-o", str(done), *micrographs], f"{name}_preprocess")
        return measured, [str(done / Path(m).name) for m in micrographs]

    def extract(
        self, images: list[str], threshold: float, name: str, model: str = DETECTOR
    ) -> tuple[Measured, Path]:
        """Score with a model and pick; all cores in both.

        Gives the table of picks in pixels of the original micrograph. The model ``none`` is
        for images that `segment` has scored.
        """
        table = self.folder / f"{name}.txt"
        words = ["extract", "-m", model, "-r", str(self.extraction_radius)]
        words += ["-t", f"{threshold:g}", "-x", str(self.scale), "-d", "-1", "-j", "0"]
        words += ["--num-workers", str(_cores()), "-o", str(table), *images]
        return self._run(words, f"{name}_extract"), table

    def segment(self, images: list[str], name: str, model: str) -> tuple[Measured, list[str]]:
        """Score with a model, and keep the score maps."""
        done = self.folder / f"{name}_scores"
        words = ["segment", "-m", model, "-d", "-1", "-j", "0", "-o", str(done), *images]
        measured = self._run(words, f"{name}_segment")
        return measured, [str(done / f"{Path(i).stem}.tiff") for i in images]

    def train(
        self, image: str, points: list[tuple[int, int]], expected: int, updates: int, epochs: int
    ) -> tuple[Measured, Path]:
        """Train from a few particles of one preprocessed micrograph; gives the last model.

        Parameters
        ----------
        image : str
            Preprocessed micrograph.
        points : list of (int, int)
            x and y of particles in its pixels.
        expected : int
            Particles in it.
        updates, epochs : int
            Parameter updates of an epoch, and epochs.
        """
        name = Path(image).stem
        images, targets = self.folder / "train_images.txt", self.folder / "train_targets.txt"
        with mrcfile.open(image, header_only=True) as mrc:
            pixels = int(mrc.header.nx) * int(mrc.header.ny)
        y, x = np.mgrid[-POSITIVE : POSITIVE + 1, -POSITIVE : POSITIVE + 1]
        share = expected * np.count_nonzero(x**2 + y**2 <= POSITIVE**2) / pixels
        images.write_text(f"image_name\tpath\n{name}\t{image}\n")
        rows = "".join(f"{name}\t{x}\t{y}\n" for x, y in points)
        targets.write_text(f"image_name\tx_coord\ty_coord\n{rows}")
        prefix = self.folder / "model"
        words = ["train", "--train-images", str(images), "--train-targets", str(targets)]
        # Not -n: 0.3.20 counts the disc of a particle as a cylinder, which makes the share
        # seven times too large; it then picks nearly everything.
        words += ["--pi", f"{share:.6f}", "-r", str(POSITIVE), "-d", "-1", "-j", "0"]
        words += ["--epoch-size", str(updates)]
        words += ["--num-epochs", str(epochs), "--save-prefix", str(prefix)]
        words += ["-o", str(self.folder / "training.txt")]
        return self._run(words, "train"), Path(f"{prefix}_epoch{epochs}.sav")

    def _run(self, words: list[str], name: str) -> Measured:
        # Threads that wait for each other must not spin: where another program has a core,
        # training took 6 s an update with spinning and 1 s without. Where nothing else runs,
        # it makes no difference.
        env = dict(os.environ) | {"OMP_WAIT_POLICY": "PASSIVE"}
        return measure([str(self.program), *words], self.folder, name, env=env)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
