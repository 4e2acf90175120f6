"""The command ``cryomae train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cryomae.cli.options import PixelSize

if TYPE_CHECKING:
    from cryomae.train.run import Checked, Named, Trained


def train(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Micrographs that the exemplars lie in: files, folders, quoted globs, "
            "@list.txt, or a RELION micrographs STAR file. Others among them do not matter.",
            metavar="INPUTS",
            show_default=False,
        ),
    ],
    exemplars: Annotated[
        Path,
        typer.Option(
            "--exemplars",
            "-e",
            metavar="FILE",
            help="Coordinates of some particles, about 15: a file of any format that cryomae "
            "evaluate reads (STAR, .box, .csv), or a folder of them, such as RELION's "
            "ManualPick/job004.",
            show_default=False,
        ),
    ],
    diameter: Annotated[
        float,
        typer.Option(
            metavar="Å",
            help="Particle diameter in Å: the longest dimension of the particle.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder for everything that is written."
        ),
    ] = Path("cryomae_train"),
    negatives: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Coordinates of places that are no particles, if some are known: wrong picks, "
            "ice, carbon.",
            show_default=False,
        ),
    ] = None,
    pixel_size: PixelSize = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Model to start from: the name of a shipped one, or the path of a model file.",
        ),
    ] = "default",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Same seed, same model.")] = 1,
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:1.",
        ),
    ] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is there.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only check the exemplars; write nothing."),
    ] = False,
) -> None:
    """Train the picker on your particle, from about 15 exemplars.

    Click some particles in one micrograph with any program, train for some seconds, then
    pick with the model. The folder gets the model, a picture of the exemplars with their
    scores before and after, and a record of what was done.

    For example:
      Exemplars picked by hand in RELION, then all micrographs with the new model:
        cryomae train micrographs/ --exemplars ManualPick/job004 --diameter 180 -o mine
        cryomae pick micrographs/ --diameter 180 --model mine/model.safetensors

      With some places that are no particles:
        cryomae train micrographs/ -e good.star --negatives bad.star --diameter 180

      Only check the exemplars:
        cryomae train micrographs/ -e good.star --diameter 180 --dry-run
    """
    for name, value in (("--diameter", diameter), ("--pixel-size", pixel_size)):
        if value is not None and not 0 < value < 100_000:
            raise typer.BadParameter("give a length in Å, such as 180", param_hint=name)
    from cryomae.train.run import Named, check, refuse_to_replace

    named = Named(inputs, exemplars, diameter, negatives, pixel_size, model)
    try:
        if dry_run:
            refuse_to_replace(output, overwrite)
            _show_checked(check(named, device), output)
        else:
            _show(_run(named, output, seed, device, overwrite))
    except KeyboardInterrupt:
        typer.secho("Stopped. Nothing was written.", fg="yellow", err=True)
        raise typer.Exit(130) from None


def _run(named: Named, output: Path, seed: int, device: str, overwrite: bool) -> Trained:
    from cryomae.cli.progress import show_count
    from cryomae.train.fewshot import FewShot
    from cryomae.train.run import train_on_exemplars

    with show_count("Training", "models") as tell:
        return train_on_exemplars(
            named, output, settings=FewShot(seed=seed), device=device, overwrite=overwrite,
            command=["cryomae", *sys.argv[1:]], on_progress=tell,
        )  # fmt: skip


def _show_checked(checked: Checked, output: Path) -> None:
    _warn(checked.remarks)
    typer.echo(
        f"{output}: {_places(checked)}, from {checked.detector.name} on "
        f"{checked.detector.device}. Nothing was written (--dry-run)."
    )


def _show(trained: Trained) -> None:
    from cryomae.batch.tables import project_path

    _warn(trained.remarks)
    found = trained.adapted
    before, after = ((part >= 0.5).sum() for part in (found.before, found.after))
    if found.held_out and found.helped:
        typer.echo(
            f"Of {len(found.before)} exemplars {before} scored 0.5 or more before, {after} do by "
            "models that had not seen them."
        )
    model = project_path(trained.folder / "model.safetensors")
    typer.echo(f"look at   {project_path(trained.folder / 'exemplars.png')}")
    typer.echo(f"pick with cryomae pick … --model {model}")


def _places(checked: Checked) -> str:
    parts = len(checked.parts)
    others = sum(len(part.negatives) for part in checked.parts)
    return (
        f"{checked.count} exemplars"
        + (f" and {others} negatives" if others else "")
        + f" in {parts} micrograph{'' if parts == 1 else 's'}"
    )


def _warn(remarks: list[str]) -> None:
    for text in remarks:
        typer.secho(f"warning: {text}", fg="yellow", err=True)
