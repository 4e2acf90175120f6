"""Headers and pixels of real micrographs."""

from pathlib import Path

import pytest

from cryomae.errors import MicrographError
from cryomae.io import find_micrographs, read_header, read_micrograph

pytestmark = pytest.mark.data


def test_empiar10017(data_dir: Path) -> None:
    refs, errors = find_micrographs([data_dir / "empiar10017" / "micrographs"])
    assert (len(refs), errors) == (8, [])
    assert all(read_header(ref.path).pixel_size == 3.54 for ref in refs)
    mic = read_micrograph(refs[0])
    assert (mic.shape, mic.pixel_size, mic.pixel_size_source) == ((2048, 2048), 3.54, "header")
    assert mic.pixels.min() < 0  # bytes are signed


def test_magellon_header_keeps_the_unbinned_pixel_size(data_dir: Path) -> None:
    refs, _ = find_micrographs([data_dir / "magellon"])
    assert read_header(refs[0].path).pixel_size == 0.79
    assert read_micrograph(refs[0], 6.32).pixel_size == 6.32


def test_contamination_header_is_unset(data_dir: Path) -> None:
    refs, _ = find_micrographs([data_dir / "contamination" / "micrograph.mrc"])
    with pytest.raises(MicrographError, match=r"unset \(1\.0 Å.*--pixel-size"):
        read_micrograph(refs[0])
    assert read_micrograph(refs[0], 2.0).shape == (927, 959)


def test_map_is_no_micrograph(data_dir: Path) -> None:
    header = read_header(data_dir / "structures" / "relion_tutorial_map.mrc")
    assert header.n_images == 90
    assert "90 images" in str(header.problem)
