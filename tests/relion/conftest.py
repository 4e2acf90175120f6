"""Fixtures of the tests of External jobs."""

from pathlib import Path

import pytest
from relion_project import PLACES, Project


@pytest.fixture
def project(tmp_path, monkeypatch):
    made = Project(tmp_path)
    for name, places in PLACES.items():
        made.add_micrograph(name, places)
    made.write_star(PLACES)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def pages():
    """Count the pages of a PDF."""

    def count(path):
        content = Path(path).read_bytes()
        assert content.startswith(b"%PDF-")
        assert content.rstrip().endswith(b"%%EOF")
        return content.count(b"/Type /Page\n") + content.count(b"/Type /Page ")

    return count
