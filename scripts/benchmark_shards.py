"""What pretraining on very many micrographs costs: to make shards, to read them, to learn.

    python scripts/benchmark_shards.py --output runs/benchmark_shards

Measured are the seconds and bytes of a micrograph in `cryomae pack`, what storage in fewer bits
costs, the windows a second that one core reads and that `cryomae pretrain` learns from, and
the memory of that with so many micrographs and ten times as many. From these a table follows for
--plan micrographs, of which the speed of a GPU is assumed (--gpu-tflops), not measured. Seconds
are those that cores work, which other load on the machine hardly disturbs; files are in memory
already, so the speed of a disk is not in them.

Other formats are measured beside the one in use where they are installed:
`pip install zarr webdataset`, in an environment that is only for this.

Micrographs are 4096 × 4096 pixels of 1 Å, float32, a particle 160 Å long: dark discs in noise,
--distinct different ones under as many names as are wanted.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import psutil
import torch
from _bench.memory import LARGE_DIAMETER, LARGE_PIXEL_SIZE, large_micrograph
from _bench.ours import cryomae_command
from torch.utils.flop_counter import FlopCounterMode

from cryomae.atomic import write_text
from cryomae.cores import usable_cores
from cryomae.io import find_micrographs
from cryomae.shards.order import VISITS
from cryomae.shards.store import Reader, ShardWriter, open_packs, read_shard, write_index
from cryomae.train.levels import from_levels, to_levels, with_mask
from cryomae.train.masked import MaskedTask
from cryomae.train.pretrain import make_task
from cryomae.train.settings import PretrainSettings
from cryomae.train.stream import ShardWindows
from cryomae.train.working import usable_image

SIDE, WINDOW = 4096, 128
PARTICLE = ["--diameter", str(LARGE_DIAMETER), "--pixel-size", str(LARGE_PIXEL_SIZE)]
Numbers = dict[str, float]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark_shards"))
    parser.add_argument("--micrographs", type=int, default=100)
    parser.add_argument("--distinct", type=int, default=16)
    parser.add_argument("--windows", type=int, default=4000, help="to read in each format")
    parser.add_argument("--steps", type=int, default=40, help="of training, 64 windows each")
    parser.add_argument("--plan", type=int, default=1_000_000, help="micrographs of the plan")
    parser.add_argument("--epochs", type=int, default=10, help="of the plan")
    parser.add_argument("--gpu-tflops", type=float, default=30, help="assumed, sustained")
    options = parser.parse_args()
    out = options.output
    mics = make_micrographs(out / "micrographs", options.micrographs, options.distinct)
    found: dict[str, Any] = {"machine": machine(), "load_before": os.getloadavg()[0]}

    def note(name: str, numbers: Any) -> None:
        found[name] = numbers
        print(json.dumps({name: numbers}), flush=True)
        write_text(out / "shards.json", json.dumps(found, indent=1))

    note("pack", {str(n): pack(mics, out / f"packed_{n}", n) for n in sorted({1, usable_cores()})})
    packed = out / "packed_1"
    images = working_images(mics, options.distinct)
    note("bits", bits(images))
    note("formats", formats(images, options.micrographs, out / "formats", options.windows))
    note("read", alone(read_windows, packed, options.windows))
    note("work", flops())
    tenfold = repeat(packed, out / "tenfold", 10)
    few = make_micrographs(out / "few", options.micrographs // 10, options.distinct)
    arms = {
        f"shards, {options.micrographs}": ["--shards", str(packed)],
        f"shards, {10 * options.micrographs}": ["--shards", str(tenfold)],
        f"in memory, {options.micrographs // 10}": [str(few), *PARTICLE],
        f"in memory, {options.micrographs}": [str(mics), *PARTICLE],
    }
    note("train", {arm: train(w, out / "train", options.steps) for arm, w in arms.items()})
    show(found)
    show_plan(found, options)


def machine() -> str:
    """Processor and cores."""
    names = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x]
    name = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{usable_cores()} cores, {name}"


def make_micrographs(folder: Path, count: int, distinct: int) -> Path:
    """Folder of micrographs; those that are not distinct are links."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"m{number:05d}.mrc"
        if path.exists():
            continue
        if number < distinct:
            part = folder / f"part{number}.tmp"
            large_micrograph(part, number, SIDE)
            part.rename(path)
        else:
            path.hardlink_to(folder / f"m{number % distinct:05d}.mrc")
    return folder


def run(words: list[str]) -> tuple[float, float, str, float]:
    """Seconds, core seconds, error output and peak MiB of all processes of a command."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin, peak = time.perf_counter(), 0.0
    command, quiet = [*cryomae_command(), *words], subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        told = b""
        while process.poll() is None:
            told += process.stderr.read() or b""
            peak = max(peak, memory(process.pid))
            time.sleep(0.1)
        told += process.stderr.read() or b""
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}: {told.decode()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return time.perf_counter() - begin, cpu, told.decode(), peak


def memory(pid: int) -> float:
    """MiB of a process and its children, pages they share counted once."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.Error:
        return 0.0
    return total / 2**20


def pack(mics: Path, folder: Path, processes: int) -> Numbers:
    """Cost of making shards; the time of starting up is taken away, which is that of none."""
    shutil.rmtree(folder, ignore_errors=True)
    words = ["pack", str(mics), *PARTICLE, "-o", str(folder)]
    begin = run([*words, "--dry-run"])
    wall, cpu, _, peak = run([*words, "--processes", str(processes)])
    shards = open_packs([folder], WINDOW)
    count = sum(shard.micrographs for shard in shards)
    return {
        "micrographs": count,
        "seconds": round((wall - begin[0]) / count, 4),
        "core_seconds": round((cpu - begin[1]) / count, 4),
        "bytes": sum(shard.size for shard in shards) // count,
        "file_bytes": next(mics.glob("*.mrc")).stat().st_size,
        "peak_mib": round(peak),
    }


def working_images(mics: Path, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Working images and masks of the first micrographs."""
    refs, _ = find_micrographs([str(mics)])
    made = [usable_image(ref, LARGE_DIAMETER, WINDOW, LARGE_PIXEL_SIZE) for ref in refs[:count]]
    return [(working.image, working.valid) for working in made]


def bits(images: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Numbers]:
    """Error in units of the noise, and bits of a pixel, of ways to store a working image."""
    image, valid = (np.stack(part) for part in zip(*images, strict=True))
    inside = image[valid]
    coarse = 0.8  # of a level where sixteen levels have to do
    few = (np.clip(np.rint(inside / coarse), -8, 7) * np.float32(coarse)).astype(np.float32)
    levels = with_mask(image, valid)
    whole = levels.tobytes()
    ways = {
        "float16": (inside.astype(np.float16).astype(np.float32), 16.0),
        "int8": (from_levels(to_levels(inside)), 8.0),
        "int8, zstd": (
            from_levels(to_levels(inside)),
            8 * len(imagecodecs.zstd_encode(whole, level=3)) / len(whole),
        ),
        "4 bits": (few, 4.0),
    }
    return {
        name: {
            "error": float(f"{np.sqrt(np.mean((stored - inside) ** 2)):.3g}"),
            "bits": round(size, 2),
        }
        for name, (stored, size) in ways.items()
    }


def alone(work: Callable[..., Numbers], *arguments: Any) -> Numbers:
    """Do it in a process of its own; also by how many MiB of its own that has grown."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, *arguments))


def _measured(work: Callable[..., Numbers], *arguments: Any) -> Numbers:
    torch.set_num_threads(1)
    before = psutil.Process().memory_full_info().uss
    numbers = work(*arguments)
    return numbers | {"grown_mib": (psutil.Process().memory_full_info().uss - before) >> 20}


def read_windows(folder: Path, count: int) -> Numbers:
    """Windows a second of one process: as read, and turned and with noise as learnt from."""
    shards = open_packs([folder], WINDOW)
    windows = ShardWindows(shards, WINDOW, seed=1)
    begin = time.process_time()
    for i in range(count):
        windows[i]
    return {"drawn_per_second": round(count / (time.process_time() - begin))}


class Tar:
    """The format in use."""

    name = "tar, read at the place"

    def write(self, folder: Path, images: list[np.ndarray]) -> None:
        """Write one shard."""
        writer = ShardWriter(folder / "shard_00000.tar", len(images))
        for place, image in enumerate(images):
            writer.add(place, f"m{place}", image)

    def read(self, folder: Path, order: list[tuple[int, int, int]]) -> Iterator[np.ndarray]:
        """Windows at their places."""
        found = read_shard(folder / "shard_00000.tar")
        assert found is not None
        with Reader([found[0]]) as reader:
            for which, row, column in order:
                yield reader.read(0, which, row, column, WINDOW)


class Web(Tar):
    """The same tar through the package webdataset: one micrograph after the other."""

    name = "tar, webdataset in order"

    def read(self, folder: Path, order: list[tuple[int, int, int]]) -> Iterator[np.ndarray]:
        """As many windows of each micrograph as there are to be, before the next one."""
        import webdataset

        path = str(folder / "shard_00000.tar")
        for sample in webdataset.WebDataset(path, shardshuffle=False).decode():
            which = int(sample["__key__"][-3:])
            for _, row, column in [place for place in order if place[0] == which]:
                yield sample["npy"][row : row + WINDOW, column : column + WINDOW]


class Zarr:
    """An array (micrograph, row, column), whose chunks lie together in one file."""

    def __init__(self, chunk: int | None, zstd: bool) -> None:
        self.chunk, self.zstd = chunk, zstd
        side = "a micrograph" if chunk is None else f"{chunk}²"
        self.name = f"zarr, chunks of {side}{', zstd' if zstd else ''}"

    def write(self, folder: Path, images: list[np.ndarray]) -> None:
        """Write one shard."""
        import zarr

        side = images[0].shape[0]
        chunk = self.chunk or side
        whole = -(-side // chunk) * chunk
        array = zarr.create_array(
            str(folder / "images.zarr"),
            shape=(len(images), side, side),
            chunks=(1, chunk, chunk),
            shards=(len(images), whole, whole),
            dtype="int8",
            compressors=zarr.codecs.ZstdCodec(level=3) if self.zstd else None,
        )
        array[:] = np.stack(images)

    def read(self, folder: Path, order: list[tuple[int, int, int]]) -> Iterator[np.ndarray]:
        """Windows at their places."""
        import zarr

        array = zarr.open_array(str(folder / "images.zarr"), mode="r")
        for which, row, column in order:
            yield array[which, row : row + WINDOW, column : column + WINDOW]


def formats(
    images: list[tuple[np.ndarray, np.ndarray]], count: int, folder: Path, windows: int
) -> dict[str, Numbers]:
    """Speed, size and memory of formats."""
    levels = [with_mask(*image) for image in images]
    levels = [levels[i % len(levels)] for i in range(min(count, 128))]
    arms: list[Any] = [Tar()]
    try:
        import webdataset  # noqa: F401
        import zarr  # noqa: F401
    except ImportError as missing:
        print(f"{missing.name} is not installed: other formats are not measured", file=sys.stderr)
    else:
        arms += [Web(), Zarr(None, False), Zarr(128, False), Zarr(128, True)]
    rng = np.random.default_rng(1)
    last = levels[0].shape[0] - WINDOW + 1
    order = [(int(rng.integers(len(levels))), *map(int, rng.integers(0, last, 2)))
             for _ in range(windows)]  # fmt: skip
    found = {}
    for arm in arms:
        written = alone(_write, arm, levels, folder)
        found[arm.name] = written | alone(_read, arm, folder, order)
    return found


def _write(arm: Any, levels: list[np.ndarray], folder: Path) -> Numbers:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begin = time.process_time()
    arm.write(folder, levels)
    wrote = time.process_time() - begin
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    megabytes = sum(image.nbytes for image in levels) / 1e6
    return {"write_mb_s": round(megabytes / wrote), "bytes": size // len(levels)}


def _read(arm: Any, folder: Path, order: list[Any]) -> Numbers:
    begin, seen = time.process_time(), 0
    for window in arm.read(folder, order):
        seen += int(window.shape == (WINDOW, WINDOW)) + 0 * int(window[0, 0])
    read = time.process_time() - begin
    assert seen == len(order)
    return {
        "windows_per_second": round(seen / read),
        "read_mb_s": round(seen * WINDOW**2 / read / 1e6),
    }


def repeat(packed: Path, folder: Path, times: int) -> Path:
    """The same shards under more names: what a process keeps of a shard does not tell them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = []
    for shard in open_packs([packed], WINDOW) * times:
        path = folder / f"shard_{len(found):05d}.tar"
        for suffix in (".tar", ".json"):
            path.with_suffix(suffix).hardlink_to(shard.path.with_suffix(suffix))
        there = read_shard(path)
        assert there is not None
        found.append(there[0])
    write_index(folder, {"window": WINDOW}, found, [])
    return folder


def flops() -> Numbers:
    """Billions of floating-point operations that one window takes to learn from."""
    task: MaskedTask = make_task(PretrainSettings(simulate=1))
    batch = {name: torch.ones(4, 1, WINDOW, WINDOW) for name in ("image", "valid", "clean")}
    with FlopCounterMode(display=False) as counter:
        task(batch, 0).backward()
    return {"gflop_per_window": round(counter.get_total_flops() / 4 / 1e9, 3)}


def train(words: list[str], folder: Path, steps: int) -> Numbers:
    """Core seconds and memory of ``cryomae pretrain`` with the default encoder.

    What starting up and fields in memory cost is taken away by a run of one step.
    """
    used = []
    for count in (1, steps):
        shutil.rmtree(folder, ignore_errors=True)
        end = ["--steps", str(count), "--device", "cpu", "-o", str(folder)]
        _, cpu, told, peak = run(["pretrain", *words, *end])
        used.append(cpu)
    last = [line for line in told.splitlines() if line.startswith(f"step {steps}/")][-1]
    return {
        "windows_per_core_second": round(64 * (steps - 1) / (used[1] - used[0]), 2),
        "windows_per_second": float(last.split(" windows/s")[0].split()[-1]),
        "peak_mib": round(peak),
    }


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(f"\n{found['machine']}; load before: {found['load_before']:.1f}\n")
    print("| cryomae pack | a micrograph | core seconds | bytes | of the file | peak memory |")
    print("|---|---|---|---|---|---|")
    for processes, one in found["pack"].items():
        share = 100 * one["bytes"] / one["file_bytes"]
        print(
            f"| {processes} processes | {one['seconds']:.3f} s | {one['core_seconds']:.3f} | "
            f"{one['bytes']:,} | {share:.1f} % | {one['peak_mib']} MiB |"
        )
    print("\n| stored as | error, of the noise's sd | bits a pixel |\n|---|---|---|")
    for name, one in found["bits"].items():
        print(f"| {name} | {one['error']:.4f} | {one['bits']} |")
    print("\n| format | write | bytes a micrograph | windows/s | of windows | memory |")
    print("|---|---|---|---|---|---|")
    for name, one in found["formats"].items():
        print(
            f"| {name} | {one['write_mb_s']} MB/s | {one['bytes']:,} | "
            f"{one['windows_per_second']:,} | {one['read_mb_s']} MB/s | +{one['grown_mib']} MiB |"
        )
    read = found["read"]
    print(f"\ndrawn for training: {read['drawn_per_second']:,} windows/s of one core")
    print(f"one window to learn from: {found['work']['gflop_per_window']} GFLOP\n")
    print("| cryomae pretrain | windows a core second | windows/s | peak memory of all processes |")
    print("|---|---|---|---|")
    for name, one in found["train"].items():
        print(
            f"| {name} micrographs | {one['windows_per_core_second']} | "
            f"{one['windows_per_second']} | {one['peak_mib']} MiB |"
        )


def show_plan(found: dict[str, Any], options: argparse.Namespace) -> None:
    """Print what very many micrographs take; formulas as in the README."""
    count, one = options.plan, found["pack"]["1"]
    windows = count * VISITS * options.epochs
    gpu = options.gpu_tflops * 1e3 / found["work"]["gflop_per_window"]
    here = next(iter(found["train"].values()))["windows_per_core_second"]
    print(f"\nplan: {count:,} micrographs, {options.epochs} epochs, {windows:.3g} windows")
    disk, files = (count * one[name] / 1e12 for name in ("bytes", "file_bytes"))
    print(f"disk {disk:.2f} TB, of files {files:.0f} TB")
    print(f"packing {count * one['core_seconds'] / 3600:,.0f} core hours")
    print(f"GPU hours {windows / gpu / 3600:,.1f} at {gpu:,.0f} windows/s, "
          f"ASSUMED of {options.gpu_tflops:g} TFLOP/s")  # fmt: skip
    print(f"cores that draw for such a GPU {gpu / found['read']['drawn_per_second']:.1f}")
    print(f"on such cores instead {windows / here / 3600:,.0f} core hours")


if __name__ == "__main__":
    main()
