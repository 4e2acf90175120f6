"""What the tests of the summary page share."""

import numpy as np
import pytest
from report_helpers import draw

from cryomae.batch.result import Outcome, RunResult
from cryomae.report.pace import Pace
from cryomae.report.summary import HISTOGRAM_BINS, Page
from cryomae.settings import PickSettings


@pytest.fixture
def page(tmp_path):
    draw(tmp_path, [[100, 100]])
    good = Outcome(
        "a.mrc", "picked", 12, 40, 0.1, 1.5, 1.06, "star", preview_file=tmp_path / "p.png"
    )
    good.picks_file = tmp_path / "a_cryomae.star"
    bad = Outcome("<b>.mrc", "failed", cause="is <truncated> & short", remedy="copy it again")
    result = RunResult(tmp_path, [good, bad], 0.42, "Chosen for a reason.")
    return Page(
        result=result,
        pace=Pace("finished", 1.7e9, 1.7e9 + 60, 1, 1, 2, 2, 120.0),
        histogram=np.arange(len(HISTOGRAM_BINS) - 1),
        settings=PickSettings(diameter=180),
        min_distance=90.0,
        model="default",
        model_sha256="ab" * 32,
        device="cpu",
        pixel_size=1.06,
        micrographs_star="CtfFind/job003/micrographs_ctf.star",
        output="Picks",
    )
