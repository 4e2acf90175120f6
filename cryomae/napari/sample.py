"""The micrograph that comes with cryomae."""

from __future__ import annotations

from importlib.resources import as_file, files

from cryomae.napari.readers import Layers, micrograph_reader


def bundled() -> Layers:
    """The bundled micrograph as a layer."""
    with as_file(files("cryomae.data") / "demo_micrograph.mrc") as path:
        read = micrograph_reader(str(path))
        assert read is not None
        return read(str(path))
