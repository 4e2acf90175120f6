"""Picking as an external job of a running cryoSPARC, by cryosparc-tools."""

from cryomae.cryosparc.exposures import Exposure, read_exposures
from cryomae.cryosparc.job import Source, log_in, run

__all__ = ["Exposure", "Source", "log_in", "read_exposures", "run"]
