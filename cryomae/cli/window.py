"""The command ``cryomae window``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def window(
    inputs: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MICROGRAPHS]",
            help="A folder of micrographs, a micrographs STAR file, or the folder of a session.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Open napari with cryomae in it: pick, look through, teach and export, all by mouse and keys.

    The same as starting napari and choosing Plugins, cryomae, Pick. If no window can be opened,
    as over SSH or without OpenGL, it says what to do.

    For example:
      cryomae window micrographs/
      cryomae window MotionCorr/job002/corrected_micrographs.star
    """
    import os

    from cryomae.napari.screen import find_screen

    os.environ.update(find_screen())
    import napari

    viewer = napari.Viewer(title="cryomae")
    _, panel = viewer.window.add_plugin_dock_widget("cryomae", "Pick")
    if inputs is not None:
        panel.open(str(inputs))
    napari.run()
