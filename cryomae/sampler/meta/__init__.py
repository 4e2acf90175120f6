"""Strategies made of other strategies."""

from cryomae.sampler.meta import mix

__all__ = ["mix"]
