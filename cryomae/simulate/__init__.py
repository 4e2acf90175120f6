"""Simulated micrographs with known truth.

`SimulationSettings` says what, `Simulator` makes one micrograph in memory, `simulate_set`
a folder of them.
"""

from cryomae.simulate.micrograph import SimulatedMicrograph, Simulator
from cryomae.simulate.run import SimulatedSet, simulate_set
from cryomae.simulate.settings import SimulationSettings, load_settings, make_settings

__all__ = [
    "SimulatedMicrograph",
    "SimulatedSet",
    "SimulationSettings",
    "Simulator",
    "load_settings",
    "make_settings",
    "simulate_set",
]
