"""What the plugin adds to napari: its steps, and files that are opened and saved."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from npe2 import PluginManifest

from cryomae.errors import InputError
from cryomae.formats import read_picks
from cryomae.formats.registry import list_formats

SUFFIXES = sorted(suffix for form in list_formats() for suffix in form.suffixes)


def test_napari_knows_the_steps(open_window) -> None:
    contributions = PluginManifest.from_distribution("cryomae").contributions
    names = [widget.display_name for widget in contributions.widgets]
    assert names == ["Pick", "Curate", "Confirm", "Export"]
    window = open_window()
    for name in names:
        assert window.panel(name).workspace is window.workspace


def test_every_format_of_picks_can_be_opened_and_saved() -> None:
    contributions = PluginManifest.from_distribution("cryomae").contributions
    (reader,) = [r for r in contributions.readers if "picks" in r.command]
    writers = [w for w in contributions.writers if "points" in w.layer_types]
    assert {p.removeprefix("*") for p in reader.filename_patterns} == set(SUFFIXES)
    assert len(writers) == 2
    for writer in writers:
        assert set(writer.filename_extensions) == set(SUFFIXES)


def test_picks_are_saved_and_opened_again(open_window, tmp_path) -> None:
    viewer = open_window().viewer
    yx = np.array([[100.0, 200.0], [300.0, 400.0]])
    points = viewer.add_points(yx, size=64, name="m1")
    image = viewer.add_image(np.zeros((512, 640)), metadata={"pixel_size": 1.5})
    for suffix in SUFFIXES:
        for number, selection in enumerate(([points], [image, points])):
            path = tmp_path / f"m{number}{suffix}"
            viewer.layers.selection = selection
            if suffix == ".cs" and number == 0:
                with pytest.raises(InputError, match="select its layer too"):
                    viewer.layers.save(str(path), selected=True, plugin="cryomae")
                continue
            assert viewer.layers.save(str(path), selected=True, plugin="cryomae")
            assert np.allclose(read_picks(path).table[["y", "x"]], yx, atol=0.51), suffix
            (layer,) = viewer.open(str(path), plugin="cryomae")
            assert np.allclose(layer.data, yx, atol=0.51), suffix
            viewer.layers.remove(layer)


def test_a_micrograph_is_opened_and_saved(open_window, tmp_path) -> None:
    viewer = open_window().viewer
    pixels = np.random.default_rng(0).normal(size=(64, 96)).astype(np.float32)
    with mrcfile.new(tmp_path / "m.mrc") as file:
        file.set_data(pixels)
        file.voxel_size = 1.5
    (layer,) = viewer.open(str(tmp_path / "m.mrc"), plugin="cryomae")
    assert np.array_equal(layer.data, pixels)
    assert layer.metadata["pixel_size"] == pytest.approx(1.5)
    assert viewer.layers.save(str(tmp_path / "again.mrc"), plugin="cryomae")
    with mrcfile.open(tmp_path / "again.mrc") as file:
        assert np.array_equal(file.data, pixels)
        assert float(file.voxel_size.x) == pytest.approx(1.5)


def test_the_bundled_micrograph_is_a_sample(open_window) -> None:
    viewer = open_window().viewer
    (layer,) = viewer.open_sample("cryomae", "bundled")
    assert layer.data.ndim == 2
    assert layer.metadata["pixel_size"] > 0
    low, high = layer.contrast_limits
    assert np.percentile(layer.data, 0.1) <= low < high <= np.percentile(layer.data, 99.9)


def test_what_is_no_micrograph_is_refused_in_words(open_window, tmp_path) -> None:
    window = open_window()
    (tmp_path / "broken.mrc").write_bytes(b"no micrograph" * 100)
    with pytest.raises(Exception, match=r"broken\.mrc"):
        window.viewer.open(str(tmp_path / "broken.mrc"), plugin="cryomae")
    assert window.said("broken.mrc")


def _window_command(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    if not environment.get("DISPLAY"):
        environment.pop("DISPLAY", None)
    return subprocess.run(
        [Path(sys.executable).parent / "cryomae", "window"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="about X")
def test_without_a_display_it_says_what_to_do() -> None:
    for display, cause in (("", "there is no display"), (":4321", ":4321 cannot be reached")):
        done = _window_command(DISPLAY=display, WAYLAND_DISPLAY="")
        assert done.returncode == 1
        assert cause in done.stderr
        assert "cryomae active answer" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="about X")
def test_without_opengl_it_says_what_to_do(tmp_path) -> None:
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb: run `make system-deps`")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-extension", "GLX"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as number:
            display = f":{number.readline().strip()}"
        # No EGL either: a folder that lists no drivers.
        done = _window_command(DISPLAY=display, __EGL_VENDOR_LIBRARY_DIRS=str(tmp_path))
        assert done.returncode == 1
        assert f"the display {display} has no OpenGL" in done.stderr
        assert "libgl1-mesa-dri" in done.stderr
        assert "cryomae active answer" in done.stderr
    finally:
        server.terminate()
        server.wait()
