"""The program ``cryomae-relion-train``: few-shot training as an External job of RELION."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryomae.batch.tables import project_path
from cryomae.cli.train import train as command
from cryomae.errors import InputError
from cryomae.relion.exemplars import find_exemplars
from cryomae.relion.job import Ending, Job, note_unused, run_job, say, use_threads
from cryomae.relion.logfile import write_training_log
from cryomae.relion.project import relion_version, write_nodes
from cryomae.relion.words import Parameters, Request, read_request

if TYPE_CHECKING:
    from cryomae.train.run import Trained

PROGRAM = "cryomae-relion-train"
PARAMETERS = Parameters(command, without=("inputs", "exemplars", "output", "dry_run", "help"))
USAGE = f"""Train the picker on your particle, as an External job of RELION 3.1, 4 or 5.

In RELION, job type External:
  Input tab     External executable: {PROGRAM} (with its folder, if it is not on the PATH)
                Input micrographs: their STAR file, such as CtfFind/job003/micrographs_ctf.star
                Input coordinates: ManualPick/job004/manualpick.star, about 15 particles
                or Input particles: those of a class selection
  Params tab    diameter, and others of these if wanted:

{PARAMETERS.describe()}

Then pick with the parameter model: External/job005/model.safetensors

From the project folder, without RELION's window:
  {PROGRAM} --o External/job005/ --in_mics CtfFind/job003/micrographs_ctf.star \\
    --in_coords ManualPick/job004/manualpick.star --diameter 180
"""

Train = Callable[..., "Trained"]


def main() -> None:
    """Run the program."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str], train: Train | None = None) -> int:
    """Run the job that RELION's words describe.

    Parameters
    ----------
    words : sequence of str
        Command line without the name of the program.
    train : callable, optional
        Replacement of `cryomae.train.run.train_on_exemplars`.

    Returns
    -------
    int
        Exit code.
    """

    def work(job: Job) -> Ending:
        # What the command needs besides is found later: its own reading must not stop at it.
        needed = ["--exemplars", "exemplars.star", "--", "micrographs.star"]
        request = read_request(words, PARAMETERS, lambda inputs: needed)
        used = ["in_mics", "in_coords" if "in_coords" in request.inputs else "in_parts"]
        note_unused(request.inputs, used)
        use_threads(request.threads)
        _finish(request, job, _train(request, job, words, train))
        return Ending.SUCCESS

    return run_job(words, USAGE, work)


def _train(request: Request, job: Job, words: Sequence[str], train: Train | None) -> Trained:
    from cryomae.train.fewshot import FewShot
    from cryomae.train.run import Named, refuse_to_replace, train_on_exemplars

    values = request.values
    if not 0 < values["diameter"] < 100_000:
        raise InputError("the diameter makes no sense", "give a length in Å, such as 180")
    refuse_to_replace(job.folder, values["overwrite"])
    found = find_exemplars(request.inputs, job.folder)
    if found.note:
        say(found.note)
    negatives = values["negatives"]
    named = Named(
        [found.micrographs],
        found.exemplars,
        values["diameter"],
        None if negatives is None else Path(negatives),
        values["pixel_size"],
        values["model"],
    )

    def tell(done: int, total: int) -> None:
        job.check_abort()
        say(f"Training: {done}/{total} models")

    return (train or train_on_exemplars)(
        named,
        job.folder,
        settings=FewShot(seed=values["seed"]),
        device=values["device"],
        overwrite=values["overwrite"],
        command=[PROGRAM, *words],
        on_progress=tell,
    )


def _finish(request: Request, job: Job, trained: Trained) -> None:
    from cryomae.train.run import MODEL, PICTURE

    for remark in trained.remarks:
        say(f"note: {remark}")
    found = trained.adapted
    model = project_path(job.folder / MODEL)
    before, after = (int((part >= 0.5).sum()) for part in (found.before, found.after))
    facts = [
        ("Exemplars", f"{len(found.before)} in {trained.card.data.rpartition(' in ')[2]}"),
        ("Diameter", f"{request.values['diameter']:g} Å"),
        ("Started from", str(request.values["model"])),
        ("Score of 0.5 or more", f"{before} of them before, {after} after"),
        ("Model is", "changed" if found.helped else "as it was"),
        ("Model", model),
        *(("Note", remark) for remark in trained.remarks),
    ]
    log = job.folder / "logfile.pdf"
    write_training_log(log, facts, found.before, found.after, job.folder / PICTURE)
    write_nodes(job.folder, [(project_path(log), "log")], relion_version(job.folder))
    say(f"Pick with the parameter model: {model}")


if __name__ == "__main__":
    main()
