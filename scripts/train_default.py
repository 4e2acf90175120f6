"""Make the weights that ship with cryomae, from nothing, on simulated fields.

Three stages: simulate a pool of fields, pretrain the masked autoencoder on it, train the
particle head together with the encoder. No real micrograph and no known structure is used.
Every stage goes on where it was stopped. ``scripts/calibrate.py`` then calibrates the scores
and installs the weights.

    python scripts/train_default.py --config configs/default.yaml --output runs/default
"""

import argparse
import sys
import time
from pathlib import Path

import torch
import yaml

from cryomae.model import EncoderConfig, create_model
from cryomae.model.mae import MaskedAutoencoder
from cryomae.train.detect import DetectionTask
from cryomae.train.loop import Progress, Schedule, Task, train
from cryomae.train.machine import make_fabric
from cryomae.train.masked import MaskedTask, Target
from cryomae.train.pool import Pool, Windows, load_pool, make_pool


def stage(name: str, task: Task, pool: Pool, cfg: dict, config: EncoderConfig, out: Path) -> Task:
    """Train one stage; a line every 20 steps."""
    schedule = Schedule(**cfg)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)

    def tell(at: Progress) -> None:
        if at.step % 20 == 0:
            print(
                f"{name} {at.step}/{at.steps} loss {at.loss:.4f} "
                f"{at.windows_per_second:.1f} windows/s {at.seconds:.0f} s",
                flush=True,
            )

    fabric = make_fabric()
    fabric.launch()
    windows = Windows(pool, config.window, schedule.seed)
    result = train(task, windows, schedule, folder, fabric=fabric, on_progress=tell)
    assert isinstance(result, Task)
    return result


def main() -> None:
    """Run all stages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("configs/default.yaml"))
    parser.add_argument("--output", type=Path, default=Path("runs/default"))
    parser.add_argument("--jobs", type=int, default=2, help="processes that simulate")
    options = parser.parse_args()
    cfg = yaml.safe_load(options.config.read_text())
    config = create_model(cfg["architecture"], pretrained=False).config

    start = time.perf_counter()

    def tell(done: int, of: int) -> None:
        if done % 50 == 0:
            print(f"pool {done}/{of} {time.perf_counter() - start:.0f} s", flush=True)

    folder = options.output / "pool"
    folder.mkdir(parents=True, exist_ok=True)
    make_pool(folder, **cfg["pool"], jobs=options.jobs, on_progress=tell)
    pool = load_pool(folder, cfg["pool"]["particles"])

    pretrain = dict(cfg["pretrain"])
    mask, target = pretrain.pop("mask"), Target(pretrain.pop("target"))
    torch.manual_seed(pretrain["seed"])
    masked = MaskedTask(MaskedAutoencoder(config), mask, target, pretrain["seed"])
    stage("pretrain", masked, pool, pretrain, config, options.output)

    torch.manual_seed(cfg["detect"]["seed"])
    detector = create_model(cfg["architecture"], pretrained=False)
    assert detector.encoder is not None
    detector.encoder.load_state_dict(masked.autoencoder.encoder.state_dict())
    stage("detect", DetectionTask(detector), pool, cfg["detect"], config, options.output)


if __name__ == "__main__":
    sys.exit(main())
