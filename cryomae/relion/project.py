"""Files that RELION's pipeline reads: output nodes and settings for Display."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cryomae.atomic import write_text

NODES = "RELION_OUTPUT_NODES.star"
DISPLAY = ".gui_manualpickjob.star"

_NEWEST = 5
_LABELLED = re.compile(r"^_rln(Job|PipeLineProcess|PipeLineNode)TypeLabel\b", re.MULTILINE)
_NUMBERED = re.compile(r"^_rln(Job|PipeLineProcess|PipeLineNode)Type\b", re.MULTILINE)
_WRITTEN_BY = re.compile(r"^# version (\d)\d{4}\b", re.MULTILINE)

# Types of nodes: numbers in 3.1; names since 4, of which some changed in 5.
_TYPES = {
    "coordinates": {
        3: "2",
        4: "MicrographsCoords.star.relion.autopick",
        5: "MicrographCoordsGroup.star.relion.autopick",
    },
    "log": {3: "13", 4: "LogFile.pdf.relion.autopick", 5: "LogFile.pdf.relion.autopick"},
}

# What RELION shows by default, but for the diameter, and a scale of colours that fits scores.
# Both names of the job type: 3.1 reads the first, 4 and 5 the second.
_SETTINGS = """
# version 30001

data_job

_rlnJobType                             3
_rlnJobTypeLabel             relion.manualpick
_rlnJobIsContinue                       0
_rlnJobIsTomo                           0


# version 30001

data_joboptions_values

loop_
_rlnJobOptionVariable #1
_rlnJobOptionValue #2
    angpix         -1
 black_val          0
blue_value          0
color_label rlnAutopickFigureOfMerit
  diameter        100
  do_color         No
do_startend         No
  fn_color         ""
     fn_in         ""
  highpass         -1
   lowpass         20
  micscale        0.2
other_args         ""
 red_value          1
sigma_contrast          3
 white_val          0

"""


def relion_version(job: Path, project: Path = Path()) -> int:
    """Major version of the RELION that runs a job: 3 for 3.1, 4 or 5.

    Parameters
    ----------
    job : Path
        Its folder, into which RELION has written ``job.star``.
    project : Path
        Folder with ``default_pipeline.star``.
    """
    for file in (job / "job.star", project / "default_pipeline.star"):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if _LABELLED.search(text):
            written_by = _WRITTEN_BY.search(text)
            # RELION 4 still wrote 30001 here.
            if written_by is not None:
                return 5 if int(written_by[1]) >= 5 else 4
        elif _NUMBERED.search(text):
            return 3
    return _version_of_program() or _NEWEST


def _version_of_program() -> int | None:
    try:
        done = subprocess.run(
            ["relion_refine", "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"RELION version: (\d)\.", done.stdout)
    return min(max(int(found[1]), 3), _NEWEST) if found else None


def write_nodes(job: Path, nodes: Sequence[tuple[str, str]], version: int) -> None:
    """Write which files of a job others may take as input, or the user may look at.

    Parameters
    ----------
    job : Path
        Folder of the job.
    nodes : sequence of (str, str)
        File, seen from the project folder, and ``coordinates`` or ``log``.
    version : int
        RELION's, from `relion_version`. Each reads its own column; a foreign one makes
        3.1 print warnings.
    """
    column = "rlnPipeLineNodeType" + ("" if version == 3 else "Label")
    rows = [f"{name} {_TYPES[kind][version]}" for name, kind in nodes]
    head = ["data_output_nodes", "", "loop_", "_rlnPipeLineNodeName #1", f"_{column} #2"]
    write_text(job / NODES, "\n".join(["", *head, *rows, "", ""]))


def save_display_settings(diameter: float, pixel_size: float | None, project: Path) -> Path:
    """Have RELION's Display draw circles of the particle's size.

    Settings that the user has saved stay, but for these two. RELION 4 and 5 draw with 1 Å per
    pixel where the settings have none, as their lists of coordinate files have none either.

    Parameters
    ----------
    diameter : float
        Å.
    pixel_size : float or None
        Å per pixel of the micrographs.
    project : Path
        The project folder.

    Returns
    -------
    Path
        File written.
    """
    path = project / DISPLAY
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = _SETTINGS
    text = _change(text, "diameter", f"{diameter:.0f}")
    if pixel_size is not None:
        text = _change(text, "angpix", f"{pixel_size:.5g}")
    write_text(path, text)
    return path


def _change(text: str, name: str, value: str) -> str:
    return re.sub(rf"^(\s*{name}\s+)\S+", rf"\g<1>{value}", text, count=1, flags=re.MULTILINE)
