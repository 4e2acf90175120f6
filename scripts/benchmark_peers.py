"""Compare cryomae with other pickers: same micrographs, same judge, one run.

    python scripts/benchmark_peers.py ../shared/data/empiar10017:191 --output runs/peers
    python scripts/benchmark_peers.py runs/suite --pickers cryomae relion-log blob \
        --output runs/peers_simulated
    python scripts/benchmark_peers.py ../shared/data/empiar10017:191 --micrographs 3 --seeds 0 \
        --pickers cryomae blob template --output runs/quick

A set is a folder with ``micrographs/*.mrc`` and ``particles.star``; what ``cryomae simulate``
writes is one. A folder of such folders is a suite, for which means over its sets are shown.
``FOLDER:191:3.54`` gives the particle diameter in Å and Å per pixel where the set does not
say them (the pixel size may also come from the files' headers). ``results.md``,
``results.json`` and ``results.png`` are written to --output.

Every pair of picker and set (and seed, for pickers that learn) is kept below --output with
its picks as RELION STAR files, and used again when the same command is repeated, so that a run
goes on where it stopped; --overwrite does all anew. What is kept does not notice changed
code. A picker that fails on a set is a line in the notes, is tried again next time, and does
not stop the others.

Figures. A pick is right when it takes a particle within half a diameter that no better pick
has taken; picks on particles that the border cuts are neither right nor wrong
(`cryomae.evaluate`). Figures pool the micrographs of a set; those of a suite are means over
its sets. Brackets are 95 % bootstraps over micrographs; the lead of cryomae compares both
pickers on the same draws. The F1 at the own threshold is what a user gets. The best threshold
is chosen on the tested labels, for every picker alike, and nobody gets that. Nothing else is
chosen on them, but for the rows called oracle. Where a set knows its contaminants, the last
table counts picks on them, of cryomae and of another picker, each taken down to the score where
both find as many particles as the other does at its own threshold.

Seeds. A seed draws a micrograph, and --exemplars particles of it. That micrograph is not
tested for that seed, not even for pickers that learn nothing; these run once, on all
micrographs. Figures are means over seeds.

Time and memory are those of whole commands, start-up included, on the CPU: nothing else
should run on the machine when they are to be quoted. A program's own memory is counted, the
largest of its processes.

The pickers, and every choice made for them:

- **cryomae**: ``cryomae pick`` with the shipped model, the diameter, and its automatic
  threshold, which is found from all micrographs of the set without labels.
- **cryomae-trained**: ``cryomae train`` from the exemplars, starting from the shipped model,
  then ``cryomae pick`` as above.
- **topaz**: Topaz' default detector (resnet16, 64 units) on micrographs downsampled so that
  about two diameters fit into 71 pixels, the rule of RELION's wrapper; score 0. In its favour,
  score maps are computed once (``topaz segment``), for the picks and for those below the
  threshold (down to -6); the latter are not part of its time, and it takes less memory than
  ``topaz extract`` alone would (3.6 GB instead of 9).
- **topaz-u32, topaz-u64**: its smaller detectors (resnet8), downsampled twice as much.
- **topaz-trained**: ``topaz train`` from the exemplars, starting from its pretrained resnet8 of
  32 units, with the default loss, radius and learning rate. In its favour it is told the true
  number of particles in the exemplars' micrograph, as a share of the pixels: its option for
  the number itself, -n, makes that share seven times too large in 0.3.20, and the F1 at score
  0 is 0.45 then. Against it, training is short (--epochs of --updates updates; its default is
  10 of 1000, for full labels and a GPU).
- **relion-log**: RELION's Laplacian-of-Gaussian autopicker with the defaults of its window
  and diameters from 0.8 to 1 of that given. Peaks down to three standard deviations less are
  used for the figures over thresholds.
- **apple**: ASPIRE's APPLE picker. It has no scores, so only its F1 can be given. In its
  favour, its margin and binning are halved for files of 2048 pixels, without which it loses
  a fifth of the area or stops with an error; and it is told the diameter, though it halves
  that even where it does not bin: on one real micrograph, twice the diameter gave F1 0.53
  instead of 0.74.
- **blob**: a Laplacian of Gaussian (``scripts/_bench/blob.py``). In its favour, sigma and
  threshold are the best on *all* particles of the exemplars' micrograph, and nothing within
  half a diameter of the edge is picked.
- **blob-oracle**: the same with the sigma that is best on the tested labels; its figure is
  the one at the best threshold.
- **template**: rotational average of the exemplars, normalised cross-correlation
  (``scripts/_bench/template.py``). In its favour, box and threshold are chosen as for *blob*.
- **blob-prepared, template-prepared**: the same two on cryomae's working image, with its
  flat background and its masks, to tell what the preparation gives from what the network
  gives.

Topaz and ASPIRE are GPL and only ever called as programs, each in an environment of its own
(--topaz-env, --aspire-env), made when it is not there. RELION is the one of the system
(``make system-deps``).

--border takes wrong picks nearer than that to the edge of a micrograph out, for every picker.
The real micrographs of EMPIAR-10017 end in 45 streaked pixels that cryomae masks and others
do not; with ``--border 45`` others are not blamed for them.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _bench import outcome, report
from _bench.exemplars import Exemplars, draw_exemplars
from _bench.job import Job, Options
from _bench.peer_report import draw, group_report
from _bench.pickers import PICKERS, Picker
from _bench.sets import LabelledSet, find_sets
from _bench.verdict import judge_picker

from cryomae.errors import CryomaeError
from cryomae.model.registry import model_card


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="+", metavar="FOLDER[:DIAMETER[:PIXEL_SIZE]]", help="sets or suites")
    add("--output", type=Path, required=True, help="folder for everything that is written")
    add("--pickers", nargs="+", choices=PICKERS, default=list(PICKERS), help="default: all")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    add("--exemplars", type=int, default=15, help="particles that are shown (default 15)")
    add("--micrographs", type=int, help="only the first N of each set (default all)")
    add("--border", type=float, default=0, help="pixels where no pick is wrong (default 0)")
    add("--model", default="default", help="name or file of the model (default: the shipped one)")
    add("--epochs", type=int, default=5, help="of Topaz' training (default 5)")
    add("--updates", type=int, default=40, help="of each epoch (default 40)")
    add("--topaz-env", type=Path, help="environment of Topaz (default OUTPUT/topaz-env)")
    add("--aspire-env", type=Path, help="environment of ASPIRE (default OUTPUT/aspire-env)")
    add("--draws", type=int, default=1000, help="bootstrap draws (default 1000)")
    add("--overwrite", action="store_true", help="use no result of an earlier run")
    given = parser.parse_args(argv)
    given.output = given.output.absolute()
    try:
        given.data = [find_sets(spec, given.micrographs) for spec in given.sets]
        given.weights = model_card(given.model).sha256
    except CryomaeError as error:
        parser.error(str(error))
    groups = [sets[0].group for sets in given.data]
    if len(set(groups)) < len(groups):
        parser.error(f"two folders of one name: {', '.join(groups)}")
    return given


def run_all(
    given: argparse.Namespace, data: LabelledSet, exemplars: dict[int, Exemplars], key: str
) -> tuple[dict[int, outcome.Outcome], list[str]]:
    """Outcome of one picker for each seed that it did not fail for, and the failures."""
    picker = PICKERS[key]
    made: dict[int, outcome.Outcome] = {}
    failures = []
    for seed in given.seeds if picker.learns else [None]:
        where = given.output / "kept" / data.group / data.name / key
        where = where if seed is None else where / f"seed_{seed}"
        shown = f"{data.name}, {picker.title}" + ("" if seed is None else f", seed {seed}")
        try:
            known = exemplars[seed] if picker.learns else None
            result = run_one(given, picker, data, known, where)
        except outcome.FAILURES as error:
            failures.append(f"{shown}: failed: {str(error).strip().splitlines()[-1]}")
            print(failures[-1], flush=True)
            continue
        print(f"{shown}: {len(result.candidates)} candidates, {result.pick_s:.0f} s", flush=True)
        made |= dict.fromkeys(given.seeds if seed is None else [seed], result)
    return made, failures


def run_one(
    given: argparse.Namespace,
    picker: Picker,
    data: LabelledSet,
    known: Exemplars | None,
    where: Path,
) -> outcome.Outcome:
    """Run a picker, or read what an earlier run of the same kept."""
    options = Options(
        given.topaz_env or given.output / "topaz-env",
        given.aspire_env or given.output / "aspire-env",
        given.model,
        given.weights,
        given.updates,
        given.epochs,
    )
    settings: dict[str, Any] = {
        "micrographs": {name: p.stat().st_size for name, p in data.files.items()},
        "diameter": data.diameter,
        "pixel_size": data.pixel_size,
        "exemplars": known and [known.micrograph, known.expected, known.picks.xy.tolist()],
        "recipe": picker.recipe | {name: getattr(options, name) for name in picker.depends},
    }
    kept = None if given.overwrite else outcome.load(where, settings)
    if kept is not None:
        return kept
    try:
        made = picker.run(Job(data, known, where, options))
    except outcome.FAILURES as error:
        outcome.save(where, settings, error)
        raise
    outcome.save(where, settings, made)
    return made


def main(argv: Sequence[str] | None = None) -> None:
    """Run, judge and report."""
    given = arguments(argv)
    given.output.mkdir(parents=True, exist_ok=True)
    notes: list[str] = []
    results: dict[str, Any] = {"machine": report.machine(), "groups": {}, "notes": notes}
    tables: dict[str, list[report.Row]] = {}
    for sets in given.data:
        verdicts: dict[str, dict[str, Any]] = {key: {} for key in given.pickers}
        for data in sets:
            seen = {s: draw_exemplars(data, s, given.exemplars) for s in given.seeds}
            for key in given.pickers:
                made, failures = run_all(given, data, seen, key)
                notes += failures
                if made:
                    verdicts[key][data.name] = judge_picker(
                        made, data, seen, border=given.border, draws=given.draws, seed=0
                    )
        ran = {key: of_set for key, of_set in verdicts.items() if of_set}
        title, found, made_tables = group_report(sets, ran, given.seeds)
        results["groups"][title] = found
        tables |= made_tables
        notes += notes_on(sets, found, given)
    report.write(given.output, results, tables, title="cryomae and other pickers")
    draw(given.output / "results.png", results["groups"])


def notes_on(
    sets: list[LabelledSet], found: dict[str, Any], given: argparse.Namespace
) -> list[str]:
    """Say what was measured, and which versions and choices it was measured with."""
    many = [len(d.files) for d in sets]
    particles = sum(len(d.truth.particles) for d in sets)
    group = sets[0].group
    said = [
        f"{group}: {len(sets)} set(s) of {min(many)} to {max(many)} micrographs with {particles} "
        f"particles in all; seeds {', '.join(map(str, given.seeds))}; up to {given.exemplars} "
        f"exemplars; border {given.border:g} px; {given.draws} draws"
    ]
    for key, of_picker in found.items():
        shown = of_picker["notes"][:6]
        more = len(of_picker["notes"]) - len(shown)
        said.append(
            f"{group}, {PICKERS[key].title}: {'; '.join(shown)}" + f" and {more} more" * (more > 0)
        )
    return said


if __name__ == "__main__":
    main()
