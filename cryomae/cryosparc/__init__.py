"""Picking as an external job of a running cryoSPARC, by cryosparc-tools."""

from cryomae.cryosparc.job import Source, log_in, run

__all__ = ["Source", "log_in", "run"]
