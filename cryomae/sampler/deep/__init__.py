"""Strategies that train or differentiate a network, on features or embeddings, with torch."""

from cryomae.sampler.deep import autoal, strategies

__all__ = ["autoal", "strategies"]
