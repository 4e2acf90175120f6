"""Strategies made of other strategies."""

from cryomae.sampler.meta import albl, ceal, mix

__all__ = ["albl", "ceal", "mix"]
