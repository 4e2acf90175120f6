"""The loop goes on from a checkpoint as if nothing had happened."""

import pytest
import torch

from cryomae.errors import InputError, WeightsError
from cryomae.train.checkpoint import load_checkpoint, save_checkpoint
from cryomae.train.loop import CHECKPOINT, Schedule, train
from cryomae.train.machine import Precision, make_fabric
from cryomae.train.masked import Target, target_of
from cryomae.train.pool import Windows

SCHEDULE = Schedule(steps=6, batch=4, rate=1e-3, seed=1)


def run(task, pool, folder, schedule=SCHEDULE, **more):
    folder.mkdir(exist_ok=True)
    fabric = make_fabric("cpu", precision=Precision.float32)
    fabric.launch()
    return train(task, Windows(pool, 32, 1), schedule, folder, fabric=fabric, every=2, **more)


def equal(one, other):
    state = other.state_dict()
    return all(torch.equal(value, state[key]) for key, value in one.state_dict().items())


class Stop(Exception):
    pass


def stop_at(step):
    def tell(at):
        if at.step == step:
            raise Stop

    return tell


@pytest.mark.parametrize("average", [None, 0.9])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, pool, make_task, average):
    schedule = Schedule(steps=6, batch=4, rate=1e-3, seed=1, average=average)
    whole = run(make_task(), pool, tmp_path / "whole", schedule)
    with pytest.raises(Stop):
        run(make_task(), pool, tmp_path / "cut", schedule, on_progress=stop_at(5))
    began = []
    rest = run(
        make_task(), pool, tmp_path / "cut", schedule, on_start=lambda at: began.append(at.step)
    )
    assert began == [4]
    assert equal(whole, rest)
    assert not equal(whole, make_task()) or average


def test_a_finished_run_does_nothing_more(tmp_path, pool, make_task):
    whole = run(make_task(), pool, tmp_path / "run")
    steps = []
    again = run(make_task(), pool, tmp_path / "run", on_progress=steps.append)
    assert not steps
    assert equal(whole, again)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", None])
def test_a_damaged_checkpoint_is_named(tmp_path, pool, make_task, damage):
    run(make_task(), pool, tmp_path / "run")
    path = tmp_path / "run" / CHECKPOINT
    if damage is None:
        task = make_task()
        save_checkpoint(path, {"model": task}, torch.optim.AdamW(task.parameters()), {"odd": 1})
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(WeightsError, match="not a checkpoint") as caught:
        run(make_task(), pool, tmp_path / "run")
    assert str(path) in str(caught.value)


def test_the_checkpoint_of_another_model_is_refused(tmp_path):
    path, one = tmp_path / CHECKPOINT, torch.nn.Linear(2, 3)
    save_checkpoint(path, {"model": one}, torch.optim.AdamW(one.parameters()), {"step": 3})
    assert load_checkpoint(path, {"model": torch.nn.Linear(2, 3)}) == {"step": 3}
    with pytest.raises(WeightsError):
        load_checkpoint(path, {"model": torch.nn.Linear(2, 4)})


def test_the_rate_warms_up_and_falls():
    rates = [Schedule(steps=100, batch=1, rate=1.0).rate_at(i) for i in range(100)]
    assert rates[0] < 0.1
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert rates[-1] == pytest.approx(0.02, abs=0.01)


def test_there_are_no_devices_of_an_unknown_name():
    with pytest.raises(InputError):
        make_fabric("abacus")


def test_targets_are_what_they_are_called(pool):
    window = {key: value[None] for key, value in Windows(pool, 64, 1)[0].items()}
    assert torch.equal(target_of(window, Target.raw), window["image"])
    assert torch.equal(target_of(window, Target.clean), window["clean"])
    low = target_of(window, Target.lowpass)
    assert low.shape == window["image"].shape

    def away(image):
        return float((image - window["clean"]).std())

    assert away(low) < 0.7 * away(window["image"])


def test_masks_depend_on_seed_and_step_only(pool, make_task):
    task = make_task()
    batch = {key: value[None] for key, value in Windows(pool, 32, 1)[0].items()}
    hidden = [task.reconstruct(batch, step)[2] for step in (3, 4, 3)]
    assert torch.equal(hidden[0], hidden[2])
    assert not torch.equal(hidden[0], hidden[1])
    assert float(hidden[0].mean()) == pytest.approx(0.75)
