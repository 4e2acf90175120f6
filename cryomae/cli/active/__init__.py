"""The commands ``cryomae active``: one module a command, heavy imports inside the commands."""

from __future__ import annotations

import typer

from cryomae.cli.active.answer import answer
from cryomae.cli.active.export import export
from cryomae.cli.active.new import new
from cryomae.cli.active.propose import propose
from cryomae.cli.active.relink import relink
from cryomae.cli.active.status import status
from cryomae.cli.active.train import train
from cryomae.cli.active.undo import redo, undo

active = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
active.command()(new)
active.command()(propose)
active.command()(answer)
active.command()(train)
active.command()(status)
active.command()(undo)
active.command()(redo)
active.command()(export)
active.command()(relink)


@active.callback()
def _active() -> None:
    """Teach the picker your particle by answering what it asks, ten places at a time.

    A session is a folder. Everything you answer is kept at once, can be undone, and any of
    these commands can be stopped and given again.

    For example:
      In a terminal, also over SSH; y, n and s answer, and the picker learns after each ten:
        cryomae active new mine micrographs/ --diameter 180
        cryomae active answer mine
        cryomae active export mine -o picks

      With a picture and a table instead:
        cryomae active propose mine --sheet sheet.png --csv answers.csv
        cryomae active answer mine --csv answers.csv
        cryomae active train mine
        cryomae active status mine
    """
