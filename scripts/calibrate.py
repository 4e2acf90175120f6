"""Turn a trained checkpoint into the shipped weights: calibrate its scores and write the card.

Scores of peaks on held-out simulated fields (seeds that training never drew) are fitted
by Platt scaling on one half and checked on the other: reliability, expected calibration
error, average precision by signal-to-noise ratio, and the automatic threshold against
0.5 and against the best threshold that truth could choose.

    python scripts/calibrate.py --checkpoint runs/default/finetune.pt --fields 200
"""

import argparse
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from cryomae.evaluate.calibration import reliability
from cryomae.evaluate.matching import match_picks, precision_recall
from cryomae.model import Calibration, ModelCard, save_model
from cryomae.model.detector import STRIDE, ParticleDetector
from cryomae.model.mae import EncoderConfig
from cryomae.pick import CANDIDATE_FLOOR, Detector, choose_threshold
from cryomae.pick.device import choose_batch, choose_device, choose_dtype
from cryomae.pick.peaks import find_peaks, inside, suppress
from cryomae.prepare import WORKING_DIAMETER as D
from cryomae.simulate.patches import Field, simulate_field

matplotlib.use("Agg")
from matplotlib import pyplot as plt

HELD_OUT = 10_000_000  # training draws seeds far below
LOWEST = -6.0  # logits below this never become candidates


def load(checkpoint: Path) -> ParticleDetector:
    """The averaged model of a checkpoint."""
    state = torch.load(checkpoint, weights_only=True)["average"]
    model = ParticleDetector(EncoderConfig())
    model.load_state_dict(
        {k.removeprefix("module."): v for k, v in state.items() if k.startswith("module.")}
    )
    return model.eval()


def peaks_of(
    detector: Detector,
    seed: int,
    size: int,
    simulate: Callable[[int, np.random.Generator], Field] = simulate_field,
) -> dict[str, Any]:
    """Peak logits of one held-out field, which of them are true, and how many truths there are."""
    field = simulate(size, np.random.default_rng([HELD_OUT, seed]))
    logits = detector.logits(field.image)
    on_map, height = find_peaks(logits, LOWEST)
    xy = on_map * STRIDE + (STRIDE - 1) / 2
    usable = field.valid & ~field.ignore
    whole = inside(xy, usable, D / 2)
    xy, height = xy[whole], height[whole]
    kept = suppress(xy, D / 2)
    xy, height = xy[kept], height[kept]
    truth = field.centres.astype(np.float64)
    hits = match_picks(xy, height, truth, D / 2)
    total = int(inside(truth, usable, D / 2).sum()) if len(truth) else 0
    on_field = ((truth >= 0) & (truth < size)).all(axis=1) if len(truth) else np.zeros(0, bool)
    return {
        "logit": height,
        "hit": hits,
        "truth": max(total, int(hits.sum())),
        "snr": field.snr,
        "density": float(on_field.sum()) * D**2 / size**2,
    }


def platt(logit: NDArray, hit: NDArray) -> Calibration:
    """Fit slope and offset by maximum likelihood."""

    def loss(p: NDArray) -> float:
        x = p[0] * logit + p[1]
        return float(np.mean(np.logaddexp(0, x) - hit * x))

    best = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return Calibration(slope=round(float(best[0]), 4), offset=round(float(best[1]), 4))


def f1_at(p: NDArray, hit: NDArray, truth: int, threshold: float) -> float:
    """F1 of the peaks at or above a threshold."""
    chosen = p >= threshold
    found = hit[chosen].sum()
    return float(2 * found / max(chosen.sum() + truth, 1))


def main() -> None:
    """Calibrate, check, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=Path("runs/default/finetune.pt"))
    parser.add_argument("--fields", type=int, default=200)
    parser.add_argument("--size", type=int, default=640, help="side of a field, working pixels")
    parser.add_argument("--output", type=Path, default=Path("runs/default/calibration"))
    parser.add_argument("--install", action="store_true", help="write the shipped weights")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    device = choose_device("auto")
    card = ModelCard(
        name="trial", architecture="default", description="", sha256="", parameters=0,
        calibration=Calibration(slope=1, offset=0), recipe="", data="",
    )  # fmt: skip
    model = load(options.checkpoint)
    detector = Detector(model, card, device, choose_dtype(device), choose_batch(device))
    fields = [peaks_of(detector, seed, options.size) for seed in range(options.fields)]
    fit, check = fields[::2], fields[1::2]

    def pool(part: list, key: str) -> NDArray:
        return np.concatenate([f[key] for f in part])

    scale = platt(pool(fit, "logit"), pool(fit, "hit").astype(float))

    def probability(logit: NDArray) -> NDArray:
        return 1 / (1 + np.exp(-(logit * scale.slope + scale.offset)))

    p, hit = probability(pool(check, "logit")), pool(check, "hit")
    shown = p >= CANDIDATE_FLOOR
    scores = reliability(p[shown], hit[shown])
    ece = scores.error
    by_snr = {}
    for low, high in ((0.05, 0.15), (0.15, 0.5), (0.5, 2.0)):
        part = [f for f in check if low <= f["snr"] < high and f["truth"] >= 5]
        curves = [precision_recall(f["logit"], f["hit"], f["truth"]) for f in part]
        rows = {
            "ap": [curve.average_precision for curve in curves],
            "f1 automatic": [],
            "f1 at 0.5": [],
            "f1 best": [curve.best_f1 for curve in curves],
        }
        for f in part:
            q = probability(f["logit"])
            automatic = choose_threshold([q[q >= CANDIDATE_FLOOR]]).value
            rows["f1 automatic"].append(f1_at(q, f["hit"], f["truth"], automatic))
            rows["f1 at 0.5"].append(f1_at(q, f["hit"], f["truth"], 0.5))
        by_snr[f"SNR {low} to {high}"] = {
            "fields": len(part),
            **{k: round(float(np.mean(v)), 3) for k, v in rows.items()},
        }
    figures = {"platt": scale.model_dump(), "ece": round(ece, 4), **by_snr}
    print(json.dumps(figures, indent=1))
    (options.output / "calibration.json").write_text(json.dumps(figures, indent=1))

    figure, axis = plt.subplots(figsize=(4.5, 4.2))
    axis.plot([0, 1], [0, 1], color="0.7")
    axis.plot(scores.score, scores.right, "o-")
    axis.set(xlabel="score", ylabel="share of true particles", title=f"calibration error {ece:.3f}")
    figure.tight_layout()
    figure.savefig(options.output / "reliability.png", dpi=120)

    if options.install:
        from cryomae.model.registry import WEIGHTS

        WEIGHTS.mkdir(exist_ok=True)
        save_model(
            WEIGHTS / "default.safetensors",
            model,
            {
                "name": "default",
                "architecture": "default",
                "description": "Masked autoencoder encoder with a particle head; picks any "
                "particle of about the given diameter without examples.",
                "calibration": scale,
                "recipe": "scripts/train_default.py with configs/default.yaml, then "
                "scripts/calibrate.py --install",
                "data": "Simulated fields of procedural particles only; no real micrograph "
                "and no known structure.",
                "measured": {
                    "on": f"{len(check)} simulated fields kept apart, {date.today().isoformat()}",
                    "calibration error": f"{ece:.3f}",
                    **{
                        name: f"AP {row['ap']}, F1 {row['f1 automatic']} at the automatic "
                        f"threshold ({row['f1 best']} at the best)"
                        for name, row in by_snr.items()
                    },
                },
            },
        )


if __name__ == "__main__":
    main()
