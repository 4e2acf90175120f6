"""Sizes of the detector, for those who handle its numbers without loading torch."""

STRIDE = 2
"""Working pixels between two scores; score (0, 0) lies at pixel ``(STRIDE - 1) / 2``."""

WIDTHS = (16, 32, 64, 128)
"""Channels of the pyramid at 1, 2, 4 and 8 working pixels."""

COARSE = WIDTHS[-1]
"""Length of the latent of a cell."""

CELL = 8
"""Working pixels along one side of a cell, which is what a coarse latent describes."""

LATENT = 2 * COARSE
"""Length of the descriptor of a place: the latent of its cell, and the mean of 3 × 3 cells."""
