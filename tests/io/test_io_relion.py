"""RELION reads the same pixels."""

import subprocess
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from io_helpers import mrc_bytes, read
from numpy.typing import NDArray

pytestmark = [pytest.mark.relion, pytest.mark.usefixtures("need_relion")]

PIXELS = np.random.default_rng(0).integers(0, 16, (66, 80), dtype=np.uint8)


@pytest.mark.parametrize(
    ("mode", "data", "order"),
    [
        (0, PIXELS * 16, "<"),
        (1, PIXELS.astype("<i2"), "<"),
        (2, PIXELS.astype(">f4"), ">"),
        (101, PIXELS[:, 0::2] | (PIXELS[:, 1::2] << 4), "<"),
    ],
)
def test_relion_agrees(tmp_path: Path, mode: int, data: NDArray, order: str) -> None:
    path, out = tmp_path / "in.mrc", tmp_path / "out.mrc"
    path.write_bytes(mrc_bytes(data.tobytes(), 80, 66, mode, order=order))
    command = [
        "relion_image_handler",
        "--i",
        str(path),
        "--o",
        str(out),
        "--multiply_constant",
        "1",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with mrcfile.open(out, permissive=True) as mrc:
        np.testing.assert_array_equal(read(path).pixels, np.squeeze(mrc.data))
