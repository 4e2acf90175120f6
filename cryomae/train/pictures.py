"""What a pretraining run looks like: reconstructions and the curve of its loss, as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.utils.data import default_collate

from cryomae.atomic import atomic_path
from cryomae.train.loop import Batch, Progress
from cryomae.train.masked import MaskedTask
from cryomae.train.sources import AnyWindows

RECONSTRUCTION = "reconstruction.png"
LOSS = "loss.png"

_ROWS = 6
_HIDDEN = "#3b6ea5"  # no grey value: hidden patches cannot be taken for image


def draw_reconstruction(path: Path, task: MaskedTask, windows: AnyWindows, step: int) -> None:
    """Draw some windows: image, what the encoder saw, its reconstruction, the target.

    Reconstruction and target share one grey scale a row; protein is dark.

    Parameters
    ----------
    path : Path
        PNG to write.
    task : MaskedTask
    windows : Windows or ShardWindows
        The first ones are drawn, with the same masks whenever this is called.
    step : int
        For the title.
    """
    batch: Batch = default_collate([windows[i] for i in range(_ROWS)])
    place = next(task.parameters()).device
    batch = {key: value.to(place) for key, value in batch.items()}
    training = task.training
    task.eval()
    with torch.no_grad():
        output, target, hidden = task.reconstruct(batch, 0)
    task.train(training)
    # The loss compares with the target in units of its own strength in the window.
    target = target / (target.std(dim=(1, 2, 3), keepdim=True) + 0.1)
    shown = [x.float().cpu().numpy()[:, 0] for x in (batch["image"], output, target, hidden)]
    figure = Figure(figsize=(8, 2 * _ROWS + 0.5), layout="constrained")
    grid = figure.subplots(_ROWS, 4, squeeze=False)
    names = ("image", f"seen ({100 * (1 - task.mask):.0f} %)", "reconstruction",
             f"target ({task.target})")  # fmt: skip
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(name, fontsize=11)
    for row, image, made, aim, gone in zip(grid, *shown, strict=True):
        seen = np.ma.masked_array(image, gone > 0.5)
        low, high = np.percentile(aim, (0.5, 99.5))
        high = max(high, low + 1e-3)
        for axes in row[:2]:
            axes.set_facecolor(_HIDDEN)
        row[0].imshow(image, cmap="gray", vmin=-3, vmax=3)
        row[1].imshow(seen, cmap="gray", vmin=-3, vmax=3)
        for axes, part in zip(row[2:], (made, aim), strict=True):
            axes.imshow(part, cmap="gray", vmin=low, vmax=high)
        for axes in row:
            axes.set_xticks([])
            axes.set_yticks([])
    figure.suptitle(f"step {step}", fontsize=11)
    save_figure(figure, path, 90)


def draw_loss(path: Path, progress: Progress) -> None:
    """Draw the running mean of the loss over the steps so far."""
    points = np.array([*progress.history, (progress.step, progress.loss)], dtype=float)
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(points[:, 0], points[:, 1], marker="o" if len(points) < 4 else "")
    axes.set_xlabel("step")
    axes.set_ylabel("loss, running mean of 50 steps")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    save_figure(figure, path, 110)


def save_figure(figure: Figure, path: Path, dpi: int) -> None:
    """Write a figure as PNG."""
    with atomic_path(path) as part:
        FigureCanvasAgg(figure).print_figure(part, dpi=dpi, format="png")
