"""The map that a reconstruction of a simulated set ought to give."""

from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from cryomae.errors import InputError
from cryomae.simulate import make_settings
from cryomae.simulate.micrograph import Simulator


def true_map(folder: Path, box: int) -> NDArray[np.float32]:
    """Potential of the particle of a set, in the frame and at the pixel size of its particles.

    Parameters
    ----------
    folder : Path
        Folder of ``cryomae simulate``; the file that the particle came from must still be there.
    box : int
        Voxels a side; no less than the particle needs.

    Returns
    -------
    ndarray, float32, shape (box, box, box)
    """
    record = folder / "simulation.yaml"
    if not record.is_file():
        raise InputError("no such file", "give a folder of `cryomae simulate`", record)
    content = yaml.safe_load(record.read_text(encoding="utf-8"))
    content.pop("diameter")
    settings = make_settings(content, record)
    specimen = Simulator(settings).specimen
    if not np.isclose(specimen.voxel_size, settings.pixel_size):
        raise InputError(
            f"its particle is too large for pixels of {settings.pixel_size} Å",
            f"simulate it with pixel_size {specimen.voxel_size}", folder,
        )  # fmt: skip
    return centred(specimen.potential, box)


def centred(volume: NDArray[np.float32], box: int) -> NDArray[np.float32]:
    """Cut or pad a cube so that its voxel n // 2 becomes voxel box // 2.

    Examples
    --------
    >>> spot = np.zeros((6, 6, 6), np.float32)
    >>> spot[3, 3, 3] = 1
    >>> centred(spot, 8)[4, 4, 4], centred(spot, 4)[2, 2, 2]
    (np.float32(1.0), np.float32(1.0))
    """
    out = np.zeros((box,) * 3, np.float32)
    side = volume.shape[0]
    less = min(side, box)
    to = slice(box // 2 - less // 2, box // 2 - less // 2 + less)
    of = slice(side // 2 - less // 2, side // 2 - less // 2 + less)
    out[to, to, to] = volume[of, of, of]
    return out
