"""Which pixel size applies."""

from pathlib import Path

import pytest
from io_helpers import WriteMrc, read
from numpy.typing import NDArray

from cryomae.errors import InputError, MicrographError
from cryomae.io import read_header, read_micrograph
from cryomae.micrograph import MicrographRef


@pytest.mark.parametrize(
    ("option", "listed", "expected"),
    [(0.8, 0.9, (0.8, "option")), (None, 0.9, (0.9, "star")), (None, None, (1.5, "header"))],
)
def test_order_of_trust(
    write_mrc: WriteMrc,
    image: NDArray,
    option: float | None,
    listed: float | None,
    expected: tuple[float, str],
) -> None:
    ref = MicrographRef("MotionCorr/a.mrc", write_mrc(image), listed)
    mic = read_micrograph(ref, option)
    assert (mic.pixel_size, mic.pixel_size_source) == expected
    assert mic.name == "MotionCorr/a.mrc"


@pytest.mark.parametrize(
    ("spacing", "cause"),
    [
        ((0.0, 0.0), "unset"),
        ((1.0, 1.0), "unset (1.0 Å"),
        ((0.1, 0.1), "is 0.1 Å, outside 0.2 to 10"),
        ((35.4, 35.4), "is 35.4 Å, outside"),
        ((-1.0, -1.0), "unset"),
        ((float("nan"), float("nan")), "unset"),
        ((float("inf"), float("inf")), "unset"),
        ((1.50, 1.53), "differ: 1.5 Å in x, 1.53 Å in y"),
    ],
)
def test_header_that_cannot_be_trusted(
    write_mrc: WriteMrc, image: NDArray, spacing: tuple[float, float], cause: str
) -> None:
    path = write_mrc(image, spacing=spacing)
    header = read_header(path)
    assert header.pixel_size is None
    assert any(cause in note for note in header.notes)
    with pytest.raises(MicrographError) as caught:
        read(path)
    for part in ("mic.mrc", cause, "--pixel-size"):
        assert part in str(caught.value)
    assert read(path, 1.2).pixel_size == 1.2


def test_header_noise_is_rounded_off(write_mrc: WriteMrc, image: NDArray) -> None:
    assert read(write_mrc(image, spacing=(3.54, 3.55))).pixel_size == 3.54


@pytest.mark.parametrize("option", [0.0, -1.0, 0.05, 25.0, float("nan"), float("inf")])
def test_option_that_makes_no_sense(write_mrc: WriteMrc, image: NDArray, option: float) -> None:
    with pytest.raises(InputError, match=r"--pixel-size .* outside 0\.1 to 20"):
        read(write_mrc(image), option)


def test_option_is_judged_before_the_file() -> None:
    with pytest.raises(InputError):
        read(Path("/nowhere.mrc"), 99.0)
