"""From picks to half maps with RELION's own programs: extract, then reconstruct."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import starfile
from numpy.typing import NDArray

from _bench.poses import COORDINATES, HALF
from cryomae.names import stem

_IMAGE = "rlnImageName"
_KEY = ["micrograph", *COORDINATES]


class Extraction:
    """Particles that RELION cut out of the micrographs of a set.

    Parameters
    ----------
    folder : Path
        RELION project to make; emptied first.
    data : Path
        Folder of ``cryomae simulate``.
    box : int
        Pixels.
    """

    def __init__(self, folder: Path, data: Path, box: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "micrographs").symlink_to((data / "micrographs").resolve())
        shutil.copyfile(data / "micrographs.star", folder / "micrographs.star")
        self.folder, self.box = folder, box
        self._images = pd.DataFrame(columns=[*_KEY, _IMAGE])
        self._optics: pd.DataFrame | None = None
        self._rounds = 0

    def add(self, places: pd.DataFrame) -> None:
        """Extract boxes round places that were not extracted before.

        Parameters
        ----------
        places : DataFrame
            ``micrograph`` (stem) and `COORDINATES` in whole pixels.
        """
        known = pd.MultiIndex.from_frame(self._images[_KEY])
        places = places[_KEY].drop_duplicates()
        new = places[~pd.MultiIndex.from_frame(places).isin(known)]
        if not len(new):
            return
        self._rounds += 1
        name = f"round_{self._rounds}"
        (self.folder / name / "micrographs").mkdir(parents=True)
        for micrograph, part in new.groupby("micrograph"):
            # RELION reads an unnamed block of its first columns, and truncates fractions.
            path = self.folder / name / "micrographs" / f"{micrograph}_picks.star"
            starfile.write(part[COORDINATES].reset_index(drop=True), path)
        radius = round(0.375 * self.box)  # of RELION's window: background outside 75 % of the box
        words = ["relion_preprocess", "--i", "micrographs.star", "--coord_dir", f"{name}/"]
        words += ["--coord_suffix", "_picks.star", "--part_star", f"{name}.star"]
        words += ["--part_dir", f"{name}/", "--extract", "--extract_size", str(self.box)]
        words += ["--norm", "--bg_radius", str(radius), "--invert_contrast"]
        run(words, self.folder)
        blocks = starfile.read(self.folder / f"{name}.star", parse_as_string=["rlnMicrographName"])
        made = blocks["particles"]
        made = made.assign(micrograph=made["rlnMicrographName"].map(stem))
        if len(made) != len(new):
            raise RuntimeError(f"RELION extracted {len(made)} of {len(new)} particles")
        self._images = pd.concat([self._images, made[[*_KEY, _IMAGE]]], ignore_index=True)
        optics = blocks["optics"]
        self._optics = pd.DataFrame([optics]) if isinstance(optics, dict) else optics

    def reconstruct(self, particles: pd.DataFrame, jobs: int = 2) -> list[NDArray[np.float32]]:
        """Maps of the two half-sets.

        Parameters
        ----------
        particles : DataFrame
            ``micrograph``, `COORDINATES`, all that RELION needs of poses and defocus, and
            ``rlnRandomSubset``; every place was extracted before.
        jobs : int
            Processes.

        Returns
        -------
        list of ndarray, float32, shape (box, box, box)
        """
        table = particles.merge(self._images.astype(dict.fromkeys(COORDINATES, int)), on=_KEY)
        if len(table) != len(particles):
            raise ValueError("a pick was not extracted")
        table["rlnMicrographName"] = "micrographs/" + table.pop("micrograph") + ".mrc"
        blocks = {"optics": self._optics, "particles": table.assign(rlnOpticsGroup=1)}
        with tempfile.TemporaryDirectory(dir=self.folder) as made:
            place = Path(made)
            starfile.write(blocks, place / "all.star")
            words = ["relion_reconstruct", "--i", f"{place.name}/all.star", "--ctf"]
            words += ["--pad", "1", "--iter", "3"]
            both = [
                [*words, "--subset", f"{half}", "--o", f"{place.name}/{half}.mrc"]
                for half in sorted(set(table[HALF]))
            ]
            with ThreadPoolExecutor(jobs) as pool:
                list(pool.map(lambda command: run(command, self.folder), both))
            return [mrcfile.read(place / f"{half}.mrc") for half in (1, 2)]

    def discard(self) -> None:
        """Delete the project with all extracted images."""
        shutil.rmtree(self.folder, ignore_errors=True)


def run(words: Sequence[str], folder: Path) -> None:
    """Run one of RELION's programs; a failure is a RuntimeError with the end of what it said."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=env)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()[-40:])
        raise RuntimeError(f"{words[0]} failed: {said}")
