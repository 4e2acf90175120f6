"""Crops: particles cut out and normalised as RELION does, with a first look at them.

`make_crops` reads picks and micrographs and writes a stack, its STAR file and pictures;
`cryomae.crops.boxes` holds the pure functions that cut and normalise.
"""

from cryomae.crops.gather import Options
from cryomae.crops.run import Crops, Failure, make_crops

__all__ = ["Crops", "Failure", "Options", "make_crops"]
