"""How near picking is to what the machine can do: seconds of each stage against measured limits.

The limits are measured in the same run: reading a file that is in memory already, the bare
Fourier transforms of a crop, and a matrix product in the precision of the model. A stage that
has no limit of its own (peaks, writing) counts fully. Of several repeats the fastest counts,
which other load on the machine disturbs least; with --busy the seconds count that one core has
worked, which it hardly disturbs at all.

    python scripts/benchmark_roofline.py --output runs/roofline
    python scripts/benchmark_roofline.py --output runs/roofline --topaz-env .venv-topaz

With --topaz-env (made if it is not there) `cryomae pick` and Topaz pick the same micrographs as
programs, start-up included, one after the other and both with all cores: ``topaz preprocess`` and
``topaz extract`` with its default detector (resnet16), downsampled as RELION's wrapper would.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import torch
from _bench.measure import measure as run_program
from _bench.ours import cryomae_command
from _bench.topaz import Topaz, own_factor, topaz_program
from scipy import fft
from torch.utils.flop_counter import FlopCounterMode

from cryomae.atomic import write_text
from cryomae.cores import threads
from cryomae.formats import star
from cryomae.io import read_micrograph
from cryomae.micrograph import MicrographRef
from cryomae.pick import Detector, load_detector, pick
from cryomae.pick.windows import count_windows
from cryomae.prepare import prepare, working_shape
from cryomae.settings import PickSettings


class Clock:
    """Seconds that pass, or that this process works."""

    now: Callable[[], float] = time.perf_counter


clock = Clock()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/roofline"))
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--pixel-size", type=float, default=1.06, help="Å per pixel")
    parser.add_argument("--diameter", type=float, default=180.0, help="Å")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=threads())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--busy", action="store_true", help="time of the core, with one thread")
    parser.add_argument("--topaz-env", type=Path, help="environment of Topaz: compare with it")
    parser.add_argument("--micrographs", type=int, default=8, help="to compare with")
    options = parser.parse_args()
    if options.busy:
        options.threads, clock.now = 1, time.process_time
    torch.set_num_threads(options.threads)
    detector = load_detector(device=options.device)
    with tempfile.TemporaryDirectory() as folder, fft.set_workers(options.threads):
        stages = measure(Path(folder), detector, options)
    found = {
        "device": detector.device,
        "threads": options.threads,
        "busy": options.busy,
        "load": round(os.getloadavg()[0], 2),
        "side": options.side,
        "diameter": options.diameter,
        "stages": stages,
    }
    if options.topaz_env is not None:
        found["programs"] = compare(options)
    write_text(options.output / "roofline.json", json.dumps(found, indent=1))
    show(found)


def measure(folder: Path, detector: Detector, options: argparse.Namespace) -> dict[str, dict]:
    """Seconds of each stage and of its limit."""
    repeats = options.repeats
    settings = PickSettings(diameter=options.diameter)
    path = folder / "m.mrc"
    pixels = make_micrograph(path, 0, options)
    ref = MicrographRef("m.mrc", path)
    micrograph = read_micrograph(ref)
    working = prepare(micrograph.pixels, micrograph.pixel_size, settings.diameter)
    shape = working_shape(pixels.shape, options.pixel_size, options.diameter)
    picked = pick(micrograph, detector, settings)
    seconds = {
        "read": best(lambda: read_micrograph(ref), repeats),
        "prepare": best(
            lambda: prepare(micrograph.pixels, micrograph.pixel_size, settings.diameter), repeats
        ),
        "score": best(lambda: detector.logits(working.image), repeats),
        "peaks": min(pick(micrograph, detector, settings).seconds["peaks"] for _ in range(repeats)),
        "write": best(lambda: star.write_picks(folder / "p.star", picked.candidates), repeats),
    }
    rate = matmul_rate(detector, repeats)
    operations = model_operations(detector) * count_windows(shape, detector.model.config.window)
    limits = {
        "read": best(path.read_bytes, repeats),
        "prepare": best(lambda: bare_transforms(pixels, shape), repeats),
        "score": operations / rate,
        "peaks": seconds["peaks"],
        "write": seconds["write"],
    }
    return {
        stage: {"seconds": round(seconds[stage], 4), "limit": round(limits[stage], 4)}
        for stage in seconds
    } | {"machine": {"matmul_gflops": round(rate / 1e9), "gflop": round(operations / 1e9, 1)}}


def make_micrograph(path: Path, seed: int, options: argparse.Namespace) -> np.ndarray:
    """Noise, which takes as long as a micrograph; gives its pixels."""
    pixels = np.random.default_rng(seed).normal(size=(options.side, options.side))
    with mrcfile.new(path) as file:
        file.set_data(pixels.astype(np.float32))
        file.voxel_size = options.pixel_size
    return pixels.astype(np.float32)


def compare(options: argparse.Namespace) -> dict[str, dict]:
    """Seconds of `cryomae pick` and of Topaz for the same micrographs."""
    folder = options.output / "programs"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "mics").mkdir(parents=True)
    paths = [folder / "mics" / f"m{n}.mrc" for n in range(options.micrographs)]
    for seed, path in enumerate(paths):
        make_micrograph(path, seed, options)
    names = [str(path) for path in paths]
    radius = options.diameter / options.pixel_size / 2
    program, version = topaz_program(options.topaz_env, options.output)
    topaz = Topaz(program, own_factor(radius), radius, folder / "topaz")
    ours = {}
    for name, part in {"two": names[:2], "all": names}.items():
        words = ["pick", *part, "--diameter", f"{options.diameter:g}", "-o", str(folder / name)]
        words += ["--processes", "auto"]
        ours[name] = run_program([*cryomae_command(), *words], folder, f"pick_{name}").wall
    prepared, images = topaz.preprocess(names, "topaz")
    extracted, _ = topaz.extract(images, -6.0, "topaz")
    count = options.micrographs
    theirs = prepared.wall + extracted.wall
    mine = {
        "all": ours["all"],
        "each": ours["all"] / count,
        "each more": (ours["all"] - ours["two"]) / (count - 2),
    }
    return {
        "cryomae pick --processes auto": mine,
        f"{version}, -s {topaz.scale}": {"all": theirs, "each": theirs / count},
    }


def best(work: Callable[[], object], repeats: int) -> float:
    """Fastest of several times."""
    found = []
    for _ in range(repeats):
        begin = clock.now()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(clock.now() - begin)
    return min(found)


def bare_transforms(pixels: np.ndarray, shape: tuple[int, int]) -> None:
    """Only the transforms that a Fourier crop cannot do without."""
    rows = fft.rfft(pixels, axis=1)
    columns = fft.fft(rows[:, : shape[1] // 2 + 1], axis=0)
    fft.irfft2(columns[: shape[0]], s=shape)


def matmul_rate(detector: Detector, repeats: int) -> float:
    """Operations in a second of a large matrix product in the model's precision."""
    side = 4096 if detector.torch_device.type == "cuda" else 1536
    a = torch.randn(side, side, dtype=detector.dtype, device=detector.torch_device)
    return 2 * side**3 / best(lambda: a @ a, 4 * repeats)


def model_operations(detector: Detector) -> float:
    """Operations that the model needs for one window."""
    window = detector.model.config.window
    images = torch.zeros(1, 1, window, window, device=detector.torch_device)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        detector.model(images)
    return float(counter.get_total_flops())


def show(found: dict) -> None:
    """Print the table."""
    stages = {k: v for k, v in found["stages"].items() if k != "machine"}
    machine = found["stages"]["machine"]
    print(
        f"{found['side']} × {found['side']}, {found['device']}, {found['threads']} threads, "
        f"load {found['load']}; {machine['gflop']} GFLOP at {machine['matmul_gflops']} GFLOP/s"
    )
    print("| stage | seconds | limit | times the limit |")
    print("|---|---|---|---|")
    total = {
        "seconds": sum(s["seconds"] for s in stages.values()),
        "limit": sum(s["limit"] for s in stages.values()),
    }
    for name, one in [*stages.items(), ("all", total)]:
        print(
            f"| {name} | {one['seconds']:.3f} | {one['limit']:.3f} | "
            f"{one['seconds'] / one['limit']:.1f} |"
        )
    for name, took in found.get("programs", {}).items():
        print(f"{name}: " + ", ".join(f"{what} {value:.2f} s" for what, value in took.items()))


if __name__ == "__main__":
    main()
