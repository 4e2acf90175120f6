"""Resolution of picks: correlation, poses, thresholds, sources, and a small whole run."""

import doctest
import json

import benchmark_resolution
import numpy as np
import pandas as pd
import pytest
from _bench import contestants, operating, outcome, poses, shells, true_map
from _bench.poses import ANGLES, COORDINATES, DEFOCUS, ORIGIN, PosedTruth
from _bench.sets import read_set
from scipy.spatial.transform import Rotation

from cryomae.errors import InputError
from cryomae.evaluate.truth import Truth
from cryomae.formats.star import write_picks
from cryomae.picks import Picks
from cryomae.simulate import make_settings, simulate_set

SIDE = 32


def noise(seed):
    return np.random.default_rng(seed).normal(size=(SIDE,) * 3)


def filtered(volume, keep):
    """Only frequencies below ``keep`` shells."""
    axis = np.fft.fftfreq(SIDE, 1 / SIDE)
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis**2)
    return np.fft.ifftn(np.fft.fftn(volume) * (radius < keep)).real


def test_examples_hold():
    assert doctest.testmod(shells).failed == 0
    assert doctest.testmod(true_map).failed == 0


def test_a_map_agrees_with_itself_and_with_nothing_else():
    assert shells.shell_correlation(noise(0), 2 * noise(0)) == pytest.approx(1)
    assert np.abs(shells.shell_correlation(noise(0), noise(1))[4:]).max() < 0.15
    assert shells.shell_correlation(noise(0), -noise(0)) == pytest.approx(-1)


@pytest.mark.parametrize("shared", [6, 10])
def test_maps_that_share_a_band_have_its_resolution(shared):
    common = filtered(noise(0), shared + 0.5)  # shells up to `shared` are whole
    one, other = (common + n - filtered(n, shared + 0.5) for n in (noise(1), noise(2)))
    curve = shells.shell_correlation(one, other)
    assert curve[1 : shared + 1] == pytest.approx(1)
    extent = 2.0 * SIDE
    found = shells.resolution(curve, 0.143, extent)
    assert extent / (shared + 1) <= found < extent / shared


def test_agreement_in_known_noise():
    signal, weight = noise(0), 0.5
    curve = shells.shell_correlation(signal + weight * noise(1), signal + weight * noise(2))
    assert curve[4:].mean() == pytest.approx(1 / (1 + weight**2), abs=0.02)


def test_a_curve_that_never_falls_stops_at_nyquist():
    assert shells.resolution(np.ones(17), 0.143, 64.0) == 4.0


def test_the_mask_is_one_inside_and_zero_outside():
    mask = shells.soft_sphere(SIDE, 8, 4)
    line = mask[SIDE // 2, SIDE // 2, SIDE // 2 :]
    assert (line[:9] == 1).all()
    assert line[10] == pytest.approx(0.5)
    assert (line[12:] == 0).all()


@pytest.fixture
def labelled():
    """Two micrographs: three particles on one, one on the other, and one cut by the border."""
    table = pd.DataFrame(
        {"micrograph": ["a", "a", "a", "b"], "x": [50.25, 150.0, 250.0, 80.5],
         "y": [60.0, 160.5, 60.0, 90.0]}
    )  # fmt: skip
    edge = {"micrograph": "a", "x": 2.0, "y": 200.0, "radius": 20.0, "kind": "edge"}
    return Truth(table, ("a", "b"), pd.DataFrame([{**edge, "outside": False}]))


@pytest.fixture
def posed(labelled):
    """Their poses and defocus, as the STAR files of a simulated set give them."""
    table = labelled.particles
    made = pd.DataFrame({"micrograph": table["micrograph"]})
    made[COORDINATES] = table[["x", "y"]].to_numpy()
    made[ANGLES] = np.random.default_rng(5).uniform(10, 80, (4, 3))
    made[DEFOCUS] = [[15_000 + 100 * i, 14_000 + 100 * i, 30.0, 0.0] for i in range(4)]
    mean = pd.DataFrame([[15_150, 14_150, 30.0, 0.0]] * 2, index=["a", "b"], columns=DEFOCUS)
    return PosedTruth(made, mean)


def picks():
    """Two right picks, a second one of the same particle, one on nothing, one at the border."""
    a = Picks.from_arrays(
        "a", [[151, 158], [52.4, 60], [155, 160], [100, 280], [5, 200]],
        [0.9, 0.8, 0.7, 0.6, 0.5], 40,
    )  # fmt: skip
    return Picks.concat([a, Picks.from_arrays("b", [[80, 90]], [0.4], 40)])


def test_matching_says_which_particle_each_pick_takes(labelled):
    assert poses.match(picks(), labelled, 20).tolist() == [1, 0, -1, -1, poses.CUT, 3]


def test_right_picks_get_the_pose_of_their_particle(labelled, posed):
    taken = poses.match(picks(), labelled, 20)
    table = poses.pose(picks(), taken, posed, 2.0, seed=0)
    right, particle = [0, 1, 5], [1, 0, 3]

    def turns(rows):
        return Rotation.from_euler("ZYZ", rows[ANGLES].to_numpy(), degrees=True)

    found, true = turns(table.iloc[right]), turns(posed.particles.iloc[particle])
    assert (found * true.inv()).magnitude() == pytest.approx(0, abs=1e-6)
    assert (table.loc[right, DEFOCUS].to_numpy() == posed.particles.loc[particle, DEFOCUS]).all(
        axis=None
    )
    assert table[COORDINATES].iloc[0].tolist() == [151, 158]
    assert table[COORDINATES].iloc[1].tolist() == [52, 60]
    # RELION shifts by the origin: from the box's centre, the particle lies at minus it.
    assert table[ORIGIN].iloc[0].tolist() == pytest.approx([2.0 * 1, 2.0 * -2.5])
    assert table[ORIGIN].iloc[1].tolist() == pytest.approx([2.0 * 1.75, 0])


def test_wrong_picks_get_any_pose_and_the_mean_defocus(labelled, posed):
    taken = poses.match(picks(), labelled, 20)
    wrong = [2, 3, 4]
    first, again, other = (poses.pose(picks(), taken, posed, 2.0, seed=s) for s in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert (first.loc[wrong, ANGLES].to_numpy() != other.loc[wrong, ANGLES].to_numpy()).all()
    assert (first.loc[wrong, DEFOCUS].to_numpy() == posed.micrographs.loc["a"].to_numpy()).all()
    assert (first.loc[wrong, ORIGIN] == 0).all(axis=None)


def test_errors_are_made_where_they_are_asked_for(labelled, posed):
    taken = poses.match(picks(), labelled, 20)
    off = poses.pose(picks(), taken, posed, 2.0, seed=0, recentre=False)
    assert (off[ORIGIN] == 0).all(axis=None)
    sure = Picks.from_arrays("a", [[50.25, 60]] * 400, np.ones(400), 40)
    table = poses.pose(sure, np.zeros(400, int), posed, 2.0, seed=0, angle_error=2.0)
    turned = Rotation.from_euler("ZYZ", table[ANGLES].to_numpy(), degrees=True)
    true = Rotation.from_euler("ZYZ", posed.particles[ANGLES].iloc[0].to_numpy(), degrees=True)
    # Three independent axes: the square of the angle is three times the variance.
    apart = np.rad2deg((turned * true.inv()).magnitude())
    assert np.sqrt((apart**2).mean() / 3) == pytest.approx(2.0, rel=0.1)


def test_half_sets_are_equal_and_random():
    made = poses.halves(101, seed=0)
    assert sorted(np.bincount(made)[1:]) == [50, 51]
    assert (made != poses.halves(101, seed=1)).any()


def test_points_reach_their_recall_and_no_more(labelled):
    taken = poses.match(picks(), labelled, 20)
    points = operating.at_recalls(picks(), taken, 4, [0.25, 0.5, 0.75, 1.0])
    assert [p.label for p in points] == ["recall 0.25", "recall 0.5", "recall 0.75"]
    assert [len(p.picks) for p in points] == [1, 2, 6]
    assert [p.right for p in points] == [1, 2, 3]
    assert points[2].precision == pytest.approx(3 / 5)  # the one at the border does not count
    assert points[2].recall == 0.75


def test_added_wrong_picks_are_wrong(labelled):
    shapes = {"a": (300, 320), "b": (200, 220)}
    mixed = operating.with_false(labelled, shapes, 20, seed=0)
    taken = poses.match(mixed, labelled, 20)
    assert len(mixed) == 8
    assert sorted(taken[:4]) == [0, 1, 2, 3]
    assert (taken[4:] < 0).all()
    last = np.array([shapes[m][::-1] for m in mixed.table["micrograph"]])
    assert ((mixed.xy >= 0) & (mixed.xy < last)).all()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A small, clear set of two micrographs."""
    folder = tmp_path_factory.mktemp("simulated") / "small"
    settings = {
        "name": "small", "micrographs": 2, "size": 400, "pixel_size": 4.0, "snr": 0.5,
        "particle": {"kind": "domains", "diameter": 100, "count": [40, 40], "spacing": 1.0},
        "optics": {"b_factor": [0, 0]},
    }  # fmt: skip
    simulate_set(make_settings(settings), folder)
    return folder


def test_the_true_map_has_the_centre_of_mass_in_its_middle(simulated):
    volume = true_map.true_map(simulated, 48)
    mass = np.maximum(volume, 0)
    middle = [float((mass * g).sum() / mass.sum()) for g in np.indices(mass.shape)]
    assert middle == pytest.approx([24] * 3, abs=0.5)


def test_other_sets_are_refused(tmp_path):
    with pytest.raises(InputError, match="cryomae simulate"):
        poses.read_posed_truth(tmp_path, [])
    with pytest.raises(InputError, match="cryomae simulate"):
        true_map.true_map(tmp_path, 32)


def keep_peer(folder, data, own, candidates, *, failed=False):
    """What benchmark_peers.py leaves of a picker."""
    settings = {
        "micrographs": {name: p.stat().st_size for name, p in data.files.items()},
        "exemplars": None,
    }
    made = outcome.Outcome(own, candidates, 2, 1.0, 0.0, 1.0, "kept")
    outcome.save(folder, settings, RuntimeError("no") if failed else made)


def test_picks_come_from_files_and_from_kept_peers(simulated, tmp_path):
    data = read_set(simulated, "small")
    name = next(iter(data.files))
    outside = Picks.from_arrays(f"micrographs/{name}.mrc", [[-30, 20], [500, 399.4]], [1, 1], 1)
    stray = Picks.from_arrays("other", [[5, 5]], [1], 1)
    write_picks(tmp_path / "mine.star", Picks.concat([outside, stray]), with_names=True)
    one = contestants.from_file(f"mine={tmp_path / 'mine.star'}", data)
    assert one.name == "mine"
    assert one.own.xy.tolist() == [[0, 20], [399, 399]]
    assert set(one.own.table["micrograph"]) == {name}
    with pytest.raises(InputError, match="NAME=PATH"):
        contestants.from_file("mine.star", data)

    kept = tmp_path / "kept" / "small" / "small"
    keep_peer(kept / "relion-log", data, outside, outside)
    keep_peer(kept / "blob-oracle", data, None, outside)
    keep_peer(kept / "apple", data, None, outside, failed=True)
    found = {p.name: p for p in contestants.from_peers(tmp_path, data)}
    assert set(found) == {"RELION LoG", "LoG blob, oracle"}
    assert found["LoG blob, oracle"].own is None
    with pytest.raises(InputError, match="no picks of the set"):
        contestants.from_peers(tmp_path / "empty", data)


@pytest.mark.relion
def test_truth_is_best_and_what_is_done_is_kept(need_relion, simulated, tmp_path, monkeypatch):
    data = read_set(simulated, "small")
    true = operating.true_picks(data.truth, seed=0)
    wrong = Picks(true.table.assign(x=true.table["x"].to_numpy()[::-1]))
    keep_peer(tmp_path / "peers/kept/small/small/cryomae", data, wrong, wrong)
    words = [str(simulated), "--output", str(tmp_path / "out"), "--peers", str(tmp_path / "peers")]
    words += ["--recall", "0.5", "--seeds", "0"]
    benchmark_resolution.main(words)
    results = json.loads((tmp_path / "out/results.json").read_text())
    found = {(r["name"], r["threshold"]): r for r in results["rows"]}
    best = found["truth", "own"]["resolution"][0]
    assert best < 18
    assert best < found["truth", "recall 0.5"]["resolution"][0]
    assert best < found["truth and as many wrong", "own"]["resolution"][0]
    assert best < found["cryomae", "own"]["resolution"][0] / 1.5
    assert found["truth", "own"]["resolution_truth"][0] == pytest.approx(best, rel=0.3)
    assert (tmp_path / "out/results.png").is_file()
    assert not (tmp_path / "out/project").exists()

    def fail(*words):
        raise AssertionError("reconstructed again")

    monkeypatch.setattr(benchmark_resolution, "Extraction", fail)
    benchmark_resolution.main(words)
    assert json.loads((tmp_path / "out/results.json").read_text())["rows"] == results["rows"]
