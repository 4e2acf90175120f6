"""Pick with a Laplacian of Gaussian: the baseline that any picker has to beat.

    PYTHONPATH=scripts python -m _bench.blob mics/*.mrc --diameter 180 --pixel-size 1.3 \
        --sigma 0.2 0.222 0.25 --output blobs

The micrograph is Fourier-cropped to 32 pixels a particle and filtered; peaks of the response
are the picks, all of them above 0, in one STAR file a ``--sigma``. Protein is dark. Sigma is
in particle diameters: a disc answers most at 0.354, but touching particles want less. Several
sigmas with commas between them, such as ``0.18,0.22,0.26``, give the largest response of
these scales, each normalised by its sigma squared.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from _bench import baseline
from cryomae.prepare import WORKING_DIAMETER


def response(image: NDArray[np.float32], sigmas: list[float]) -> NDArray[np.float32]:
    """Largest scale-normalised LoG response, positive on dark blobs.

    Parameters
    ----------
    image : ndarray, shape (h, w)
        Working image.
    sigmas : list of float
        In particle diameters.
    """
    pixels = [s * WORKING_DIAMETER for s in sigmas]
    scales = [s**2 * ndimage.gaussian_laplace(image, s, mode="nearest") for s in pixels]
    largest: NDArray[np.float32] = np.max(scales, axis=0)
    return largest


def main() -> None:
    """Pick every micrograph at every sigma."""
    parser = baseline.parser(__doc__)
    parser.add_argument("--sigma", nargs="+", required=True, help="in particle diameters")
    given = parser.parse_args()

    def score(image: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        return {s: response(image, [float(v) for v in s.split(",")]) for s in given.sigma}

    baseline.find(given, score, "LoG blob")


if __name__ == "__main__":
    main()
