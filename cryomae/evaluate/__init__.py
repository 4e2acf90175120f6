"""Judging picks against known particles.

`evaluate` takes tables and returns figures, without files; `match_picks` and
`precision_recall` are its two steps, for other uses. `run.evaluate_files` reads what a user
names and writes the report.
"""

from cryomae.evaluate.evaluation import Evaluation, evaluate
from cryomae.evaluate.figures import Figure
from cryomae.evaluate.matching import PrecisionRecall, match_picks, precision_recall
from cryomae.evaluate.truth import Truth

__all__ = [
    "Evaluation",
    "Figure",
    "PrecisionRecall",
    "Truth",
    "evaluate",
    "match_picks",
    "precision_recall",
]
