"""The particle diameter, estimated from micrographs that nobody has picked."""

from cryomae.diameter.estimate import DiameterEstimate, estimate_diameter, estimate_from
from cryomae.diameter.measure import Measurement, measure

__all__ = ["DiameterEstimate", "Measurement", "estimate_diameter", "estimate_from", "measure"]
