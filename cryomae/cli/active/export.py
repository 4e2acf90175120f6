"""The command ``cryomae active export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.active.common import SessionFolder, counted, warn
from cryomae.cli.convert import Program, next_step

if TYPE_CHECKING:
    from cryomae.active.session import Session

MODEL = "model.safetensors"


def export(
    session: SessionFolder,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder to write to.", show_default=False
        ),
    ],
    to: Annotated[
        Program, typer.Option(metavar="PROGRAM", help=f"One of {', '.join(Program)}.")
    ] = Program.RELION,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="0..1",
            help="Score that a pick must reach.",
            show_default="the one chosen in the window, else that of the last training",
        ),
    ] = None,
    model_file: Annotated[
        bool,
        typer.Option(
            "--model-file/--no-model-file",
            help="Write model.safetensors, to pick other micrographs with.",
        ),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the picks; write nothing.")
    ] = False,
) -> None:
    """Write the picks of all micrographs, the model, and a table of the answers.

    What you confirmed is among the picks with the score 1, what you rejected is not, whatever
    the threshold. The model is for cryomae pick; answers.csv can be given to cryomae active
    answer in another session.

    For example:
      Picks for RELION's Extract:
        cryomae active export mine -o picks

      Fewer, surer picks for cryoSPARC:
        cryomae active export mine -o picks --to cryosparc --threshold 0.7

      The model on more micrographs of the same kind:
        cryomae pick more/ --diameter 180 --model picks/model.safetensors
    """
    from cryomae.active.export import ANSWERS, export_answers, export_picks
    from cryomae.active.session import Session

    with Session.open(session, write=False) as opened:
        status = opened.status()
        if status.unlearnt:
            warn(
                f"{counted(status.unlearnt, 'answer')} newer than the last training: confirmed and "
                f"rejected places count, all others as before; cryomae active train {session}"
            )
        if status.micrographs["waiting"]:
            warn(
                f"{counted(status.micrographs['waiting'], 'micrograph')} not encoded yet: no picks "
                "of these; go on with the command cryomae active new"
            )
        if dry_run:
            picks, saved = opened.picks(threshold), None
        else:
            picks, saved = export_picks(opened, output, to, threshold)
        micrographs = counted(picks.table["micrograph"].nunique(), "micrograph")
        typer.echo(f"{counted(len(picks), 'pick')} of {micrographs}")
        if saved is None:
            typer.echo(f"Nothing was written to {output} (--dry-run).")
            return
        for note in saved.notes:
            warn(note)
        for what, path in saved.files.items():
            typer.echo(f"  {what}: {path}")
        answers = export_answers(opened, output / ANSWERS)
        typer.echo(f"  {counted(answers, 'answer')}: {output / ANSWERS}")
        if model_file and opened.versions:
            _write_model(opened, output / MODEL)
    typer.echo(next_step(to, saved))


def _write_model(session: Session, path: Path) -> None:
    from cryomae.active.model import export_model

    export_model(session, path)
    typer.echo(f"  model: {path}, for cryomae pick … --diameter {session.settings.diameter:g} "
               f"--model {path}")  # fmt: skip
