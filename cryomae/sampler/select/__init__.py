"""Strategies that choose a batch as a whole: diverse, covering, clustered."""

from cryomae.sampler.select import (
    badge,
    cluster_margin,
    graph_density,
    hierarchical,
    kcenter,
    kdpp,
    kmeans,
    noise_stability,
    poal,
    probcover,
    typiclust,
)

__all__ = [
    "badge",
    "cluster_margin",
    "graph_density",
    "hierarchical",
    "kcenter",
    "kdpp",
    "kmeans",
    "noise_stability",
    "poal",
    "probcover",
    "typiclust",
]
