"""Turn a trained checkpoint into the shipped weights: calibrate its scores and write the card.

Scores of peaks on held-out simulated fields (a seed that training never drew) are fitted
by Platt scaling on one half of the particles and checked on the other: reliability, expected
calibration error, average precision by signal-to-noise ratio, and the automatic threshold
against 0.5 and against the best threshold that truth could choose. The scaling is folded
into the last layer.

    python scripts/calibrate.py --checkpoint runs/default/detect/checkpoint.safetensors
    python scripts/calibrate.py --install    # also write cryomae/model/weights
"""

import argparse
import json
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.optimize import minimize

from cryomae.evaluate.calibration import reliability
from cryomae.evaluate.matching import match_picks, precision_recall
from cryomae.model import ModelCard, ParticleDetector, create_model, save_model
from cryomae.model.registry import WEIGHTS
from cryomae.pick import CANDIDATE_FLOOR, Detector, choose_threshold
from cryomae.pick.device import choose_device
from cryomae.pick.peaks import find_peaks, inside, suppress
from cryomae.pick.pipeline import make_detector, probability
from cryomae.prepare import WORKING_DIAMETER as D
from cryomae.sizes import STRIDE
from cryomae.train.fields import Field, simulate_fields

matplotlib.use("Agg")
from matplotlib import pyplot as plt

HELD_OUT = 10_000_000  # a seed far from those of training
LOWEST = -9.0  # logits below this never become candidates, whatever the calibration
BANDS = ((0.012, 0.04), (0.04, 0.12), (0.12, 0.4), (0.4, 1.5))  # of the signal-to-noise ratio
AVERAGE = "average/module.detector."


@dataclass(frozen=True)
class Peaks:
    """Peaks of one field: their logits, which are true, and how many there are to be found."""

    logit: NDArray[np.float64]
    hit: NDArray[np.bool_]
    truth: int
    snr: float


def load(checkpoint: Path, architecture: str = "default", tokens: bool = True) -> ParticleDetector:
    """The averaged model of a checkpoint, with or without an encoder."""
    state = load_file(checkpoint)
    config = create_model(architecture, pretrained=False).config
    model = ParticleDetector(config, tokens=tokens)
    model.load_state_dict(
        {k.removeprefix(AVERAGE): v for k, v in state.items() if k.startswith(AVERAGE)}
    )
    return model.eval()


def detector_of(model: ParticleDetector) -> Detector:
    """A model without a card, ready to score."""
    card = ModelCard(
        name="trial", architecture="default", description="", sha256="", parameters=0,
        recipe="", data="",
    )  # fmt: skip
    return make_detector(model, card, choose_device("auto"))


def peaks_of(detector: Detector, field: Field) -> Peaks:
    """Pick a field as `cryomae.pick.pick` does, and judge the peaks."""
    assert field.centres is not None
    assert field.ignore is not None
    on_map, height = find_peaks(detector.logits(field.image), LOWEST)
    xy = on_map * STRIDE + (STRIDE - 1) / 2
    usable = field.valid & ~field.ignore
    whole = inside(xy, usable, D / 2)
    kept = suppress(xy[whole], D / 2)
    xy, height = xy[whole][kept], height[whole][kept]
    truth = field.centres.astype(np.float64)
    hit = match_picks(xy, height, truth, D / 2)
    total = int(inside(truth, usable, D / 2).sum()) if len(truth) else 0
    return Peaks(height, hit, max(total, int(hit.sum())), field.snr)


def platt(logit: NDArray, hit: NDArray) -> tuple[float, float]:
    """Slope and offset of Platt scaling, by maximum likelihood."""

    def loss(p: NDArray) -> float:
        x = p[0] * logit + p[1]
        return float(np.mean(np.logaddexp(0, x) - hit * x))

    best = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(best[0]), float(best[1])


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
    parser.add_argument(
        "--checkpoint", type=Path, default=Path("runs/default/detect/checkpoint.safetensors")
    )
    parser.add_argument("--architecture", default="default", help="that was trained")
    parser.add_argument("--particles", type=int, default=60, help="each has three fields")
    parser.add_argument("--output", type=Path, default=Path("runs/default/calibration"))
    parser.add_argument("--install", action="store_true", help="write the shipped weights")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    model = load(options.checkpoint, options.architecture)
    detector = detector_of(model)
    halves: tuple[list[Peaks], list[Peaks]] = ([], [])
    for index in range(options.particles):
        for field in simulate_fields(HELD_OUT, index):
            halves[index % 2].append(peaks_of(detector, field))
    fit, check = halves
    slope, offset = platt(
        np.concatenate([f.logit for f in fit]), np.concatenate([f.hit for f in fit]).astype(float)
    )
    model.calibrate(slope, offset)

    def score(field: Peaks) -> NDArray:
        return probability(field.logit * slope + offset)

    p = np.concatenate([score(f) for f in check])
    hit = np.concatenate([f.hit for f in check])
    shown = p >= CANDIDATE_FLOOR
    scores = reliability(p[shown], hit[shown])
    ece = scores.error
    by_snr = {}
    for low, high in BANDS:
        part = [f for f in check if low <= f.snr < high and f.truth >= 5]
        curves = [precision_recall(f.logit, f.hit, f.truth) for f in part]
        rows: dict[str, list[float]] = {
            "ap": [curve.average_precision for curve in curves],
            "f1 automatic": [],
            "f1 at 0.5": [],
            "f1 best": [curve.best_f1 for curve in curves],
        }
        for f in part:
            q = score(f)
            automatic = choose_threshold([q[q >= CANDIDATE_FLOOR]]).value
            rows["f1 automatic"].append(f1_at(q, f.hit, f.truth, automatic))
            rows["f1 at 0.5"].append(f1_at(q, f.hit, f.truth, 0.5))
        by_snr[f"SNR {low} to {high}"] = {
            "fields": len(part),
            **{k: round(float(np.mean(v)), 3) for k, v in rows.items()},
        }
    figures = {"slope": slope, "offset": offset, "ece": round(ece, 4), **by_snr}
    print(json.dumps(figures, indent=1))
    (options.output / "calibration.json").write_text(json.dumps(figures, indent=1))

    figure, axis = plt.subplots(figsize=(4.5, 4.2))
    axis.plot([0, 1], [0, 1], color="0.7")
    axis.plot(scores.score, scores.right, "o-")
    axis.set(xlabel="score", ylabel="share of true particles", title=f"calibration error {ece:.3f}")
    figure.tight_layout()
    figure.savefig(options.output / "reliability.png", dpi=120)

    made = options.output / f"{options.architecture}.safetensors"
    save_model(
        made,
        model,
        {
            "name": options.architecture,
            "architecture": options.architecture,
            "description": "Encoder of a masked autoencoder with a pyramid; picks any "
            "particle of about the given diameter without examples.",
            "recipe": f"scripts/train_default.py with configs/{options.architecture}.yaml, then "
            "scripts/calibrate.py",
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
    if options.install:
        WEIGHTS.mkdir(exist_ok=True)
        for suffix in (".safetensors", ".json"):
            shutil.copyfile(made.with_suffix(suffix), WEIGHTS / f"{options.architecture}{suffix}")


if __name__ == "__main__":
    main()
