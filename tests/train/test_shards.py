"""Shards: what ``cryomae pack`` makes, and how training reads it."""

import io
import json
import pickle
import tarfile
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cryomae.batch.plan import Shard as Part
from cryomae.cli import app
from cryomae.errors import CryomaeError, InputError, MicrographError
from cryomae.io import find_micrographs, read_micrograph
from cryomae.model.encoders import encoder_card
from cryomae.prepare import prepare
from cryomae.scale import Lost, Serial
from cryomae.shards import pack as packing
from cryomae.shards.order import TOGETHER, VISITS, Order
from cryomae.shards.pack import PackSettings, pack_micrographs
from cryomae.shards.store import Reader, ShardWriter, open_packs, read_shard, write_index
from cryomae.train.levels import MASKED, STEP, without_mask
from cryomae.train.stream import ShardWindows

TINY = ["--patch", 32, "--steps", 3, "--batch", 2, "--device", "cpu", "--precision", "float32"]


def call(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def pack(micrographs, folder, backend=None, **more):
    refs, _ = find_micrographs([micrographs])
    settings = PackSettings.of(refs, 64, None, 128)
    return pack_micrographs(refs, folder, settings, backend=backend or Serial(), **more)


def written(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "pack.yaml"}


@pytest.fixture
def pairs(monkeypatch):
    """Two micrographs in a shard."""
    monkeypatch.setattr(packing, "PER_SHARD", 2)


@pytest.fixture
def many(micrographs):
    """Ten micrographs, and a file that is none."""
    for i in range(8):
        (micrographs / f"n{i}.mrc").hardlink_to(micrographs / f"m{i % 2}.mrc")
    return micrographs


def make_pack(folder, shards, each, side=40):
    """Shards of tiny images, each of one level of its own."""
    found = []
    for n in range(shards):
        path = folder / f"shard_{n:05d}.tar"
        writer = ShardWriter(path, each)
        for i in range(each):
            writer.add(i, f"m{i}", np.full((side, side), (n * each + i) % 100, np.int8))
        found.append(read_shard(path)[0])
    write_index(folder, {"window": side}, found, [])
    return folder


def test_micrographs_become_shards_and_an_encoder(tmp_path, micrographs):
    words = ["pack", micrographs, "--diameter", 64, "-o", tmp_path / "packed"]
    plan = call(*words, "--dry-run")
    assert "3 micrographs; 320 × 320 bytes each" in plan.output
    assert not (tmp_path / "packed").exists()
    done = call(*words, "--processes", 1)
    assert done.exit_code == 1
    assert "torn.mrc" in done.output
    assert "2 of 3 micrographs" in done.output

    # Any program can read it: an array a micrograph, in which masked pixels are -128.
    with tarfile.open(tmp_path / "packed" / "shard_00000.tar") as tar:
        files = [io.BytesIO(tar.extractfile(member).read()) for member in tar]
        levels = [np.load(file, allow_pickle=False) for file in files]
    for i, found in enumerate(levels):
        refs, _ = find_micrographs([micrographs / f"m{i}.mrc"])
        wanted = prepare(read_micrograph(refs[0]).pixels, 2.0, 64)
        image, valid = without_mask(found)
        assert np.array_equal(valid, wanted.valid)
        assert np.abs(image - wanted.image).max() <= STEP / 2 + 1e-6

    train = ["pretrain", "--shards", tmp_path / "packed", *TINY]
    assert "2 micrographs in 1 shards" in call(*train, "--dry-run").output
    made = call(*train, "-o", tmp_path / "run")
    assert made.exit_code == 0, made.output
    assert "2 micrographs" in encoder_card(tmp_path / "run" / "encoder.safetensors").data
    # A copy elsewhere will do as well, but not others.
    (tmp_path / "packed").rename(tmp_path / "scratch")
    assert (
        "finished" in call(*train[:2], tmp_path / "scratch", *TINY, "-o", tmp_path / "run").output
    )
    other = make_pack(tmp_path / "other", 1, 1, 128)
    refused = call(*train[:2], other, *TINY, "-o", tmp_path / "run")
    assert refused.exit_code == 2
    assert "shards_sha256 was" in refused.output


def test_packing_goes_on_and_gives_the_same_bytes(tmp_path, many, pairs):
    class Cut(Serial):
        def map_unordered(self, work, items):
            for number, pair in enumerate(super().map_unordered(work, items)):
                if number == 5:
                    raise KeyboardInterrupt
                yield pair

    whole = pack(many, tmp_path / "whole")
    assert [Path(e.path).name for e in whole.failed] == ["torn.mrc"]
    with pytest.raises(KeyboardInterrupt):
        pack(many, tmp_path / "cut", Cut())
    assert not [p for p in (tmp_path / "cut").iterdir() if p.name.startswith(".")]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cut").glob("*.tar")}
    assert before
    with pytest.raises(InputError, match="not packed, or not to the end"):
        open_packs([tmp_path / "cut"], 128)
    seen = []
    again = pack(many, tmp_path / "cut", on_progress=lambda done, total: seen.append((done, total)))
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    assert seen[0][0] > 0
    assert seen[-1] == (11, 11)
    assert (again.micrographs, again.missing) == (10, 0)
    assert written(tmp_path / "cut") == written(tmp_path / "whole")


def test_parts_of_a_job_array_make_the_same(tmp_path, many, pairs):
    whole = pack(many, tmp_path / "whole")
    assert pack(many, tmp_path / "parts", part=Part(2, 2)).missing > 0
    assert not (tmp_path / "parts" / "index.json").exists()
    assert pack(many, tmp_path / "parts", part=Part(1, 2)).micrographs == whole.micrographs
    assert written(tmp_path / "parts") == written(tmp_path / "whole")


def test_a_file_that_ends_its_process_is_named_and_its_neighbours_are_not(tmp_path, many, pairs):
    class Deadly(Serial):
        """Loses also whoever waits in the same process, as Dask does."""

        def map_unordered(self, work, items):
            items = list(items)
            deadly = any(item.ref.name.endswith("n3.mrc") for item in items)
            for item, answer in super().map_unordered(work, items):
                beside = item.ref.name.endswith(("n3.mrc", "n4.mrc"))
                yield item, Lost("SIGKILL") if deadly and beside else answer

    packed = pack(many, tmp_path / "packed", Deadly())
    assert [Path(e.path).name for e in packed.failed] == ["n3.mrc", "torn.mrc"]
    assert "ended twice (SIGKILL)" in str(packed.failed[0])
    assert packed.micrographs == 9


def test_what_does_not_fit_together_is_said(tmp_path, many, pairs):
    pack(many, tmp_path / "packed")
    refs, _ = find_micrographs([many])
    for other in (PackSettings.of(refs, 70, None, 128), PackSettings.of(refs[1:], 64, None, 128)):
        with pytest.raises(InputError, match="had other settings"):
            pack_micrographs(refs, tmp_path / "packed", other, backend=Serial())
    with pytest.raises(InputError, match="windows of 128"):
        open_packs([tmp_path / "packed"], 256)
    bad = [many / "torn.mrc"]
    with pytest.raises(InputError, match=r"none of 1 micrographs.*torn\.mrc"):
        pack(bad[0], tmp_path / "bad")
    assert not list((tmp_path / "bad").glob("*shard*"))


def test_a_damaged_shard_is_named_and_made_again(tmp_path, many, pairs):
    pack(many, tmp_path / "packed")
    before = written(tmp_path / "packed")
    torn = tmp_path / "packed" / "shard_00001.tar"
    torn.write_bytes(torn.read_bytes()[:-5000])
    windows = ShardWindows(open_packs([tmp_path / "packed"], 128), 128, 1)
    with pytest.raises(CryomaeError, match=r"shard_00001\.tar.*copy it again"):
        [windows[i] for i in range(100)]
    pack(many, tmp_path / "packed")
    assert written(tmp_path / "packed") == before
    torn.with_suffix(".json").write_text("{}")
    with pytest.raises(InputError, match=r"shard_00001\.json.*copy it again"):
        pack(many, tmp_path / "packed")
    (tmp_path / "packed" / "index.json").write_text("[1]")
    with pytest.raises(InputError, match=r"index\.json"):
        open_packs([tmp_path / "packed"], 128)


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    writer = ShardWriter(tmp_path / "shard_00000.tar", 2)
    writer.add(0, "m0", np.zeros((8, 8), np.int8))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(CryomaeError, match=r"shard_00000\.tar.*No space left.*free some disk"):
        writer.add(1, "m1", np.zeros((8, 8), np.int8))
    assert not list(tmp_path.iterdir())


def test_places_come_in_any_order(tmp_path):
    images = [np.full((6, 4), i, np.int8) for i in range(3)]
    for name, order in (("a", (0, 1, 2, 3)), ("b", (2, 3, 1, 0))):
        (tmp_path / name).mkdir()
        writer = ShardWriter(tmp_path / name / "shard_00000.tar", 4)
        for place in order:
            error = MicrographError("bad", "", "m3")
            writer.add(place, f"m{place}", images[place] if place < 3 else error)
    assert written(tmp_path / "a") == written(tmp_path / "b")
    shard, failed = read_shard(tmp_path / "a" / "shard_00000.tar")
    assert (shard.micrographs, len(failed)) == (3, 1)
    with Reader([shard]) as reader:
        assert (reader.read(0, 2, 1, 1, 3) == 2).all()
    assert json.loads((tmp_path / "a" / "shard_00000.json").read_text())["failed"]


def test_an_epoch_takes_every_micrograph_equally_often():
    counts = [3, 1, 5, 2] * TOGETHER
    order = Order(counts, seed=1)
    assert order.epoch == VISITS * sum(counts)
    first = [order[i] for i in range(order.epoch)]
    number = Counter((place.shard, place.micrograph) for place in first)
    assert set(number.values()) == {VISITS}
    assert len(number) == sum(counts)
    second = [order[i] for i in range(order.epoch, 2 * order.epoch)]
    assert {place.epoch for place in second} == {1}
    where = [[(p.shard, p.micrograph) for p in epoch] for epoch in (first, second)]
    assert where[0] != where[1]
    assert sorted(where[0]) == sorted(where[1])
    # Only a few shards at a time: what has been read is read again soon or not at all.
    within = VISITS * sum(counts) // 4
    assert len({place.shard for place in first[: within // 2]}) <= TOGETHER
    # From wherever one begins, and in another process, it is the same order.
    again = pickle.loads(pickle.dumps(Order(counts, seed=1)))
    assert [again[i] for i in (700, 3, order.epoch + 5)] == [first[700], first[3], second[5]]
    assert [Order(counts, seed=2)[i] for i in range(50)] != first[:50]


def test_windows_depend_on_seed_and_number_only(tmp_path):
    shards = open_packs([make_pack(tmp_path / "a", 3, 4), make_pack(tmp_path / "b", 2, 4)], 32)
    windows = ShardWindows(shards, 32, seed=1)
    wanted = [windows[i] for i in range(20)]
    again = pickle.loads(pickle.dumps(windows))
    for i in (19, 4, 11):
        assert (again[i]["image"] == wanted[i]["image"]).all()
    assert wanted[0]["image"].shape == wanted[0]["valid"].shape == (1, 32, 32)
    plain = [w["image"] for w in wanted if float(w["image"].std()) == 0]
    assert plain  # others got some more noise
    levels = {round(float(image.mean()) / STEP) for image in plain}
    assert len(levels) > 3
    assert MASKED not in levels


def test_memory_does_not_grow_with_the_data(tmp_path):
    def peak(folder):
        windows = ShardWindows(open_packs([folder], 32), 32, seed=1)
        tracemalloc.start()
        for i in range(120):
            windows[i * (windows.order.epoch // 60)]  # two epochs, in leaps
        grown = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return grown

    small, large = (peak(make_pack(tmp_path / str(n), n, 16)) for n in (40, 160))
    assert large < 1.2 * small
