"""Sessions of made-up micrographs, in which it is known what is a particle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np

from cryomae.active.encode import Encoded
from cryomae.active.files import checksum, stamp
from cryomae.active.records import SessionMicrograph
from cryomae.active.session import Session
from cryomae.active.settings import SessionSettings
from cryomae.micrograph import MicrographRef
from cryomae.sizes import LATENT

if TYPE_CHECKING:
    from cryomae.active.candidates import Candidates

DIAMETER = 200.0  # Å, and as many pixels: the pixel size is 1 Å
SIDE = 4000  # pixels
STEP = 600  # pixels between candidates: three diameters
PER = 36  # candidates of a micrograph: 6 x 6


def is_particle(candidate: int) -> bool:
    """Every other candidate is a particle."""
    return candidate % 2 == 0


def make_candidates(micrograph: int) -> Candidates:
    """Candidates on a grid; the latents tell particles from others well, the logits hardly."""
    rng = np.random.default_rng(micrograph)
    columns, rows = np.meshgrid(np.arange(6), np.arange(6))
    xy = np.stack([columns.ravel(), rows.ravel()], axis=1) * STEP + 400.0
    sign = np.where(np.arange(PER) % 2 == 0, 1.0, -1.0)
    latents = rng.normal(size=(PER, LATENT))
    latents[:, :16] += 2 * sign[:, None]
    logit = 0.3 * sign + 0.1 * rng.normal(size=PER)
    kind = np.repeat([0, 1, 2], [24, 8, 4])
    # Not the class itself, which comes with torch: most tests are about what needs none.
    made = SimpleNamespace(
        xy=xy.astype(np.float32),
        kind=kind.astype(np.uint8),
        logit=logit.astype(np.float32),
        latents=latents.astype(np.float16),
    )
    return cast("Candidates", made)


def keep_made(session: Session, micrograph: SessionMicrograph) -> None:
    """Store made-up candidates, as if the file had been encoded."""
    size, mtime = stamp(micrograph.path)
    ready = replace(
        micrograph,
        state="ready",
        pixel_size=1.0,
        shape=(SIDE, SIDE),
        count=PER,
        masked=0.0,
        size=size,
        mtime_ns=mtime,
        checksum=checksum(micrograph.path) if size else "",
    )
    session.keep_encoded(Encoded(ready, make_candidates(micrograph.id)))


def make_session(
    path: Path,
    micrographs: int = 3,
    *,
    encoded: int | None = None,
    annotator: str = "ann",
    folder: Path | None = None,
) -> Session:
    """A session of which the first micrographs are encoded (all by default).

    The files are small and no micrographs; they lie in ``folder``, or nowhere.
    """
    where = folder or Path("/nowhere")
    refs = [MicrographRef(f"mics/m{i}.mrc", where / f"m{i}.mrc") for i in range(micrographs)]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for i, ref in enumerate(refs):
            ref.path.write_bytes(bytes([i]) * 3000)
    settings = SessionSettings(diameter=DIAMETER, model_sha256="0" * 64)
    session = Session.create(path, settings, refs, annotator=annotator)
    for micrograph in session.micrographs[: micrographs if encoded is None else encoded]:
        keep_made(session, micrograph)
    return session


def answer_truly(session: Session, count: int) -> None:
    """Answer as many proposals as wait or are made, all of them right."""
    for proposal in session.propose(count)[:count]:
        session.answer(proposal, "confirm" if is_particle(proposal.candidate) else "reject")


def places(session: Session) -> set[tuple[str, float, float]]:
    """Picks as a set of places."""
    table = session.picks().table
    return {
        (m, round(x, 1), round(y, 1))
        for m, x, y in zip(table["micrograph"], table["x"], table["y"], strict=True)
    }
