"""From projected potential to relative contrast: electron wave, transfer, envelope.

A weak phase object: the phase of the wave behind the specimen is the projected potential
times the interaction constant, and the image of phase p is ``1 - 2 T p`` with the transfer
function T = CTF × envelope (Reimer and Kohl, Transmission Electron Microscopy, 2008).
Gold and thick ice are no weak objects; their darkness is an attenuation (`scene`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch_ctf import calculate_ctf_2d

_REST = 510_998.95  # eV, rest energy of the electron


@dataclass(frozen=True)
class Optics:
    """How one micrograph was imaged.

    Attributes
    ----------
    voltage : float
        kV.
    spherical_aberration : float
        mm.
    amplitude_contrast : float
    defocus : float
        Mean underfocus in µm at the middle of the ice.
    astigmatism : float
        Half the difference of the two defoci in µm.
    astigmatism_angle : float
        Of the larger defocus, in degrees.
    phase_shift : float
        Degrees.
    b_factor : float
        Å².
    """

    voltage: float
    spherical_aberration: float
    amplitude_contrast: float
    defocus: float
    astigmatism: float
    astigmatism_angle: float
    phase_shift: float
    b_factor: float


def interaction_constant(voltage: float) -> float:
    """Phase in radians per V·Å of projected potential.

    Parameters
    ----------
    voltage : float
        kV.

    Examples
    --------
    >>> f"{interaction_constant(300):.3e}"
    '6.526e-04'
    """
    volts = 1e3 * voltage
    wavelength = 12.2643 / np.sqrt(volts * (1 + 0.978466e-6 * volts))  # Å
    return float(2 * np.pi / (wavelength * volts) * (_REST + volts) / (2 * _REST + volts))


def spatial_frequency(shape: tuple[int, int], pixel_size: float) -> NDArray[np.float32]:
    """Spatial frequency of every sample of a half spectrum, in 1/Å."""
    rows = np.fft.fftfreq(shape[0], pixel_size)[:, None]
    columns = np.fft.rfftfreq(shape[1], pixel_size)[None]
    return np.hypot(rows, columns).astype(np.float32)


def transfer(
    optics: Optics, shape: tuple[int, int], pixel_size: float, deeper: float = 0.0
) -> NDArray[np.float32]:
    """Transfer function with its envelope on the half spectrum; positive darkens.

    Parameters
    ----------
    optics : Optics
    shape : (int, int)
        Of the image, in pixels.
    pixel_size : float
        Å.
    deeper : float
        Added to the defocus, in µm.
    """
    ctf = calculate_ctf_2d(
        defocus=torch.tensor([optics.defocus + deeper]),
        astigmatism=optics.astigmatism,
        astigmatism_angle=optics.astigmatism_angle,
        voltage=optics.voltage,
        spherical_aberration=optics.spherical_aberration,
        amplitude_contrast=optics.amplitude_contrast,
        phase_shift=optics.phase_shift,
        pixel_size=pixel_size,
        image_shape=shape,
        rfft=True,
        fftshift=False,
    )[0].numpy()
    envelope = np.exp(-optics.b_factor / 4 * spatial_frequency(shape, pixel_size) ** 2)
    return (ctf * envelope).astype(np.float32)
