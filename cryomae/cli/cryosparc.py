"""The command ``cryomae cryosparc``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def cryosparc(
    project: Annotated[str, typer.Argument(help="Project, such as P3.", show_default=False)],
    workspace: Annotated[
        str,
        typer.Argument(help="Workspace that gets the new job, such as W1.", show_default=False),
    ],
    job: Annotated[
        str,
        typer.Argument(help="Job with the micrographs, such as J42.", show_default=False),
    ],
    diameter: Annotated[
        str,
        typer.Option(
            metavar="Å", help="Particle diameter in Å, or auto to estimate it.", show_default=False
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="OUTPUT",
            help="Output of the job that holds the micrographs.",
            show_default="its only one of exposures",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SCORE",
            help="Least score of a pick, 0 to 1. Inspect Picks can raise it later.",
            show_default="from the data",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(metavar="MODEL", help="Model: a name, or a file that cryomae train made."),
    ] = "default",
    device: Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda or mps.")] = "auto",
    project_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The project's folder as this machine sees it. Micrographs that are not there "
            "are downloaded.",
            show_default="as cryoSPARC names it",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Address of cryoSPARC, such as http://localhost:39000.",
            show_default="CRYOSPARC_BASE_URL",
        ),
    ] = None,
    email: Annotated[
        str | None,
        typer.Option(help="Your account there.", show_default="that of the stored login"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for pictures and scores. Run again with the same folder, only what is "
            "new is scored.",
            show_default="cryosparc_PROJECT_JOB",
        ),
    ] = None,
) -> None:
    """Pick in a running cryoSPARC: a new external job with picks and their scores.

    Connect its output "picks" to Inspect Picks, whose slider then works on the scores, or to
    Extract From Micrographs. Log in once before: python -m cryosparc.tools login

    For example:
      Micrographs of the CTF job J42, of a particle 180 Å long:
        cryomae cryosparc P3 W1 J42 --diameter 180 --url http://localhost:39000

      With a model that cryomae train made, every candidate above 0.2:
        cryomae cryosparc P3 W1 J42 --diameter 180 --model mine.safetensors --threshold 0.2
    """
    from cryomae.cli.closing import show_result
    from cryomae.cli.pick import checked_length, checked_settings
    from cryomae.cryosparc import Source, log_in, run
    from cryomae.pick import load_detector

    length = checked_length(diameter)
    settings = checked_settings(1.0 if length is None else length, None, threshold, None, model)
    try:
        result = run(
            log_in(url, email),
            Source(project, workspace, job, source),
            output or Path(f"cryosparc_{project}_{job}"),
            settings,
            auto=length is None,
            load=load_detector,
            say=typer.echo,
            warn=lambda text: typer.secho(f"warning: {text}", fg="yellow", err=True),
            project_folder=project_folder,
            device=device,
        )
    except KeyboardInterrupt:
        typer.secho("Stopped. Run the same command again to go on.", fg="yellow", err=True)
        raise typer.Exit(130) from None
    show_result(result)
    raise typer.Exit(130 if result.interrupted else 1 if result.failed else 0)
