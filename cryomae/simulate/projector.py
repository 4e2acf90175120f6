"""Projections of a specimen along any direction, placed to a fraction of a pixel."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial.transform import Rotation
from torch_fourier_slice import extract_central_slices_rfft_3d

from cryomae.simulate.potential import Specimen

_BATCH = 32


class Projector:
    """A specimen, ready to be projected.

    Slices through the Fourier transform of the padded potential (the central slice
    theorem); made once and used for all micrographs of a set.

    Parameters
    ----------
    specimen : Specimen
    pixel_size : float
        Of the micrographs, in Å; the specimen's voxels are a whole multiple.
    """

    def __init__(self, specimen: Specimen, pixel_size: float) -> None:
        self._finer = round(specimen.voxel_size / pixel_size)
        self._box = specimen.potential.shape[0]
        self._thickness = specimen.voxel_size
        padded = 2 * self._box
        margin = (padded - self._box) // 2
        volume = np.pad(specimen.potential, margin)
        # Slices are interpolated linearly: what that takes away is put back beforehand.
        edge = np.sinc((np.arange(padded) - padded // 2) / padded) ** 2
        volume = volume / (edge[:, None, None] * edge[None, :, None] * edge[None, None])
        spectrum = fft.rfftn(fft.ifftshift(volume.astype(np.float32)))
        self._spectrum = torch.from_numpy(fft.fftshift(spectrum, axes=(0, 1)))

    def add(
        self,
        canvas: NDArray[np.float32],
        xy: NDArray[np.float64],
        rotations: Rotation,
    ) -> None:
        """Add one projection at every place, in V·Å.

        Parameters
        ----------
        canvas : ndarray, float32, shape (rows, columns)
            Projected potential at the pixel size of the micrographs; changed in place.
            What falls outside is left out.
        xy : ndarray, shape (n, 2)
            Where the centres go, in pixels of the canvas.
        rotations : Rotation
            n rotations that turn the specimen (RELION's Euler angles rot, tilt, psi are
            the intrinsic ZYZ angles of the inverse).
        """
        for start in range(0, len(xy), _BATCH):
            part = slice(start, start + _BATCH)
            whole = np.floor(xy[part]).astype(int)
            images = self._project(rotations[part], xy[part] - whole)
            for image, (x, y) in zip(images, whole, strict=True):
                _add_image(canvas, image, x, y)

    def _project(self, rotations: Rotation, shifts: NDArray[np.float64]) -> NDArray[np.float32]:
        """Images (n, side, side) of turned specimens, centred on side // 2 plus the shift."""
        matrices = torch.from_numpy(rotations.inv().as_matrix().astype(np.float32))
        slices = extract_central_slices_rfft_3d(self._spectrum, matrices).numpy()
        padded = 2 * self._box
        rows = fft.fftshift(fft.fftfreq(padded))[:, None]
        columns = fft.rfftfreq(padded)[None]
        steps = shifts.astype(np.float32) / self._finer
        phase = rows * steps[:, 1, None, None] + columns * steps[:, 0, None, None]
        slices = fft.ifftshift(slices * np.exp(-2j * np.pi * phase), axes=1)
        side = padded * self._finer
        if self._finer > 1:
            slices = _pad_spectrum(slices, side) * self._finer**2
        images = fft.irfft2(slices.astype(np.complex64), s=(side, side))
        images = fft.fftshift(images, axes=(1, 2)) * np.float32(self._thickness)
        cut = slice(side // 4, side // 4 + side // 2)
        return np.asarray(images[:, cut, cut], dtype=np.float32)


def _pad_spectrum(slices: NDArray[np.complexfloating], side: int) -> NDArray[np.complexfloating]:
    """Spectra of the same images on a finer grid."""
    count, rows, columns = slices.shape
    out = np.zeros((count, side, side // 2 + 1), slices.dtype)
    half = rows // 2
    # The Nyquist samples have no partner on the finer grid; without them nothing is lost.
    out[:, :half, : columns - 1] = slices[:, :half, :-1]
    out[:, side - half + 1 :, : columns - 1] = slices[:, half + 1 :, :-1]
    return out


def _add_image(canvas: NDArray[np.float32], image: NDArray[np.float32], x: int, y: int) -> None:
    """Add an image whose pixel side // 2 belongs at x, y."""
    side = image.shape[0]
    top, left = y - side // 2, x - side // 2
    rows = slice(max(top, 0), min(top + side, canvas.shape[0]))
    columns = slice(max(left, 0), min(left + side, canvas.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        canvas[rows, columns] += image[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
