"""Topaz in an environment of its own. It is GPL, so it is only ever called as a program."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from _bench.measure import Measured, measure

REQUIREMENTS = ["topaz-em==0.3.20", "torch==2.14.1", "torchvision==0.29.1"]
LOWEST = -6
"""Score at which Topaz stops by default; p >= 0.0025 in its own words."""


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
        print(f"making {env} with {' '.join(REQUIREMENTS)} (a minute or two) ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", env], check=True)
        pip = [env / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, *REQUIREMENTS], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"cannot install Topaz:\n{done.stderr[-2000:]}")
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
        command = [str(self.program), "preprocess", "-s", str(self.scale), "-d", "-1"]
        command += ["-t", str(_cores()), "-j", "1", "-o", str(done), *micrographs]
        measured = measure(command, self.folder, f"{name}_preprocess")
        return measured, [str(done / Path(m).name) for m in micrographs]

    def extract(self, images: list[str], threshold: float, name: str) -> tuple[Measured, Path]:
        """Score with the default model (resnet16, 64 units) and pick; all cores in both.

        Gives the table of picks in pixels of the original micrograph.
        """
        table = self.folder / f"{name}.txt"
        command = [str(self.program), "extract", "-r", str(self.extraction_radius)]
        command += ["-t", f"{threshold:g}", "-x", str(self.scale), "-d", "-1"]
        command += ["-j", "0", "--num-workers", str(_cores()), "-o", str(table), *images]
        return measure(command, self.folder, f"{name}_extract"), table


def _cores() -> int:
    return len(os.sched_getaffinity(0))
