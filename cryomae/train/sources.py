"""What a pretraining run learns from: fields of real micrographs, simulated ones, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cryomae.errors import MicrographError
from cryomae.micrograph import MicrographRef
from cryomae.shards.store import open_packs
from cryomae.train.pool import Pool, Windows, load_pool, make_pool
from cryomae.train.real import earlier_failures, make_real_pool
from cryomae.train.settings import PretrainSettings
from cryomae.train.stream import ShardWindows

Count = Callable[[int, int], None]


def make_pools(
    settings: PretrainSettings,
    micrographs: Sequence[MicrographRef],
    folder: Path,
    window: int,
    jobs: int,
    on_read: Count | None,
    on_simulate: Count | None,
) -> list[MicrographError]:
    """Make all fields of a run, or go on.

    Parameters
    ----------
    settings : PretrainSettings
    micrographs : sequence of MicrographRef
        Real ones, of which the first call's are kept.
    folder : Path
        Of the run.
    window : int
        Side of the windows that will be drawn, in working pixels.
    jobs : int
        Processes that simulate.
    on_read, on_simulate : callable, optional
        ``(done, total)`` in micrographs and in particles.

    Returns
    -------
    list of MicrographError
        Of micrographs that could not be used.
    """
    failed: list[MicrographError] = []
    if settings.inputs:
        assert settings.diameter is not None  # as the settings make sure
        failed = make_real_pool(
            folder / "pool" / "real", micrographs, settings.diameter, window=window,
            pixel_size=settings.pixel_size, most=settings.max_micrographs, on_progress=on_read,
        )  # fmt: skip
    if settings.simulate:
        place = folder / "pool" / "simulated"
        place.mkdir(parents=True, exist_ok=True)
        make_pool(place, settings.simulate, seed=settings.seed, jobs=jobs, on_progress=on_simulate)
    return failed


AnyWindows = Windows | ShardWindows
"""Windows of fields in memory, or of shards on disk."""


def open_windows(settings: PretrainSettings, folder: Path, window: int) -> AnyWindows:
    """Windows of a run, whose side is ``window`` working pixels."""
    if settings.shards:
        shards = open_packs([Path(path) for path in settings.shards], window)
        return ShardWindows(shards, window, settings.seed)
    return Windows(_load_pools(settings, folder), window, settings.seed)


def _load_pools(settings: PretrainSettings, folder: Path) -> Pool:
    """Fields of a run; without truth as soon as some have none."""
    pools = []
    if settings.inputs:
        pools.append(load_pool(folder / "pool" / "real"))
    if settings.simulate:
        pools.append(load_pool(folder / "pool" / "simulated", settings.simulate))
    if len(pools) == 1:
        return pools[0]
    images = [image for pool in pools for image in pool.images]
    return Pool(images, [], [valid for pool in pools for valid in pool.valids], [], [])


def describe(settings: PretrainSettings, windows: AnyWindows) -> str:
    """What a run learnt from, in words."""
    if isinstance(windows, ShardWindows):
        count = int(windows.order.counts.sum())
        return f"{count} micrographs in the shards {', '.join(settings.shards)}"
    simulated = settings.simulate and f"{settings.simulate} simulated particles"
    real = settings.inputs and f"real micrographs at a diameter of {settings.diameter:g} Å"
    parts = " and ".join(str(part) for part in (real, simulated) if part)
    return f"{len(windows.pool)} fields of {parts}"


def failures_of(folder: Path) -> list[MicrographError]:
    """Micrographs that an earlier call of `make_pools` could not use."""
    return earlier_failures(folder / "pool" / "real")
