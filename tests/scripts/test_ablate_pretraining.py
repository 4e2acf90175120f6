"""The comparison of pretrainings in miniature."""

import json

import ablate_pretraining
import pytest

from cryomae.errors import InputError


def test_all_cells_are_planned_with_a_control_a_patch_size():
    cells = ablate_pretraining.plan(ablate_pretraining.arguments([]))
    assert len(cells) == 3 * (2 + 3 * 2 * 2)
    assert len({cell.name for cell in cells}) == len(cells)


def test_one_choice_at_a_time_varies_nothing_else():
    words = ["--one-at-a-time", "--targets", "lowpass", "raw", "clean", "--masks", "0.75", "0.5"]
    cells = ablate_pretraining.plan(ablate_pretraining.arguments([*words, "--seeds", "1"]))
    trained = [cell.kind for cell in cells if cell.target is not None]
    assert sorted(trained) == [
        "clean m0.75 p8", "lowpass m0.5 p8", "lowpass m0.75 p16", "lowpass m0.75 p8",
        "raw m0.75 p8",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_cell_that_is_done_is_not_trained_again(tmp_path, capsys):
    words = [
        "--output", str(tmp_path), "--targets", "lowpass", "--masks", "0.75", "--patches", "16",
        "--seeds", "1", "2", "--steps", "2", "--batch", "2", "--particles", "1", "--held-out", "1",
        "--epochs", "1", "--depth", "1", "--jobs", "1", "--device", "cpu",
    ]  # fmt: skip
    ablate_pretraining.main(words)
    first = capsys.readouterr().out
    assert "lowpass_m0.75_p16_s2" in first
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["cells"]) == 4
    assert (tmp_path / "results.png").exists()
    ablate_pretraining.main(words)
    assert "_s2" not in capsys.readouterr().out
    with pytest.raises(InputError, match="other conditions"):
        ablate_pretraining.main([*words, "--epochs", "2"])
