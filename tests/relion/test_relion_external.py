"""Picking as an External job: what RELION finds in the job folder afterwards."""

import os
import signal
from importlib.resources import files
from pathlib import Path

import pytest
import starfile
from relion_project import JOB, PLACES, STAR

from cryomae.relion.pick import run

ABORT = Path(JOB) / "RELION_JOB_ABORT_NOW"


def listed():
    """Micrographs and coordinate files of the job's list, and the list that RELION 3.1 reads."""
    table = starfile.read(Path(JOB) / "autopick.star", always_dict=True)["coordinate_files"]
    rows = [table] if isinstance(table, dict) else table.to_dict("records")
    return {row["rlnMicrographName"]: row["rlnMicrographCoordinates"] for row in rows}


def picked(file):
    table = starfile.read(file, always_dict=True)[""]
    rows = [table] if isinstance(table, dict) else table.to_dict("records")
    return sorted((row["rlnCoordinateX"], row["rlnCoordinateY"]) for row in rows)


def nodes():
    table = starfile.read(Path(JOB) / "RELION_OUTPUT_NODES.star", always_dict=True)
    return table["output_nodes"].to_numpy().tolist()


def test_every_micrograph_has_its_picks_below_its_own_folders(project, capsys):
    assert project.pick("--diameter", "30", "--j", "1") == 0
    found = listed()
    assert list(found) == list(PLACES)
    assert found["MotionCorr/job002/grid2/a.mrc"] == f"{JOB}picks/grid2/a_cryomae.star"
    for name, places in PLACES.items():
        assert picked(found[name]) == sorted(places)
    assert Path(JOB, "picks/coords_suffix_cryomae.star").read_text() == f"{STAR}\n"
    assert project.markers() == ["RELION_JOB_EXIT_SUCCESS"]
    assert capsys.readouterr().err == ""


OLD_JOB = "\n# version 30001\n\ndata_job\n\n_rlnJobType  99\n_rlnJobIsContinue  0\n"
JOB_OF_4 = OLD_JOB.replace("_rlnJobType  99", "_rlnJobTypeLabel  relion.external")
JOB_OF_5 = JOB_OF_4.replace("30001", "50001")
SUFFIX_FILE, LIST = f"{JOB}picks/coords_suffix_cryomae.star", f"{JOB}autopick.star"


@pytest.mark.parametrize(
    ("job_star", "coordinates", "log"),
    [
        (OLD_JOB, [SUFFIX_FILE, 2], 13),
        (JOB_OF_4, [LIST, "MicrographsCoords.star.relion.autopick"], "LogFile.pdf.relion.autopick"),
        (
            JOB_OF_5,
            [LIST, "MicrographCoordsGroup.star.relion.autopick"],
            "LogFile.pdf.relion.autopick",
        ),
    ],
    ids=["RELION 3.1", "RELION 4", "RELION 5"],
)
def test_output_nodes_are_those_of_the_relion_that_runs_the_job(
    project, job_star, coordinates, log
):
    Path(JOB).mkdir(parents=True)
    Path(JOB, "job.star").write_text(job_star)
    assert project.pick("--diameter", "30") == 0
    assert nodes() == [coordinates, [f"{JOB}logfile.pdf", log]]
    assert all(Path(name).is_file() for name, _ in nodes())


def test_the_pipeline_tells_the_version_where_the_job_file_does_not(project):
    Path("default_pipeline.star").write_text(
        "\n# version 30001\n\ndata_pipeline_nodes\n\nloop_\n_rlnPipeLineNodeName #1\n"
        f"_rlnPipeLineNodeType #2\n{STAR} 1\n"
    )
    project.pick("--diameter", "30")
    assert nodes()[0] == [SUFFIX_FILE, 2]


def test_abort_keeps_what_is_done_and_continue_picks_the_rest(project):
    names = list(PLACES)
    project.before_each = lambda name: ABORT.touch() if name == names[1] else None
    assert project.pick("--diameter", "30") != 0
    assert project.markers() == ["RELION_JOB_EXIT_ABORTED"]
    assert list(listed()) == names[:2]
    project.before_each, project.seen = lambda name: None, []
    assert project.pick("--diameter", "30") == 0
    assert project.seen == names[2:]
    assert project.markers() == ["RELION_JOB_EXIT_SUCCESS"]
    assert list(listed()) == names


def test_a_queue_that_terminates_the_job_aborts_it_in_order(project):
    names = list(PLACES)
    project.before_each = lambda name: (
        os.kill(os.getpid(), signal.SIGTERM) if name == names[1] else None
    )
    assert project.pick("--diameter", "30") != 0
    assert project.markers() == ["RELION_JOB_EXIT_ABORTED"]
    assert list(listed()) == names[:1]


def test_an_abort_while_the_job_waits_in_a_queue_is_honoured(project):
    Path(JOB).mkdir(parents=True)
    ABORT.touch()
    project.pick("--diameter", "30")
    assert project.seen == []
    assert project.markers() == ["RELION_JOB_EXIT_ABORTED"]


def test_continue_picks_only_new_micrographs_and_lists_all(project):
    project.pick("--diameter", "30")
    project.seen = []
    new = "MotionCorr/job002/grid3/late.mrc"
    project.add_micrograph(new, [(77, 88)])
    project.write_star([*PLACES, new])
    at_start = []
    project.before_each = lambda name: at_start.extend(project.markers())
    assert project.pick("--diameter", "30") == 0
    assert project.seen == [new]
    assert at_start == [], "the marker of the earlier run stood while this one ran"
    assert list(listed()) == [*PLACES, new]
    assert picked(listed()[new]) == [(77, 88)]


def test_one_bad_micrograph_is_reported_and_the_job_succeeds(project, capsys):
    bad = "MotionCorr/job002/grid1/b.mrc"
    Path(bad).write_bytes(b"torn" * 300)
    assert project.pick("--diameter", "30") == 0
    assert bad in capsys.readouterr().err
    assert list(listed()) == [name for name in PLACES if name != bad]
    assert project.markers() == ["RELION_JOB_EXIT_SUCCESS"]


def test_nothing_picked_is_a_failure(project, capsys):
    for name in PLACES:
        Path(name).unlink()
    assert project.pick("--diameter", "30") == 1
    assert project.markers() == ["RELION_JOB_EXIT_FAILURE"]
    assert "no micrograph could be picked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--diamter", "30"], ["'diamter'", "did you mean diameter?", "max_picks"]),
        (["--diameter", "30", "--threshold", "3"], ["threshold"]),
        (["--diameter", "-5"], ["diameter", "-5"]),
        (["--diameter", "30", "Å"], ["'Å'", "spaces"]),
        (["--diameter", "30", "--overwrite", "perhaps"], ["overwrite", "Yes or No"]),
        (["--diameter", "30", "--j", "all"], ["--j", "number of threads"]),
        (["--diameter"], ["diameter"]),
        (["--diameter", "30", "--model", "none.safetensors"], []),
    ],
)
def test_a_wrong_parameter_fails_the_job_and_says_why(project, capsys, words, said):
    assert run(["--o", JOB, "--in_mics", STAR, *words]) == 1
    assert project.markers() == ["RELION_JOB_EXIT_FAILURE"]
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert all(part in text for part in said)


def test_a_job_without_micrographs_fails(project, capsys):
    assert project.pick("--diameter", "30", words_before=("--o", JOB)) == 1
    assert "Input tab" in capsys.readouterr().err
    assert project.markers() == ["RELION_JOB_EXIT_FAILURE"]


@pytest.mark.parametrize("label", ["--max_picks", "--max-picks", "----max_picks"])
def test_labels_may_be_written_with_dashes_or_underscores(project, label):
    assert project.pick("--diameter", "30", label, "1") == 0
    assert [len(picked(file)) for file in listed().values()] == [1, 1, 1]


def test_an_empty_value_leaves_the_default_and_switches_a_flag(project):
    project.pick("--diameter", "30", "--threshold", "--min_distance", "--no_preview")
    assert len(picked(listed()["MotionCorr/job002/grid1/a.mrc"])) == 3
    assert not list(Path(JOB, "previews").rglob("*.png"))
    project.seen = []
    project.pick("--diameter", "30", "--overwrite", "--preview", "No")
    assert project.seen == list(PLACES), "overwrite picks all anew"


def test_inputs_without_use_are_tolerated_with_a_note(project, capsys):
    words = ["--in_movies", "m.star", "--in_3dref", "r.mrc", "--in_mask", "k.mrc"]
    assert project.pick(*words, "--diameter", "30", "--pipeline_control", JOB) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]
    assert len(notes) == 3


def test_another_diameter_in_the_same_job_is_refused_with_the_label_that_helps(project, capsys):
    project.pick("--diameter", "30")
    capsys.readouterr()
    assert project.pick("--diameter", "40") == 1
    assert "the label overwrite" in capsys.readouterr().err
    assert project.markers() == ["RELION_JOB_EXIT_FAILURE"]


def test_the_log_has_charts_and_a_page_a_picture(project, pages):
    project.pick("--diameter", "30")
    assert pages(f"{JOB}logfile.pdf") == 1 + len(PLACES)
    project.pick("--diameter", "30", "--no_preview", "--overwrite")
    assert pages(f"{JOB}logfile.pdf") == 1


def display_settings():
    table = starfile.read(".gui_manualpickjob.star", parse_as_string=["rlnJobOptionValue"])
    return dict(table["joboptions_values"].to_numpy().tolist())


def test_display_draws_circles_of_the_particle(project):
    project.pick("--diameter", "30")
    shown = display_settings()
    assert (float(shown["diameter"]), float(shown["angpix"])) == (30, 1.5)


def test_display_settings_of_the_user_stay_but_for_the_size(project):
    Path(".gui_manualpickjob.star").write_text(
        "\ndata_job\n\n_rlnJobTypeLabel relion.manualpick\n_rlnJobIsContinue 0\n\n"
        "data_joboptions_values\n\nloop_\n_rlnJobOptionVariable #1\n_rlnJobOptionValue #2\n"
        "  angpix   -1\n  diameter  100\n  micscale 0.35\n  lowpass  12\n"
    )
    project.pick("--diameter", "30")
    assert display_settings() == {
        "angpix": "1.5",
        "diameter": "30",
        "micscale": "0.35",
        "lowpass": "12",
    }


def test_an_automatic_diameter_is_told_to_display_and_kept_by_continue(project):
    data = Path(str(files("cryomae"))) / "data/demo_micrograph.mrc"
    Path("MotionCorr/job002/grid1/a.mrc").write_bytes(data.read_bytes())
    project.write_star(["MotionCorr/job002/grid1/a.mrc"])
    words = ["--diameter", "auto", "--pixel_size", "3", "--threshold", "0.5"]
    assert project.pick(*words) == 0
    found = float(display_settings()["diameter"])
    assert found == pytest.approx(168.9, rel=0.25)
    project.write_star(["MotionCorr/job002/grid1/a.mrc", "MotionCorr/job002/grid1/b.mrc"])
    project.seen = []
    assert project.pick(*words) == 0
    assert project.seen == ["MotionCorr/job002/grid1/b.mrc"]
    assert float(display_settings()["diameter"]) == found


def test_without_a_job_folder_the_program_explains_itself(capsys):
    assert run(["--in_mics", STAR]) == 2
    assert "--o" in capsys.readouterr().err
    assert run(["--help"]) == 0
    assert "max_picks" in capsys.readouterr().out
