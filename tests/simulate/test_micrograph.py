"""What a simulated micrograph shows is what its truth says."""

import numpy as np
import pytest
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from cryomae.simulate import Simulator, make_settings
from cryomae.simulate.optics import interaction_constant
from cryomae.simulate.place import overlaps
from cryomae.simulate.potential import from_cloud, make_specimen
from cryomae.simulate.projector import Projector
from cryomae.simulate.settings import ParticleSettings, SimulationSettings


def settings(**more: object) -> SimulationSettings:
    base = {
        "size": 512,
        "pixel_size": 4.0,
        "particle": {"kind": "domains", "diameter": 160, "count": [25, 25], "spacing": 1.3},
        "ice": {"gradient": [0, 0]},
    }
    return make_settings(base | more)


def lopsided(pixel_size: float = 4.0) -> tuple[np.ndarray, Projector]:
    """A body without any symmetry, and what projects it."""
    rng = np.random.default_rng(1)
    lumps = np.array([[0, 0, 0], [0.35, 0, 0], [0, 0.2, 0.1], [-0.1, -0.1, 0.3]])
    cloud = (lumps[:, None] + 0.08 * rng.normal(size=(4, 3000, 3))).reshape(-1, 3)
    cloud -= cloud.mean(axis=0)
    specimen = from_cloud(cloud.astype(np.float32), 200.0, pixel_size)
    return cloud * 200.0, Projector(specimen, pixel_size)


@pytest.mark.parametrize("place", [(40.0, 50.0), (40.5, 50.25), (39.01, 50.99)])
def test_projection_is_centred_where_it_was_put(place: tuple[float, float]) -> None:
    _, projector = lopsided()
    canvas = np.zeros((100, 90), np.float32)
    projector.add(canvas, np.array([place]), Rotation.random(1, rng=np.random.default_rng(5)))
    y, x = ndimage.center_of_mass(canvas)
    assert (x, y) == pytest.approx(place, abs=0.15)


def test_projection_is_the_turned_body_seen_along_z() -> None:
    points, projector = lopsided()
    rotation = Rotation.random(1, rng=np.random.default_rng(2))
    canvas = np.zeros((128, 128), np.float32)
    projector.add(canvas, np.array([[64.0, 64.0]]), rotation)
    x, y, _ = rotation[0].apply(points).T / 4.0 + 64
    seen = np.histogram2d(y, x, bins=np.arange(129) - 0.5)[0]
    seen = ndimage.gaussian_filter(seen, 1.5)

    def agreement(image: np.ndarray) -> float:
        return float(np.corrcoef(seen.ravel(), image.ravel())[0, 1])

    assert agreement(canvas) > 0.93
    for other in (canvas[::-1], canvas[:, ::-1], canvas.T):
        assert agreement(other) < 0.9


def test_voxels_coarser_than_pixels_give_the_same_picture() -> None:
    cloud, fine = lopsided(2.0)
    coarse_specimen = from_cloud((cloud / 200).astype(np.float32), 200.0, 4.0)
    coarse = Projector(coarse_specimen, 2.0)  # voxels of two pixels
    places = np.array([[100.3, 90.6]])
    images = []
    for projector in (fine, coarse):
        canvas = np.zeros((200, 200), np.float32)
        projector.add(canvas, places, Rotation.random(1, rng=np.random.default_rng(3)))
        images.append(canvas)
    assert images[1].sum() == pytest.approx(images[0].sum(), rel=0.1)
    assert np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] > 0.97


def test_atoms_lie_where_the_model_says(tmp_path) -> None:
    """Three clusters of atoms along x, y and z at different distances from the middle."""
    corners = {"x": (60, 0, 0), "y": (0, 40, 0), "z": (0, 0, 25)}
    lines, serial = [], 0
    rng = np.random.default_rng(0)
    for corner in corners.values():
        for offset in rng.uniform(-6, 6, size=(150, 3)):
            serial += 1
            x, y, z = np.add(corner, offset)
            lines.append(
                f"ATOM  {serial:5d}  CA  ALA A{serial:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
                "  1.00 20.00           C"
            )
    path = tmp_path / "model.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    specimen = make_specimen(ParticleSettings(source=str(path)), 3.0, np.random.default_rng(0))
    body = np.where(specimen.potential > 1, specimen.potential, 0)
    labels, count = ndimage.label(ndimage.gaussian_filter(body, 1) > 1)
    assert count == 3
    found = np.array(ndimage.center_of_mass(body, labels, range(1, 4)))[:, ::-1] * 3.0
    wanted = np.array(list(corners.values()), dtype=float)
    wanted -= wanted.mean(axis=0)
    middle = specimen.potential.shape[0] // 2 * 3.0
    for place in wanted:
        assert np.linalg.norm(found - middle - place, axis=1).min() < 3.0


def test_particles_are_dark_and_centred_on_their_truth() -> None:
    made = Simulator(settings(snr=20.0, optics={"defocus": [1.0, 1.0]})).micrograph(0)
    smooth = ndimage.gaussian_filter(made.image, 6)
    background = np.median(smooth)
    x, y = np.rint(made.particles.xy).astype(int).T
    assert len(x) > 10
    assert (smooth[y, x] < background).mean() > 0.95
    shifted = smooth[np.minimum(y + 30, 511), np.minimum(x + 30, 511)]
    assert smooth[y, x].mean() < shifted.mean()


def test_same_seed_same_image_in_any_order() -> None:
    one, two = Simulator(settings(seed=3)), Simulator(settings(seed=3))
    two.micrograph(0)
    first, second = one.micrograph(1), two.micrograph(1)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.particles.xy, second.particles.xy)
    assert not np.array_equal(first.image, one.micrograph(2).image)
    assert not np.array_equal(first.image, Simulator(settings(seed=4)).micrograph(1).image)


@pytest.mark.parametrize("snr", [0.1, 0.5])
def test_signal_to_noise_ratio_is_the_one_asked_for(snr: float) -> None:
    """Inside the particles' discs the variance is 1 + SNR times that of empty ice."""
    more = {"snr": snr, "detector": {"mtf": 1.0}, "ice": {"gradient": [0, 0]}}
    made = Simulator(settings(**more, optics={"defocus": [1.5, 1.5]})).micrograph(0)
    yy, xx = np.indices(made.image.shape)
    everywhere = np.concatenate(
        [made.particles.xy, [(r.x, r.y) for r in made.regions if r.kind == "edge"]]
    )
    nearest = np.min([np.hypot(xx - x, yy - y) for x, y in everywhere], axis=0)
    inside, outside = made.image[nearest < 20], made.image[nearest > 45]
    assert made.snr == snr
    assert inside.var() / outside.var() - 1 == pytest.approx(snr, rel=0.35)


def test_mean_is_the_dose_that_passes_the_ice() -> None:
    empty = {"count": [0, 0]}
    made = Simulator(
        settings(particle=empty, detector={"dose": 30}, ice={"thickness": [400, 400]})
    ).micrograph(0)
    assert len(made.particles) == 0
    assert np.isnan(made.snr)
    assert made.image.mean() == pytest.approx(30 * 16 * np.exp(-400 / 4000), rel=0.05)


def test_first_zero_of_the_ice_spectrum_is_where_defocus_puts_it() -> None:
    made = Simulator(
        settings(
            particle={"count": [0, 0]},
            detector={"dose": 5000, "mtf": 1.0},
            optics={"defocus": [2.0, 2.0], "b_factor": [20, 20], "astigmatism": [0, 0],
                    "amplitude_contrast": 0.0},
        )
    ).micrograph(0)  # fmt: skip
    power = np.abs(fft.rfft2(made.image - made.image.mean())) ** 2
    frequency = np.hypot(fft.fftfreq(512, 4.0)[:, None], fft.rfftfreq(512, 4.0)[None])
    bins = np.round(frequency * 4.0 * 512).astype(int)
    radial = np.bincount(bins.ravel(), power.ravel()) / np.bincount(bins.ravel())
    expected = np.sqrt(1 / (0.0197 * 20_000))  # 1/Å: wavelength at 300 kV times defocus
    near = slice(int(0.8 * expected * 2048), int(1.2 * expected * 2048))
    found = (near.start + radial[near].argmin()) / 2048
    assert found == pytest.approx(expected, rel=0.04)


def test_contaminants_are_where_they_are_said_to_be_and_particles_are_not() -> None:
    many = {"gold": 4.0, "ice": 3.0, "carbon": 1.0, "aggregate": 1.0, "broken": 3.0}
    made = Simulator(settings(seed=2, size=1024, contaminants=many)).micrograph(0)
    kinds = {r.kind for r in made.regions}
    assert kinds >= {"gold", "ice", "carbon", "broken"}
    yy, xx = np.indices(made.image.shape)
    for region in made.regions:
        if region.kind != "edge":
            assert (region.distance(made.particles.xy) > 0.29 * 40).all()
        rim = min(region.x, region.y, 1023 - region.x, 1023 - region.y)
        if region.kind == "gold" and rim > 20:
            inside = np.hypot(xx - region.x, yy - region.y) < 0.6 * region.radius
            assert made.image[inside].mean() < 0.6 * made.image.mean()


def test_truth_holds_whole_particles_and_names_those_cut_by_the_border() -> None:
    simulator = Simulator(
        settings(particle={"kind": "domains", "diameter": 160, "count": [80, 80]})
    )
    made = simulator.micrograph(0)
    radius = simulator.diameter / 4 / 2
    assert (made.particles.xy >= radius).all()
    assert (made.particles.xy <= 511 - radius).all()
    edge = [r for r in made.regions if r.kind == "edge"]
    assert edge
    for region in edge:
        assert min(region.x, region.y, 511 - region.x, 511 - region.y) < radius


def test_preferred_views_are_preferred() -> None:
    def spread(views: int) -> float:
        particle = {"kind": "domains", "diameter": 100, "count": [150, 150], "views": views,
                    "view_spread": 5}  # fmt: skip
        poses = Simulator(settings(size=1024, particle=particle)).micrograph(0).particles
        axes = poses.rotations.inv().apply([0, 0, 1])
        return float(np.linalg.norm(axes.mean(axis=0)))

    assert spread(1) > 0.97  # all look along nearly one axis of the particle
    assert spread(0) < 0.35


def test_euler_angles_turn_the_particle_back() -> None:
    poses = Simulator(settings()).micrograph(0).particles
    matrices = Rotation.from_euler("ZYZ", poses.euler(), degrees=True).as_matrix()
    assert matrices @ poses.rotations.as_matrix() == pytest.approx(
        np.broadcast_to(np.eye(3), matrices.shape), abs=1e-6
    )


def test_overlap_of_discs() -> None:
    xy = np.array([[0.0, 0], [10, 0], [100, 100], [100, 100]])
    found = overlaps(xy, 20.0)
    half = 2 / np.pi * (np.arccos(0.5) - 0.5 * np.sqrt(0.75))
    assert found == pytest.approx([half, half, 1, 1])
    assert overlaps(xy[:1], 20.0) == pytest.approx([0])


def test_interaction_constant_of_the_textbook() -> None:
    # Kirkland, Advanced Computing in Electron Microscopy, table 5.1 (rad per V·Å).
    assert interaction_constant(100) == pytest.approx(9.244e-4, rel=2e-3)
    assert interaction_constant(200) == pytest.approx(7.288e-4, rel=2e-3)
    assert interaction_constant(300) == pytest.approx(6.526e-4, rel=2e-3)
