"""The command ``cryomae simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cryomae.simulate import SimulatedSet, SimulationSettings


def simulate(
    settings: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SETTINGS.yaml]",
            help="Settings of one set, or of a suite of sets. Without it, the defaults.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for everything that is written; each set of a suite gets one below it.",
        ),
    ] = Path("cryomae_simulated"),
    particle: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Atomic model (.pdb, .cif), density map (.mrc), or the word procedural.",
            show_default="procedural, or what the settings say",
        ),
    ] = None,
    micrographs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Micrographs of a set.", show_default="4"),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(metavar="PIXELS", help="Side of a micrograph.", show_default="2048"),
    ] = None,
    pixel_size: Annotated[
        float | None, typer.Option(metavar="Å", help="Å per pixel.", show_default="3.0")
    ] = None,
    snr: Annotated[
        float | None,
        typer.Option(
            metavar="RATIO",
            help="Signal-to-noise ratio: variance of the particles' image over that of the "
            "noise, per pixel of the file.",
            show_default="what dose, ice and optics give",
        ),
    ] = None,
    contaminants: Annotated[
        bool | None,
        typer.Option(
            "--contaminants/--no-contaminants",
            help="Some of everything that ruins picks, or nothing of it.",
            show_default="what the settings say; some, without settings",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Same seed, same bytes.", show_default="0"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes.", show_default="cores"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make everything anew; by default work goes on.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be made; write nothing.")
    ] = False,
) -> None:
    """Simulate micrographs with exact truth, to measure pickers or to train them.

    Particles in ice are imaged as in the microscope: electrostatic potential, contrast
    transfer function, noise of the solvent, counting of electrons, camera. The truth goes
    to particles.star (pose and defocus too, for RELION), contaminants to contaminants.star.

    For example:
      Four micrographs of a molecule, with ice, carbon and gold:
        cryomae simulate --particle 1y1v.pdb -o pol2

      The same, fainter, without anything that disturbs:
        cryomae simulate --particle 1y1v.pdb --snr 0.05 --no-contaminants -o faint

      The suite of sets that pickers are compared on:
        cryomae simulate configs/suite.yaml -o suite

      How well picks of a set are:
        cryomae pick pol2/micrographs.star --diameter 170 -o picks
        cryomae evaluate picks pol2

    All settings, with their units: python -m pydoc cryomae.simulate.settings
    """
    from cryomae.errors import CryomaeError
    from cryomae.simulate import load_settings, make_settings

    given: dict[str, Any] = {
        "micrographs": micrographs, "size": size, "pixel_size": pixel_size,
        "snr": snr, "seed": seed,
    }  # fmt: skip
    given = {key: value for key, value in given.items() if value is not None}
    if particle is not None:
        word = particle == "procedural"
        given["particle"] = {"source": particle if word else str(Path(particle).absolute())}
    if contaminants or (contaminants is None and settings is None):
        given["contaminants"] = _SOME
    elif contaminants is False:
        given["contaminants"] = dict.fromkeys(_SOME, 0)
    sets = [make_settings(given)] if settings is None else load_settings(settings, given)
    suite = len(sets) > 1
    failed = 0
    for one in sets:
        folder = output / one.name if suite else output
        if dry_run:
            _show_plan(one, folder)
            continue
        try:
            _show_result(_run(one, folder, jobs, overwrite))
        except CryomaeError as error:
            if not suite:
                raise
            typer.secho(f"error: set {one.name}: {error}", fg="red", err=True)
            failed += 1
        except KeyboardInterrupt:
            typer.secho("Stopped. Run the same command again to go on.", fg="yellow", err=True)
            raise typer.Exit(130) from None
    if failed:
        typer.secho(f"{failed} of {len(sets)} sets failed", fg="red", err=True)
    raise typer.Exit(1 if failed else 0)


_SOME = {
    "carbon": 0.3, "crystal": 0.1, "empty": 0.05, "ice": 1.5, "ethane": 1.0, "gold": 0.5,
    "aggregate": 0.5, "broken": 8.0,
}  # fmt: skip


def _run(
    settings: SimulationSettings, folder: Path, jobs: int | None, overwrite: bool
) -> SimulatedSet:
    from cryomae.cli.progress import show_count
    from cryomae.cores import usable_cores
    from cryomae.simulate import simulate_set

    with show_count(f"Simulating {settings.name}", "micrographs") as tell:
        return simulate_set(
            settings, folder, jobs=jobs or usable_cores(), overwrite=overwrite, on_progress=tell
        )


def _show_plan(settings: SimulationSettings, folder: Path) -> None:
    rows, columns = settings.size
    gigabytes = settings.micrographs * rows * columns * 4 / 1e9
    typer.echo(
        f"{folder}: {settings.micrographs} micrographs of {columns} × {rows} pixels of "
        f"{settings.pixel_size:g} Å ({gigabytes:.2f} GB), particle {settings.particle.source}. "
        "Nothing was written (--dry-run)."
    )


def _show_result(made: SimulatedSet) -> None:
    typer.echo(
        f"{made.folder}: {made.micrographs} micrographs, {made.particles:,} particles of "
        f"{made.diameter:.0f} Å, {made.contaminants} contaminants; look at "
        f"{made.folder / 'overview.png'}"
    )
