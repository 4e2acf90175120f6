"""Fixtures that every part of the tests may use."""

import os
import shutil
from pathlib import Path

import pytest


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
