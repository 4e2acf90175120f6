"""Whose picks are reconstructed: truth, cryomae, files of picks, runs of benchmark_peers.py."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from _bench import accuracy, outcome
from _bench.job import Job, Options
from _bench.operating import true_picks, with_false
from _bench.pickers import PICKERS
from _bench.sets import LabelledSet
from cryomae.errors import InputError
from cryomae.evaluate.coordinates import join
from cryomae.evaluate.sources import as_picks, read_pick_source
from cryomae.model.registry import model_card
from cryomae.names import stem
from cryomae.picks import Picks

TRUTH = "truth"


@dataclass(frozen=True)
class Contestant:
    """Picks of one picker on all micrographs of a set.

    Attributes
    ----------
    name : str
        For people.
    own : Picks or None
        At its own threshold.
    candidates : Picks
        All it found.
    note : str
        Where they are from.
    """

    name: str
    own: Picks | None
    candidates: Picks
    note: str = ""


def of_truth(data: LabelledSet) -> list[Contestant]:
    """Truth as a picker, without and with as many wrong picks."""
    clean = true_picks(data.truth, seed=0)
    mixed = with_false(data.truth, data.shapes, data.radius, seed=0)
    return [
        Contestant(TRUTH, clean, clean, "all particles; below, random ones of them"),
        Contestant("truth and as many wrong", mixed, mixed, "wrong picks anywhere else"),
    ]


def fingerprint(data: LabelledSet) -> str:
    """Hash of the micrographs: sets simulated anew by other code have the same sizes."""
    whole = hashlib.sha256()
    for name, path in data.files.items():
        whole.update(name.encode())
        with open(path, "rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def run_cryomae(data: LabelledSet, folder: Path, model: str) -> Contestant:
    """Picks of ``cryomae pick``, or those of an earlier run with the same weights."""
    weights = model_card(model).sha256
    settings = {
        "micrographs": fingerprint(data),
        "diameter": data.diameter, "pixel_size": data.pixel_size, "weights": weights,
    }  # fmt: skip
    made = outcome.load(folder, settings)
    if made is None:
        # It alone is asked, so no other picker's options matter.
        options = Options(folder, folder, model, weights, 0, 0)
        made = PICKERS["cryomae"].run(Job(data, None, folder.absolute(), options))
        outcome.save(folder, settings, made)
    return _cleaned("cryomae", made.picks, made.candidates, data, made.note)


def from_file(spec: str, data: LabelledSet) -> Contestant:
    """Picks that the user names as ``NAME=PATH``."""
    name, _, given = spec.partition("=")
    path = Path(given)
    if not name or not given:
        raise InputError(f"'{spec}' is not NAME=PATH", "such as --picks mine=picks.star")
    if path.suffix == ".txt":
        picks = accuracy.topaz_picks(path)
        return _cleaned(name, picks, picks, data, path.name)
    source = read_pick_source(path)
    picks = as_picks(join(source.files, data.files), 1.0)
    own = picks if source.threshold is None else picks.above(source.threshold)
    return _cleaned(name, own, picks, data, path.name)


def from_peers(folder: Path, data: LabelledSet) -> list[Contestant]:
    """Every picker that ``benchmark_peers.py`` kept picks of for this set."""
    sizes = {name: p.stat().st_size for name, p in data.files.items()}
    found: dict[str, Contestant] = {}
    for path in sorted((folder / "kept").glob(f"*/{data.name}/**/result.json")):
        kept = json.loads(path.read_text())
        if "failed" in kept or kept["settings"]["micrographs"] != sizes:
            continue
        made = outcome.load(path.parent, kept["settings"])
        learns = path.parent.name.startswith("seed_")
        key = path.parent.parent.name if learns else path.parent.name
        if made is None or key in found:  # one seed is enough
            continue
        title = PICKERS[key].title if key in PICKERS else key
        left_out = kept["settings"]["exemplars"]
        note = made.note + (f"; learned from {left_out[0]}, not picked there" if left_out else "")
        found[key] = _cleaned(title, made.picks, made.candidates, data, note)
    if not found:
        raise InputError(f"holds no picks of the set {data.name}", "run it on this set", folder)
    return list(found.values())


def _cleaned(
    name: str, own: Picks | None, candidates: Picks, data: LabelledSet, note: str
) -> Contestant:
    tidy = [None if picks is None else _inside(picks, data) for picks in (own, candidates)]
    assert tidy[1] is not None
    return Contestant(name, tidy[0], tidy[1], note)


def _inside(picks: Picks, data: LabelledSet) -> Picks:
    """Picks of the set's micrographs, named by stems and moved into the image."""
    table = picks.table.assign(micrograph=picks.table["micrograph"].map(stem))
    table = table[table["micrograph"].isin(set(data.files))].reset_index(drop=True)
    # A box wholly outside stops RELION's extraction.
    last = np.array([data.shapes[m][::-1] for m in table["micrograph"]]).reshape(-1, 2) - 1
    inside = np.clip(table[["x", "y"]].to_numpy(dtype=float), 0, last)
    return Picks(table.assign(x=inside[:, 0], y=inside[:, 1]))
