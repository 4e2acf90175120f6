"""What the two classical baselines share: working images, peaks, options, files."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max

from cryomae.formats.star import write_picks
from cryomae.picks import Picks
from cryomae.prepare import (
    WORKING_DIAMETER,
    WorkingImage,
    fourier_resample,
    prepare,
    working_shape,
)

Scorer = Callable[[NDArray[np.float32]], Mapping[str, NDArray[np.float32]]]
"""Gives score maps of a working image, by the name of the variant."""


def parser(description: str) -> argparse.ArgumentParser:
    """Options that both programs take."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("micrographs", type=Path, nargs="+", help="MRC files")
    made.add_argument("--output", type=Path, required=True, help="folder for VARIANT.star")
    made.add_argument("--diameter", type=float, required=True, help="particle diameter in Å")
    made.add_argument("--pixel-size", type=float, required=True, help="Å per pixel of the files")
    made.add_argument(
        "--prepared",
        action="store_true",
        help="use cryomae's working image: background flattened, borders and contaminants masked",
    )
    return made


def working_image(path: Path, given: argparse.Namespace) -> WorkingImage:
    """Micrograph with a particle of `WORKING_DIAMETER` pixels, and nothing else done to it.

    With ``--prepared``, cryomae's own preparation.
    """
    pixels = mrcfile.read(path).astype(np.float32)
    if given.prepared:
        return prepare(pixels, given.pixel_size, given.diameter)
    shape = working_shape(pixels.shape, given.pixel_size, given.diameter)
    image = fourier_resample((pixels - pixels.mean()) / pixels.std(), shape)
    spacing = (pixels.shape[0] / shape[0], pixels.shape[1] / shape[1])
    return WorkingImage(image, np.ones(shape, dtype=np.bool_), spacing)


def peaks(scores: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Peaks above 0, half a diameter apart, best first.

    Parameters
    ----------
    scores : ndarray, shape (h, w)
    valid : ndarray, bool, shape (h, w)
        Usable pixels: a peak has all of its diameter on them, as cryomae asks.

    Returns
    -------
    ndarray, intp, shape (n, 2)
        Rows and columns.
    """
    # cryomae.pick finds peaks too, but importing it loads PyTorch: a second and 500 MB.
    half = WORKING_DIAMETER // 2
    found: NDArray[np.intp] = peak_local_max(
        scores,
        min_distance=half,
        threshold_abs=0.0,
        exclude_border=False,
        footprint=np.ones((3, 3)),  # without it, all that a higher pixel is near is lost
        p_norm=2.0,
    )
    room = ndimage.distance_transform_edt(np.pad(valid, 1))[1:-1, 1:-1]
    return found[room[tuple(found.T)] >= half]


def find(given: argparse.Namespace, scorer: Scorer, provenance: str) -> None:
    """Score every micrograph and write all peaks of each variant to one STAR file."""
    found: dict[str, list[Picks]] = {}
    for path in given.micrographs:
        working = working_image(path, given)
        for variant, scores in scorer(working.image).items():
            at = peaks(scores, working.valid)
            xy = working.to_file(at[:, ::-1].astype(np.float64))
            height = scores[tuple(at.T)]
            picks = Picks.from_arrays(path.stem, xy, height, given.diameter, provenance)
            found.setdefault(variant, []).append(picks)
    given.output.mkdir(parents=True, exist_ok=True)
    for variant, parts in found.items():
        write_picks(given.output / f"{variant}.star", Picks.concat(parts), with_names=True)
