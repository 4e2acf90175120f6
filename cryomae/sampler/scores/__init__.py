"""Scores of single candidates, and the strategies that take the highest."""

from cryomae.sampler.scores import (
    committee,
    dwus,
    expected_error,
    quire,
    simple,
    stochastic,
    uncertainty,
    variance,
)

__all__ = [
    "committee",
    "dwus",
    "expected_error",
    "quire",
    "simple",
    "stochastic",
    "uncertainty",
    "variance",
]
