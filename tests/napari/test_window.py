"""The window as such."""

import pytest

pytestmark = pytest.mark.napari


def test_closes_without_a_trace(open_window) -> None:
    window = open_window()
    window.panel("Curate")
    window.panel("Confirm")
    window.panel("Export")
    window.qtbot.wait(100)
