"""The command ``cryomae``: one module a command, heavy imports inside the commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cryomae.cli.active import active
from cryomae.cli.bench_al import bench_al
from cryomae.cli.convert import convert, export
from cryomae.cli.crops import crops
from cryomae.cli.cryosparc import cryosparc
from cryomae.cli.evaluate import evaluate
from cryomae.cli.info import info
from cryomae.cli.models import models
from cryomae.cli.pack import pack
from cryomae.cli.pick import pick
from cryomae.cli.pretrain import pretrain
from cryomae.cli.simulate import simulate
from cryomae.cli.status import status
from cryomae.cli.train import train
from cryomae.cli.watch import watch
from cryomae.cli.window import window
from cryomae.errors import CryomaeError, InputError


class _Group(TyperGroup):
    """Turns errors raised on purpose into one red line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CryomaeError as error:
            typer.secho(f"error: {error}", fg="red", err=True)
            raise typer.Exit(2 if isinstance(error, InputError) else 1) from None


app = typer.Typer(
    cls=_Group,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(pick)
app.command()(watch)
app.command()(status)
app.command()(train)
app.command()(info)
app.command()(models)
app.command()(evaluate)
app.command()(convert)
app.command()(export)
app.command()(crops)
app.command()(cryosparc)
app.command()(simulate)
app.command()(bench_al)
app.command()(pack)
app.command()(pretrain)
app.command()(window)
app.add_typer(active, name="active")


def _show_version(wanted: bool) -> None:
    if wanted:
        from cryomae import __version__

        typer.echo(f"cryomae {__version__}")
        raise typer.Exit


@app.callback()
def _cryomae(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and stop."
        ),
    ] = False,
) -> None:
    """Pick particles in cryo-EM micrographs.

    Most people need one command:
      cryomae pick micrographs/*.mrc --diameter 180

    It writes RELION coordinate files, pictures and a summary page to the folder
    cryomae_picks. See cryomae pick --help for the options.
    """


def main() -> None:
    """Run the command line."""
    app(prog_name="cryomae")
