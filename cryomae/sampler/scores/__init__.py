"""Scores of single candidates, and the strategies that take the highest."""

from cryomae.sampler.scores import simple, stochastic, uncertainty

__all__ = ["simple", "stochastic", "uncertainty"]
