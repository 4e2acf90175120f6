"""The command ``cryomae active train``."""

from __future__ import annotations

from cryomae.cli.active.common import Device, SessionFolder, stopping, train_and_tell


def train(session: SessionFolder, device: Device = "auto") -> None:
    """Learn from all answers so far: new scores, a new threshold, a new version.

    Says how the picks changed, what precision and recall to expect with intervals of 95 %,
    and whether more answers are worth it. Each training is a version of the session; nothing
    is overwritten.

    For example:
      cryomae active train mine
    """
    from cryomae.active.session import Session

    with (
        stopping("Stopped. Nothing was changed; all answers are kept."),
        Session.open(session) as opened,
    ):
        train_and_tell(opened, device)
