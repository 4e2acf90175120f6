"""RELION 3.1 itself runs the jobs: pipeline, extraction and display settings."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import starfile
import yaml
from relion_project import STAR, Project

pytestmark = pytest.mark.relion

DATA = Path(str(files("cryomae"))) / "data"
NAME = "MotionCorr/job002/grid1/demo.mrc"

PIPELINE = f"""
# version 30001

data_pipeline_general

_rlnPipeLineJobCounter                       5


# version 30001

data_pipeline_processes

loop_
_rlnPipeLineProcessName #1
_rlnPipeLineProcessAlias #2
_rlnPipeLineProcessType #3
_rlnPipeLineProcessStatus #4
CtfFind/job003/       None            2            2


# version 30001

data_pipeline_nodes

loop_
_rlnPipeLineNodeName #1
_rlnPipeLineNodeType #2
{STAR}            1


# version 30001

data_pipeline_output_edges

loop_
_rlnPipeLineEdgeProcess #1
_rlnPipeLineEdgeToNode #2
CtfFind/job003/ {STAR}

"""

JOB_STAR = """
# version 30001

data_job

_rlnJobType                            99
_rlnJobIsContinue                       0


# version 30001

data_joboptions_values

loop_
_rlnJobOptionVariable #1
_rlnJobOptionValue #2
fn_exe {exe}
in_mic {mics}
param1_label diameter
param1_value {diameter}
param2_label overwrite
param2_value ""
nr_threads 1
do_queue No
"""


@pytest.fixture
def relion(need_relion, tmp_path, monkeypatch):
    """Run a RELION program in a project that has one CTF job."""
    project = Project(tmp_path)
    project.write_star([NAME])
    star = (tmp_path / STAR).read_text().replace("1 1.5 300 2.7 0.1 1.5", "1 3.0 300 2.7 0.1 3.0")
    (tmp_path / STAR).write_text(star)
    (tmp_path / NAME).parent.mkdir(parents=True)
    (tmp_path / NAME).symlink_to(DATA / "demo_micrograph.mrc")
    (tmp_path / "default_pipeline.star").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)

    def run(*words):
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def executable():
    """Program to name in RELION's External tab; its name holds no ``relion_``."""
    path = Path("cryomae-pick.sh")
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cryomae.relion.pick "$@"\n')
    path.chmod(0o755)
    return f"./{path}"


def test_the_pipeliner_runs_the_job_and_extraction_takes_its_node(relion):
    diameter = yaml.safe_load((DATA / "demo.yaml").read_text())["diameter"]
    Path("job.star").write_text(JOB_STAR.format(exe=executable(), mics=STAR, diameter=diameter))
    relion("relion_pipeliner", "--addJobFromStar", "job.star")
    relion("relion_pipeliner", "--RunJobs", "External/job005/", "--sec_wait_after", "0")
    assert Path("External/job005/run.err").read_text() == ""

    pipeline = starfile.read("default_pipeline.star")
    status = pipeline["pipeline_processes"].set_index("rlnPipeLineProcessName")
    assert status.loc["External/job005/", "rlnPipeLineProcessStatus"] == 2, "2 is finished"
    nodes = pipeline["pipeline_nodes"].set_index("rlnPipeLineNodeName")["rlnPipeLineNodeType"]
    edges = pipeline["pipeline_output_edges"].set_index("rlnPipeLineEdgeToNode")
    made = edges.index[edges["rlnPipeLineEdgeProcess"] == "External/job005/"]
    assert sorted(nodes[made]) == [2, 13], "coordinates and a PDF"
    used = pipeline["pipeline_input_edges"]
    used = used if isinstance(used, dict) else used.iloc[-1].to_dict()
    assert used == {"rlnPipeLineEdgeFromNode": STAR, "rlnPipeLineEdgeProcess": "External/job005/"}

    node = next(Path(name) for name in made if nodes[name] == 2)
    suffix = node.stem.removeprefix("coords_suffix")
    relion(
        "relion_preprocess", "--i", node.read_text().strip(), "--coord_dir", f"{node.parent}/",
        "--coord_suffix", f"{suffix}.star", "--part_star", "Extract/job006/particles.star",
        "--part_dir", "Extract/job006/", "--extract", "--extract_size", "84",
    )  # fmt: skip
    particles = starfile.read("Extract/job006/particles.star")["particles"]
    assert set(particles["rlnMicrographName"]) == {NAME}
    found = particles[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
    truth = starfile.read(DATA / "demo_truth.star")
    true = truth[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float)
    away = np.linalg.norm(found[:, None] - true[None], axis=2).min(axis=1)
    assert (away < diameter / 3 / 2).mean() > 0.9, "extracted boxes lie on true particles"
    assert len(found) > 0.7 * len(true)


def test_relion_reads_the_display_settings(relion):
    from cryomae.relion.project import save_display_settings

    save_display_settings(222, 3.0, Path())
    done = relion(
        "relion_pipeliner", "--addJobFromStar", ".gui_manualpickjob.star",
        "--addJobOptions", f"fn_in == {STAR}",
    )  # fmt: skip
    assert "cannot find" not in done.stderr, "an option that RELION does not know"
    table = starfile.read("ManualPick/job005/job.star", parse_as_string=["rlnJobOptionValue"])
    values = dict(table["joboptions_values"].to_numpy().tolist())
    assert (float(values["diameter"]), float(values["angpix"])) == (222, 3)
