"""Pick with the rotational average of a few exemplars as a template.

    PYTHONPATH=scripts python -m _bench.template mics/*.mrc --diameter 180 --pixel-size 1.3 \
        --exemplars clicked.star --exemplar-micrograph mics/one.mrc --box 1.25 --output found

Exemplars are cut from the working image (32 pixels a particle), averaged, and averaged again
over all rotations. The score is the normalised cross-correlation with this template; its
peaks above 0 are the picks, in one STAR file a ``--box`` (side of the template in particle
diameters).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import match_template

from _bench import baseline
from cryomae.formats import read_picks
from cryomae.prepare import WORKING_DIAMETER


def rotational_average(
    image: NDArray[np.float32], xy: NDArray[np.float64], half: int
) -> NDArray[np.float32]:
    """Mean of boxes about points, made the same in all directions.

    Parameters
    ----------
    image : ndarray, shape (h, w)
    xy : ndarray, shape (n, 2)
        Centres, x and y in pixels, between which values are interpolated.
    half : int
        The box is ``2 * half + 1`` pixels wide.

    Returns
    -------
    ndarray, float32, shape (2 * half + 1, 2 * half + 1)
    """
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    places = np.stack([xy[:, 1, None, None] + y, xy[:, 0, None, None] + x])
    mean = ndimage.map_coordinates(image, places, order=1, mode="nearest").mean(axis=0)
    r = np.hypot(x, y)
    low = np.floor(r).astype(int)  # each pixel counts for the two rings it lies between
    rings, share = np.concatenate([low, low + 1]).ravel(), np.concatenate([1 - r + low, r - low])
    weight = np.bincount(rings, share.ravel())
    profile = np.bincount(rings, (share * np.concatenate([mean, mean])).ravel())
    profile /= np.maximum(weight, 1e-9)
    return np.interp(r, np.arange(len(profile)), profile).astype(np.float32)


def main() -> None:
    """Build the templates and pick every micrograph with each."""
    parser = baseline.parser(__doc__)
    parser.add_argument("--exemplars", type=Path, required=True, help="coordinates to learn from")
    parser.add_argument("--exemplar-micrograph", type=Path, required=True, help="their micrograph")
    parser.add_argument("--box", nargs="+", required=True, help="in particle diameters")
    given = parser.parse_args()
    working = baseline.working_image(given.exemplar_micrograph, given)
    xy = read_picks(given.exemplars).xy / working.spacing[::-1]
    templates = {
        box: rotational_average(working.image, xy, round(float(box) * WORKING_DIAMETER / 2))
        for box in given.box
    }

    def score(image: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        return {
            box: match_template(image, template, pad_input=True, mode="edge").astype(np.float32)
            for box, template in templates.items()
        }

    baseline.find(given, score, "template")


if __name__ == "__main__":
    main()
