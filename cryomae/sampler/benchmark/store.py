"""Results of runs as small JSON files, one a run, whole or not there at all."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from cryomae.sampler.benchmark.grid import Job
from cryomae.sampler.benchmark.metrics import aubc
from cryomae.sampler.benchmark.protocol import Curve, Protocol
from cryomae.sampler.errors import SamplerError

PROTOCOL = "protocol.json"


class Store:
    """The folder of a benchmark.

    Parameters
    ----------
    folder : Path
    protocol : Protocol
        Of all its runs.

    Raises
    ------
    SamplerError
        When the folder holds runs of another protocol.
    """

    def __init__(self, folder: Path, protocol: Protocol) -> None:
        self.folder = folder
        self.protocol = protocol
        ours = asdict(protocol)
        theirs = _read(folder / PROTOCOL)
        if theirs is not None and theirs != ours:
            changed = ", ".join(
                f"{key} {theirs.get(key)} and not {value}"
                for key, value in ours.items()
                if theirs.get(key) != value
            )
            raise SamplerError(
                f"{folder} holds runs with {changed or 'other settings'}: "
                "choose another output folder or the same settings"
            )

    def open(self) -> None:
        """Make the folder and say in it what protocol its runs follow."""
        write_text(self.folder / PROTOCOL, json.dumps(asdict(self.protocol), indent=1) + "\n")

    def done(self, job: Job) -> bool:
        """Whether a run has ended well; what failed is to be tried again."""
        result = self._result(job)
        return result is not None and "error" not in result

    def keep(self, job: Job, curve: Curve) -> None:
        """Write the result of a run."""
        self._write(job, asdict(curve))

    def fail(self, job: Job, error: str) -> None:
        """Write why a run failed."""
        self._write(job, {"error": error})

    def curve(self, job: Job) -> Curve | None:
        """The curve of a run, if there is one."""
        result = self._result(job)
        if result is None or "error" in result:
            return None
        return Curve(
            tuple(result["labelled"]),
            tuple(result["accuracy"]),
            tuple(result["macro_f1"]),
            result["select_seconds"],
            result["seconds"],
        )

    def table(self, jobs: list[Job]) -> pd.DataFrame:
        """One row a run that was tried, in the order of `jobs`.

        Columns ``dataset``, ``strategy``, ``seed``, ``labels`` (in the end), ``aubc`` (of
        accuracy), ``aubc_f1`` (of macro F1), ``accuracy`` and ``macro_f1`` (in the end),
        ``select_seconds``, ``seconds`` and ``error`` (empty if there was none).
        """
        rows = []
        for job in jobs:
            key = {"dataset": job.dataset, "strategy": job.strategy, "seed": job.seed}
            curve = self.curve(job)
            if curve is not None:
                rows.append(key | _figures(curve) | {"error": ""})
            elif (result := self._result(job)) is not None:
                rows.append(key | dict.fromkeys(FIGURES) | {"error": result["error"]})
        table = pd.DataFrame(rows, columns=["dataset", "strategy", "seed", *FIGURES, "error"])
        return table.astype(dict.fromkeys(FIGURES, float))

    def _result(self, job: Job) -> dict[str, Any] | None:
        return _read(self.folder / "runs" / job.file)

    def _write(self, job: Job, result: dict[str, Any]) -> None:
        write_text(self.folder / "runs" / job.file, json.dumps(result) + "\n")


FIGURES = ("labels", "aubc", "aubc_f1", "accuracy", "macro_f1", "select_seconds", "seconds")


def _figures(curve: Curve) -> dict[str, float]:
    return {
        "labels": curve.labelled[-1],
        "aubc": curve.aubc,
        "aubc_f1": aubc(curve.labelled, curve.macro_f1),
        "accuracy": curve.accuracy[-1],
        "macro_f1": curve.macro_f1[-1],
        "select_seconds": curve.select_seconds,
        "seconds": curve.seconds,
    }


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all; makes the folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}{path.suffix}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """What a file holds; None if it is absent or not ours."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return held if isinstance(held, dict) else None
