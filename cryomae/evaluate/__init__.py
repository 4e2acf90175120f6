"""Judging picks against known particles."""

from cryomae.evaluate.matching import PrecisionRecall, match_picks, precision_recall

__all__ = ["PrecisionRecall", "match_picks", "precision_recall"]
