"""A RELION project with micrographs whose particles are bright pixels, and a picker for them."""

from types import SimpleNamespace

import mrcfile
import numpy as np

from cryomae.batch import Engine
from cryomae.io import read_micrograph
from cryomae.picks import Picks

STAR = "CtfFind/job003/micrographs_ctf.star"
JOB = "External/job005/"
PLACES = {  # name, and x and y of its particles
    "MotionCorr/job002/grid1/a.mrc": [(40, 200), (128, 130), (200, 60)],
    "MotionCorr/job002/grid1/b.mrc": [(60, 60), (150, 170)],
    "MotionCorr/job002/grid2/a.mrc": [(100, 100)],
}


class Project:
    """A project folder; ``pick`` runs the job, ``seen`` lists what the picker was given."""

    def __init__(self, root):
        self.root, self.seen, self.before_each = root, [], lambda name: None

    def add_micrograph(self, name, places):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(1).normal(0, 1, (256, 256)).astype(np.float32)
        for x, y in places:
            pixels[y, x] = 1000
        with mrcfile.new(path) as file:
            file.set_data(pixels)
            file.voxel_size = 1.0

    def write_star(self, names):
        path = self.root / STAR
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = "\n".join(f"{name} 1" for name in names)
        path.write_text(
            "\n# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n"
            "_rlnOpticsGroup #2\n_rlnMicrographOriginalPixelSize #3\n_rlnVoltage #4\n"
            "_rlnSphericalAberration #5\n_rlnAmplitudeContrast #6\n_rlnMicrographPixelSize #7\n"
            "opticsGroup1 1 1.5 300 2.7 0.1 1.5\n\n\n# version 30001\n\ndata_micrographs\n\n"
            f"loop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n{rows}\n\n"
        )

    def pick(self, *words, words_before=("--o", JOB, "--in_mics", STAR)):
        from cryomae.relion.pick import run

        detector = SimpleNamespace(name="bright", sha256="0" * 64, device="cpu", shown=False)
        engine = Engine(
            read_micrograph,
            self._bright_pixels,
            lambda scores: SimpleNamespace(value=0.4, explanation="As the test wants it."),
        )
        return run([*words_before, *words], load=lambda model, device: detector, engine=engine)

    def _bright_pixels(self, micrograph, detector, settings):
        self.seen.append(micrograph.name)
        self.before_each(micrograph.name)
        rows, columns = np.nonzero(micrograph.pixels > 500)
        xy, scores = np.column_stack([columns, rows]), 0.9 - 0.1 * np.arange(len(rows))
        return SimpleNamespace(
            candidates=Picks.from_arrays(micrograph.name, xy, scores, settings.diameter, ""),
            image=micrograph.pixels[::4, ::4],
            valid=np.ones(micrograph.pixels[::4, ::4].shape, bool),
            spacing=(4.0, 4.0),
            seconds={},
        )

    def markers(self, job=JOB):
        return sorted(path.name for path in (self.root / job).glob("RELION_JOB_*"))
