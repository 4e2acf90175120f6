"""A micrograph's picture, as the tests of pictures and pages want it."""

from pathlib import Path

import numpy as np
from PIL import Image

from cryomae.picks import Picks
from cryomae.report.preview import draw_preview
from cryomae.report.thumbnail import save_thumbnail


def draw(folder: Path, xy, shape=(200, 300), spacing=(4.0, 4.0), image=None, valid=None, **more):
    image = np.zeros(shape, dtype=np.float32) if image is None else image
    valid = np.ones(shape, dtype=bool) if valid is None else valid
    save_thumbnail(folder / "t.png", image, valid)
    options = {
        "name": "m.mrc",
        "diameter": 80.0,
        "pixel_size": 1.0,
        "extent": (shape[0] * spacing[0], shape[1] * spacing[1]),
        "spacing": spacing,
        "threshold": 0.4,
    } | more
    picks = Picks.from_arrays("m.mrc", xy, np.full(len(xy), 0.9), 80.0)
    drawn = draw_preview(folder / "p.png", folder / "t.png", picks, **options)
    with Image.open(folder / "p.png") as picture:
        return drawn, np.asarray(picture.convert("RGB")).astype(float)
