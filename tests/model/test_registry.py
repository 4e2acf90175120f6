"""Weights are found by name, checked, and refused with a reason."""

import json

import pytest
import torch

from cryomae.errors import WeightsError
from cryomae.model import create_model, list_models, model_card, save_model
from cryomae.model.registry import diameter_remark

CARD = {
    "name": "mine",
    "architecture": "default",
    "description": "a test",
    "recipe": "none",
    "data": "none",
}


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = create_model("default", pretrained=False)
    path = tmp_path / "mine.safetensors"
    save_model(path, model, CARD)
    return path, model


def test_default_is_listed_and_its_weights_match_their_card():
    assert "default" in list_models()
    model = create_model("default")
    assert sum(p.numel() for p in model.parameters()) == model_card("default").parameters


def test_shipped_weights_fit_into_twelve_megabytes():
    from cryomae.model.registry import WEIGHTS

    assert sum(f.stat().st_size for f in WEIGHTS.glob("*.safetensors")) <= 12e6


def test_saved_model_scores_the_same_when_loaded(saved):
    path, model = saved
    windows = torch.randn(2, 1, 128, 128)
    with torch.no_grad():
        assert torch.allclose(create_model(str(path))(windows), model(windows), atol=2e-2)


def test_unknown_name_lists_the_models():
    with pytest.raises(WeightsError, match="default"):
        create_model("nonsense")


def test_a_model_without_weights_says_how_to_make_them(tmp_path):
    assert "base" not in list_models()
    with pytest.raises(WeightsError, match=r"without weights.*configs/base\.yaml"):
        create_model("base")
    path = tmp_path / "base.safetensors"
    save_model(path, create_model("base", pretrained=False), CARD | {"architecture": "base"})
    assert create_model(str(path)).config.dim == 384


def test_missing_card_is_named(saved):
    path, _ = saved
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"mine\.json"):
        create_model(str(path))


def test_changed_weights_are_refused(saved):
    path, _ = saved
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="sha256"):
        create_model(str(path))


def test_truncated_card_is_refused(saved):
    card = saved[0].with_suffix(".json")
    card.write_text(card.read_text()[:40])
    with pytest.raises(WeightsError, match="not the card of a model"):
        model_card(str(saved[0]))


@pytest.mark.parametrize(
    ("field", "value", "said"), [("format", 99, "format 99"), ("architecture", "huge", "huge")]
)
def test_model_of_another_version_is_refused(saved, field, value, said):
    card = saved[0].with_suffix(".json")
    content = json.loads(card.read_text())
    content[field] = value
    card.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=said):
        create_model(str(saved[0]))


@pytest.mark.parametrize(
    ("made_for", "asked", "warns"), [(None, 90, False), (180, 183, False), (180, 120, True)]
)
def test_a_model_made_for_another_diameter_says_so(saved, made_for, asked, warns):
    path, model = saved
    save_model(path, model, CARD | {"diameter": made_for})
    remark = diameter_remark(model_card(str(path)), asked)
    assert bool(remark) == warns
    if warns:
        assert "180 Å" in remark
        assert "120 Å" in remark
