"""Train the weights that ship with cryomae, from nothing, on simulated patches.

Two stages: masked pretraining of the encoder, then the particle head together with the
encoder. Both read the same endless simulated stream; no real micrograph and no known
structure is used. Resumable: started again with the same --output it goes on from the
last checkpoint. Logs a line every 20 steps and panels as PNG.

    python scripts/train_default.py --config configs/default.yaml --output runs/default
"""

import argparse
import math
import os
import time
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
import yaml
from torch import Tensor, nn

from cryomae.model.detector import STRIDE, ParticleDetector
from cryomae.model.mae import (
    EncoderConfig,
    MaskedAutoencoder,
    hidden_pixels,
    random_keep,
    reconstruction_loss,
)
from cryomae.simulate.patches import PatchStream

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def learning_rate(progress: float, peak: float) -> float:
    """Linear warm-up over 5 %, then a cosine to a fiftieth of the peak."""
    if progress < 0.05:
        return peak * (progress + 1e-3) / 0.05
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95)))


def update(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One step of the optimiser at a learning rate, gradients clipped to norm 1."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def save(path: Path, step: int, seconds: float, **parts: Any) -> None:
    """Write the state of every part so that the checkpoint is never half there."""
    part = path.with_suffix(".part")
    states = {name: module.state_dict() for name, module in parts.items()}
    torch.save({"step": step, "seconds": seconds, **states}, part)
    os.replace(part, path)


def resume(path: Path, **parts: Any) -> tuple[int, float]:
    """Load what `save` wrote, if there is any; give the next step and the seconds spent."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    for name, module in parts.items():
        module.load_state_dict(state[name])
    return state["step"], state["seconds"]


def particle_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy with soft targets; at the optimum a peak's height is its probability."""
    loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    # Particles cover a few per cent of the pixels: they count five times.
    emphasis = weight * (1 + 4 * target)
    return (loss * emphasis).sum() / weight.sum().clamp(min=1)


def panel(path: Path, rows: list[list[Tensor]], titles: list[str]) -> None:
    """Save a grid of images."""
    figure, axes = plt.subplots(len(rows), len(titles), figsize=(3 * len(titles), 3 * len(rows)))
    for line, images in zip(axes, rows, strict=True):
        for axis, image, title in zip(line, images, titles, strict=True):
            a = image.detach().float().squeeze().numpy()
            low, high = np.quantile(a, [0.01, 0.99])
            axis.imshow(a, cmap="gray", vmin=low, vmax=high + 1e-6)
            axis.set_title(title, fontsize=8)
            axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    plt.close(figure)


def batches(window: int, seed: int, p: dict, max_blur: float):
    """Endless batches from one simulating worker."""
    stream = PatchStream(window, STRIDE, seed, p["per_field"], max_blur)
    return iter(
        torch.utils.data.DataLoader(
            stream, batch_size=p["batch"], num_workers=1, prefetch_factor=4, worker_init_fn=_calm
        )
    )


def _calm(_: int) -> None:
    torch.set_num_threads(1)


def pretrain(cfg: dict, config: EncoderConfig, out: Path) -> MaskedAutoencoder:
    """Stage 1: reconstruct hidden patches."""
    p = cfg["pretrain"]
    torch.manual_seed(cfg["seed"])
    model = MaskedAutoencoder(config)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.05)
    file = out / "pretrain.pt"
    parts = {"model": model, "optimizer": optimizer}
    first, spent = resume(file, **parts)
    data = batches(config.window, cfg["seed"] * 1000 + first, p, p["max_blur"])
    start, mean = time.time() - spent, None
    for step in range(first, p["steps"]):
        batch = next(data)
        keep = random_keep(len(batch["image"]), config.grid**2, p["mask"], None)
        hidden = hidden_pixels(keep, config)
        with torch.autocast("cpu", torch.bfloat16):
            output = model(batch["image"], keep)
        loss = reconstruction_loss(output, batch["clean"], hidden)
        update(model, optimizer, loss, learning_rate(step / p["steps"], p["lr"]))
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if step % 20 == 0:
            print(f"pretrain {step} loss {mean:.4f} {time.time() - start:.0f} s", flush=True)
        if step % 200 == 199 or step == p["steps"] - 1:
            save(file, step + 1, time.time() - start, **parts)
            seen = batch["image"] * (1 - hidden)
            panel(
                out / "pretrain.png",
                [[batch["image"][i], seen[i], output[i], batch["clean"][i]] for i in range(4)],
                ["image", "seen", "reconstruction", "target"],
            )
    return model


def finetune(cfg: dict, config: EncoderConfig, encoder: dict | None, out: Path) -> ParticleDetector:
    """Stage 2: the particle head, encoder included; returns the averaged weights."""
    p = cfg["finetune"]
    torch.manual_seed(cfg["seed"] + 1)
    model = ParticleDetector(config)
    if encoder is not None:
        model.encoder.load_state_dict(encoder)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
    )
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    file = out / "finetune.pt"
    parts = {"model": model, "average": average, "optimizer": optimizer}
    first, spent = resume(file, **parts)
    data = None
    start, mean = time.time() - spent, None
    for step in range(first, p["steps"]):
        if data is None or step == p["hard_from"]:
            blur = p["max_blur"] if step < p["hard_from"] else p["hard_max_blur"]
            data = batches(config.window, cfg["seed"] * 1000 + 500 + step, p, blur)
        batch = next(data)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(batch["image"])
        loss = particle_loss(logits, batch["target"], batch["weight"])
        update(model, optimizer, loss, learning_rate(step / p["steps"], p["lr"]))
        average.update_parameters(model)
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if step % 20 == 0:
            print(f"finetune {step} loss {mean:.4f} {time.time() - start:.0f} s", flush=True)
        if step % 200 == 199 or step == p["steps"] - 1:
            save(file, step + 1, time.time() - start, **parts)
            rows = [[batch["image"][i], logits[i].sigmoid(), batch["target"][i]] for i in range(4)]
            panel(out / "finetune.png", rows, ["image", "score", "target"])
    result: ParticleDetector = average.module
    return result


def main() -> None:
    """Run both stages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("configs/default.yaml"))
    parser.add_argument("--output", type=Path, default=Path("runs/default"))
    options = parser.parse_args()
    cfg = yaml.safe_load(options.config.read_text())
    options.output.mkdir(parents=True, exist_ok=True)
    config = EncoderConfig(**cfg["encoder"])
    encoder = None
    if cfg["pretrain"]["steps"]:
        encoder = pretrain(cfg, config, options.output).encoder.state_dict()
    finetune(cfg, config, encoder, options.output)


if __name__ == "__main__":
    main()
