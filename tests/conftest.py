"""Fixtures that every part of the tests may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from browser_helpers import Browser

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes test at a time: each computes in one thread, and so does what it starts.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")

# How long an example takes says nothing on a machine that does other things as well.
settings.register_profile("cryomae", deadline=None)
settings.load_profile("cryomae")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real micrographs; skips where it is absent, but never in CI."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CRYOMAE_DATA", default))
    if not folder.is_dir():
        reason = f"no real micrographs: {folder} is absent (set CRYOMAE_DATA)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def need_relion() -> None:
    """Without RELION's programs, skip at home and fail in CI."""
    if shutil.which("relion_preprocess") is None or shutil.which("relion_image_handler") is None:
        reason = "RELION is not installed: run `make system-deps`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window; without it, skip at home and fail in CI."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None or find_spec("selenium") is None:
        reason = "Chromium, its driver or selenium is not installed: run `make system-deps`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from browser_helpers import Browser

    opened = Browser(chromium, driver)
    yield opened
    opened.close()
