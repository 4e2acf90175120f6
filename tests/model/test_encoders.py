"""Encoders as files."""

import json

import pytest
import torch

from cryomae.errors import WeightsError
from cryomae.model import Encoder, EncoderConfig
from cryomae.model.encoders import encoder_card, load_encoder, save_encoder, start_encoder

CARD = {"recipe": "none", "data": "nothing"}


@pytest.fixture
def saved(tmp_path):
    encoder = Encoder(EncoderConfig(window=32, patch=16, dim=24, depth=1, heads=2))
    save_encoder(tmp_path / "encoder.safetensors", encoder, CARD)
    return tmp_path / "encoder.safetensors", encoder


def change(path, **parts):
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | parts))


def test_an_encoder_comes_back_as_it_was(saved):
    path, encoder = saved
    for again in (load_encoder(path), start_encoder(str(path))):
        assert again.config == encoder.config
        for key, value in encoder.state_dict().items():
            assert torch.equal(again.state_dict()[key], value)


def test_other_weights_than_the_card_says_are_refused(saved):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    with pytest.raises(WeightsError, match="sha256"):
        load_encoder(path)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"format": 99}, "format 99"),
        ({"sha256": None}, "not the card"),
        ({"encoder": {"window": 32, "patch": 8, "dim": 24, "depth": 1, "heads": 2}}, "fit"),
        ({"encoder": {"windows": 32}}, "fit"),
    ],
)
def test_a_card_that_does_not_belong_is_refused(saved, parts, words):
    path, _ = saved
    change(path, **parts)
    with pytest.raises(WeightsError, match=words):
        load_encoder(path)


def test_what_is_missing_is_named(saved):
    path, _ = saved
    with pytest.raises(WeightsError, match="nothing"):
        start_encoder("nothing")
    path.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="missing"):
        encoder_card(path)
