"""RELION itself reads the truth: poses, places and defocus must mean to it what they mean here."""

import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile
from scipy.spatial.transform import Rotation

from cryomae.simulate import make_settings, simulate_set
from cryomae.simulate.micrograph import Simulator
from cryomae.simulate.place import Poses
from cryomae.simulate.potential import Specimen
from cryomae.simulate.projector import Projector

pytestmark = pytest.mark.relion
PIXEL, SIZE, BOX = 2.0, 768, 128
DEFOCUS, ASTIGMATISM = 12_000, 2_500  # Å; astigmatism is half the difference
ORIGIN = ["rlnOriginXAngst", "rlnOriginYAngst"]
ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]


def run(*words: object, cwd: Path) -> None:
    done = subprocess.run(
        [str(w) for w in words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def write_map(path: Path, volume: np.ndarray, voxel_size: float) -> None:
    with mrcfile.new(path) as file:
        file.set_data(volume.astype(np.float32))
        file.voxel_size = voxel_size


def padded(volume: np.ndarray, side: int) -> np.ndarray:
    """The volume in a larger box, its voxel n // 2 in voxel side // 2."""
    start = side // 2 - volume.shape[0] // 2
    return np.pad(volume, [(start, side - volume.shape[0] - start)] * 3)


def alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation of each image, or volume, with its partner."""
    pairs = zip(one.reshape(len(one), -1), other.reshape(len(other), -1), strict=True)
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in pairs])


def relion_projections(
    folder: Path, volume: Path, particles: pd.DataFrame, pixel_size: float, *more: str
) -> np.ndarray:
    """What RELION thinks the particles look like."""
    optics = {
        "rlnOpticsGroup": 1, "rlnOpticsGroupName": "one", "rlnImagePixelSize": pixel_size,
        "rlnImageSize": mrcfile.read(volume).shape[0], "rlnImageDimensionality": 2,
        "rlnVoltage": 300.0, "rlnSphericalAberration": 2.7, "rlnAmplitudeContrast": 0.07,
    }  # fmt: skip
    names = [f"{i + 1:06d}@none.mrcs" for i in range(len(particles))]
    table = particles.assign(rlnImageName=names, rlnOpticsGroup=1)
    star = folder / "poses.star"
    starfile.write({"optics": pd.DataFrame([optics]), "particles": table}, star)
    words = ["relion_project", "--i", volume, "--o", "projected", "--ang", star]
    run(*words, "--angpix", pixel_size, *more, cwd=folder)
    return mrcfile.read(folder / "projected.mrcs")


def shell_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Mean Fourier shell correlation of two volumes from 85 to 13 Å."""
    spectra = [np.fft.rfftn(np.fft.ifftshift(v)) for v in (one, other)]
    axes = [np.fft.fftfreq(BOX), np.fft.fftfreq(BOX), np.fft.rfftfreq(BOX)]
    shell = np.rint(BOX * np.sqrt(sum(g**2 for g in np.meshgrid(*axes, indexing="ij")))).ravel()
    shell = shell.astype(int)
    cross, *power = (
        np.bincount(shell, np.real(a * b.conj()).ravel())
        for a, b in (spectra, [spectra[0]] * 2, [spectra[1]] * 2)
    )
    return float((cross / np.sqrt(power[0] * power[1]))[3:20].mean())


@pytest.fixture(scope="module")
def molecule(need_relion, tmp_path_factory) -> Path:
    """An atomic model without any symmetry: five balls, one in every other direction."""
    rng = np.random.default_rng(0)
    balls = {(0, 0, 0): 14, (34, 0, 0): 7, (0, 28, 6): 8, (6, -10, 40): 6, (-24, 12, -24): 7}
    places = np.concatenate([rng.normal(at, size, (400, 3)) for at, size in balls.items()])
    atom = "ATOM  {0:5d}  CA  GLY A{0:4d}    {1:8.3f}{2:8.3f}{3:8.3f}  1.00 20.00           C\n"
    path = tmp_path_factory.mktemp("molecule") / "balls.pdb"
    path.write_text("".join(atom.format(i + 1, *xyz) for i, xyz in enumerate(places)) + "END\n")
    return path


@pytest.fixture(scope="module")
def settings(molecule):
    """Clear particles far above and below each other, with much astigmatism and a phase plate."""
    return make_settings(
        {
            "name": "balls", "micrographs": 1, "size": SIZE, "pixel_size": PIXEL, "snr": 25,
            "particle": {"source": str(molecule), "count": [16, 16], "spacing": 1.2},
            "optics": {
                "defocus": [(DEFOCUS + ASTIGMATISM) / 1e4] * 2, "astigmatism": [0.25, 0.25],
                "phase_shift": [30, 30], "b_factor": [0, 0],
            },
            "ice": {"thickness": [2500, 2500], "gradient": [0, 0], "slab": 400},
            "detector": {"dose": 10_000, "mtf": 1.0},
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def specimen(settings) -> Specimen:
    return Simulator(settings).specimen


@pytest.fixture(scope="module")
def extracted(settings, specimen, tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """A project where RELION has extracted all particles; their truth, in the same order."""
    folder = tmp_path_factory.mktemp("project")
    simulate_set(settings, folder)
    write_map(folder / "truth.mrc", padded(specimen.potential, BOX), PIXEL)
    truth = starfile.read(folder / "particles.star")["particles"]
    exact = truth[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy()
    whole = np.rint(exact)
    inside = ((whole >= BOX // 2) & (whole <= SIZE - BOX // 2)).all(axis=1)
    truth, exact, whole = truth[inside], exact[inside], whole[inside]
    # RELION adds the origin to bring the particle into the middle of its box.
    truth = truth.assign(**dict(zip(ORIGIN, (whole - exact).T * PIXEL, strict=True)))
    truth = truth.reset_index(drop=True)
    picks = pd.DataFrame(whole.astype(int), columns=["rlnCoordinateX", "rlnCoordinateY"])
    (folder / "picks/micrographs").mkdir(parents=True)
    starfile.write(picks, folder / "picks/micrographs/balls_0001_truth.star")
    run(
        "relion_preprocess", "--i", "micrographs.star", "--coord_dir", "picks/",
        "--coord_suffix", "_truth.star", "--part_star", "parts.star", "--part_dir", "parts/",
        "--extract", "--extract_size", BOX, "--norm", "--bg_radius", 60, "--invert_contrast",
        cwd=folder,
    )  # fmt: skip
    names = starfile.read(folder / "parts.star")["particles"]["rlnImageName"]
    assert len(names) == len(truth) >= 8
    return folder, truth.assign(rlnImageName=names)


@pytest.mark.parametrize("finer", [1, 2], ids=["same grid", "finer micrograph"])
def test_projections_are_those_of_relion(need_relion, specimen, tmp_path, finer):
    rng = np.random.default_rng(1)
    turns = Rotation.random(12, rng=rng)
    side = specimen.potential.shape[0] * finer
    projector = Projector(specimen, specimen.voxel_size / finer)
    ours = []
    for turn in turns:
        canvas = np.zeros((side, side), np.float32)
        projector.add(canvas, np.full((1, 2), side / 2), Rotation.concatenate([turn]))
        ours.append(canvas[::finer, ::finer])
    write_map(tmp_path / "map.mrc", specimen.potential, specimen.voxel_size)

    def theirs(rotations: Rotation) -> np.ndarray:
        euler = Poses(np.zeros((12, 2)), rotations, np.zeros(12)).euler()
        table = pd.DataFrame(euler, columns=ANGLES)
        return relion_projections(tmp_path, tmp_path / "map.mrc", table, specimen.voxel_size)

    right = theirs(turns)
    agree = alike(np.array(ours), right)
    assert agree.min() > 0.99
    for wrong in (theirs(turns.inv()), right[:, ::-1], right[:, :, ::-1]):
        assert agree.min() > alike(np.array(ours), wrong).max() + 0.02
    for step in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        assert (agree > alike(np.array(ours), np.roll(right, step, (1, 2)))).all()


def test_extracted_boxes_are_what_relion_expects_of_the_truth(extracted):
    folder, truth = extracted
    images = mrcfile.read(folder / "parts/micrographs/balls_0001.mrcs")
    middle = slice(24, -24)

    def agreement(**columns: object) -> float:
        table = truth.assign(**columns)
        expected = relion_projections(folder, folder / "truth.mrc", table, PIXEL, "--ctf")
        return float(alike(images[:, middle, middle], expected[:, middle, middle]).mean())

    right = agreement()
    # Neighbours, ice and shot noise take the rest; the sign says that particles are dark.
    assert right > 0.9
    turned, middle_u = truth["rlnDefocusAngle"], 2 * (DEFOCUS + ASTIGMATISM)
    wrong = {
        "astigmatism mirrored": {"rlnDefocusAngle": -turned},
        "astigmatism at right angles": {"rlnDefocusAngle": turned + 90},
        "phase shift the other way": {"rlnPhaseShift": -truth["rlnPhaseShift"]},
        "deeper is shallower": {
            "rlnDefocusU": middle_u - truth["rlnDefocusU"],
            "rlnDefocusV": middle_u - 4 * ASTIGMATISM - truth["rlnDefocusV"],
        },
        "origin the other way": {name: -truth[name] for name in ORIGIN},
    }
    assert truth["rlnDefocusU"].nunique() > 2
    for what, columns in wrong.items():
        assert right > agreement(**columns) + 0.04, what


def test_reconstruction_is_the_true_potential(extracted, specimen):
    folder, truth = extracted
    blocks = starfile.read(folder / "parts.star")
    blocks["particles"] = truth.assign(rlnOpticsGroup=1)
    potential = padded(specimen.potential, BOX)

    quick = ("--iter", 2)

    def agreement(particles: pd.DataFrame, *more: str) -> tuple[float, float]:
        starfile.write(blocks | {"particles": particles}, folder / "all.star", overwrite=True)
        run("relion_reconstruct", "--i", "all.star", "--o", "map.mrc", *quick, *more, cwd=folder)
        found = mrcfile.read(folder / "map.mrc")
        mirrored = np.roll(found[:, :, ::-1], 1, axis=2)
        return shell_correlation(found, potential), shell_correlation(mirrored, potential)

    right, mirrored = agreement(blocks["particles"], "--ctf")
    assert right > 0.6  # a dozen views leave gaps
    assert right > mirrored + 0.3
    assert right > agreement(blocks["particles"])[0] + 0.2  # the signs of the rings
