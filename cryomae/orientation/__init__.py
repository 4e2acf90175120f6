"""Whether picks fit their micrographs as they stand, or mirrored, exchanged or scaled.

Particles differ from what is around them. `check` compares that difference at the picks as they
are to be read with all mirror images, turns and usual binning factors, and says so if another
fits far better; it changes nothing.
"""

from cryomae.orientation.judge import Judgement, Verdict, check, options
from cryomae.orientation.picture import draw_check

__all__ = ["Judgement", "Verdict", "check", "draw_check", "options"]
