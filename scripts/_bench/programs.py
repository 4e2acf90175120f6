"""Peers that are programs of others: Topaz, RELION and ASPIRE, each from its command line."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import mrcfile
import numpy as np

from _bench import accuracy, topaz
from _bench.job import Job
from _bench.measure import Measured, measure
from _bench.outcome import Outcome, outcome
from cryomae.evaluate.coordinates import join
from cryomae.evaluate.sources import as_picks
from cryomae.formats.collect import read_all
from cryomae.picks import Picks

TRAINED = "resnet8"
"""Topaz's default model to train, of 32 units."""

LOG_SMALLEST = 0.8
"""Least diameter that RELION is told, in diameters; its tutorial says 150 to 180 Å."""

LOG_ALL = -3.0
"""Threshold adjustment, in standard deviations, at which RELION lists about all peaks."""

ASPIRE = ["aspire==0.14.3"]
APPLE_MARGIN = 50
"""Pixels that APPLE leaves out on each side: half its default, which is for 4096 pixels."""


def topaz_general(job: Job, detector: str, coarser: int) -> Outcome:
    """Topaz with a detector that comes with it.

    Parameters
    ----------
    job : Job
    detector : str
        Name of the detector.
    coarser : int
        How many times the factor of `topaz.own_factor` it is downsampled by.
    """
    program, version = topaz.topaz_program(job.options.topaz_env, job.folder)
    scale = coarser * topaz.own_factor(job.data.radius)
    peer = topaz.Topaz(program, scale, job.data.radius, job.folder)
    before, images = peer.preprocess(job.files, "test")
    return _extract(job, peer, detector, images, [before], f"{version}, downsampled by {scale}")


def topaz_trained(job: Job) -> Outcome:
    """Topaz trained from the exemplars."""
    program, version = topaz.topaz_program(job.options.topaz_env, job.folder)
    scale = 2 * topaz.own_factor(job.data.radius)
    peer = topaz.Topaz(program, scale, job.data.radius, job.folder)
    exemplars, image = job.learned_from
    ready, images = peer.preprocess([image], "train")
    points = [(round(x / scale), round(y / scale)) for x, y in exemplars.picks.xy.tolist()]
    options = job.options
    trained, model = peer.train(
        images[0], points, exemplars.expected, options.updates, options.epochs
    )
    before, images = peer.preprocess(job.files, "test")
    note = f"{version}, downsampled by {scale}, {options.epochs} × {options.updates} updates"
    done = _extract(job, peer, str(model), images, [before], note, [ready, trained])
    shutil.rmtree(job.folder / "train_images")
    return done


def _extract(
    job: Job,
    peer: topaz.Topaz,
    model: str,
    images: list[str],
    picking: list[Measured],
    note: str,
    preparing: Sequence[Measured] = (),
) -> Outcome:
    """Score once, then pick twice: as a user would, and as low as Topaz goes."""
    scored, maps = peer.segment(images, "test", model)
    timed, table = peer.extract(maps, 0, "own", "none")
    _, every = peer.extract(maps, topaz.LOWEST, "lowest", "none")
    for made in ("test_images", "test_scores"):
        shutil.rmtree(job.folder / made)
    picks, candidates = accuracy.topaz_picks(table), accuracy.topaz_picks(every)
    picking = [*picking, scored, timed]
    return outcome(picks, candidates, len(images), picking, preparing, note)


def relion_log(job: Job) -> Outcome:
    """RELION's Laplacian-of-Gaussian autopicker at the defaults of its window."""
    version = subprocess.run(["relion_autopick", "--version"], capture_output=True, text=True)
    project = job.folder / "project"
    shutil.rmtree(project, ignore_errors=True)
    (project / "micrographs").mkdir(parents=True)
    names = []
    for file in job.files:
        os.symlink(file, project / "micrographs" / Path(file).name)
        names.append(f"micrographs/{Path(file).name}")
    _write_star(project / "micrographs.star", names, job.data.pixel_size)
    diameter = job.data.diameter
    command = ["relion_autopick", "--i", "micrographs.star", "--pickname", "autopick", "--LoG"]
    command += ["--LoG_diam_min", f"{LOG_SMALLEST * diameter:g}", "--LoG_diam_max"]
    command += [f"{diameter:g}", "--shrink", "0", "--lowpass", "20"]
    found, runs = {}, {}
    for name, adjust in (("own", 0.0), ("lowest", LOG_ALL)):
        (project / name / "micrographs").mkdir(parents=True)
        words = [*command, "--odir", f"{name}/", "--LoG_adjust_threshold", f"{adjust:g}"]
        runs[name] = measure(words, job.folder, name, cwd=project)
        found[name] = _of_folder(project / name / "micrographs", job)
    note = " ".join(version.stdout.split()[:3])
    return outcome(found["own"], found["lowest"], len(names), [runs["own"]], note=note)


def _write_star(path: Path, names: list[str], pixel_size: float) -> None:
    """Micrographs as RELION 3.1 lists them; no step of the picker looks at the CTF."""
    rows = "\n".join(f"{name} 1" for name in names)
    path.write_text(
        "\n# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n"
        "_rlnMicrographPixelSize #3\n_rlnVoltage #4\n_rlnSphericalAberration #5\n"
        f"_rlnAmplitudeContrast #6\nopticsGroup1 1 {pixel_size:g} 300 2.7 0.1\n\n\n"
        "# version 30001\n\ndata_micrographs\n\nloop_\n_rlnMicrographName #1\n"
        f"_rlnOpticsGroup #2\n{rows}\n\n"
    )


def apple(job: Job) -> Outcome:
    """ASPIRE's APPLE picker, which has neither scores nor a threshold.

    Its command fails on folders and on files that state a pixel size, so it is given copies
    one by one. For files of about 2048 pixels it is told not to bin.
    """
    program = job.options.aspire_env.absolute() / "bin" / "aspire"
    if not program.is_file():
        topaz.make_environment(program.parents[1], ASPIRE)
    found = job.folder / "found"
    shutil.rmtree(found, ignore_errors=True)
    job.folder.mkdir(parents=True, exist_ok=True)
    shrink = 2 if min(min(s) for s in job.data.shapes.values()) >= 3000 else 1
    command = [str(program), "apple", "--output_dir", str(found), "--mrc_shrink_factor"]
    command += [str(shrink), "--particle_size", str(round(2 * job.data.radius))]
    for side in ("left", "right", "top", "bottom"):
        command += [f"--mrc_margin_{side}", str(shrink * APPLE_MARGIN)]
    runs = []
    for file in job.files:
        copy = job.folder / Path(file).name
        with mrcfile.new(copy, overwrite=True) as mrc:
            mrc.set_data(mrcfile.read(file).astype(np.float32))
        words = [*command, "--mrc_path", str(copy)]
        runs.append(measure(words, job.folder, copy.stem, cwd=job.folder))
        copy.unlink()
    picks = _of_folder(found, job)
    return outcome(picks, picks, len(job.files), runs, note=ASPIRE[0].replace("==", " "))


def _of_folder(folder: Path, job: Job) -> Picks:
    return as_picks(join(read_all(folder), job.data.files), 1.0)
