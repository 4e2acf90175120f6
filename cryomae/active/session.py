"""An active-learning session: one folder that holds everything, and loses nothing.

Whatever a method returned from is on the disk. A process that is killed loses at most the
answer that it was writing.

A session may be used from several threads. One process at a time may write to it; others can
open it with ``write=False``.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryomae.active import tables
from cryomae.active.actions import Answering
from cryomae.active.content import Content
from cryomae.active.create import create_session, describe_refs
from cryomae.active.encode import Encoded, EncodeProgress, EncodeResult, encode_all
from cryomae.active.lock import SessionLock
from cryomae.active.proposing import choose_proposals
from cryomae.active.records import Proposal, SessionMicrograph, TrainedVersion
from cryomae.active.relink import Relinked, find_again
from cryomae.active.settings import SessionSettings
from cryomae.active.store import open_store
from cryomae.active.training import Fitted, OnProgress
from cryomae.errors import InputError
from cryomae.micrograph import MicrographRef

if TYPE_CHECKING:
    from cryomae.pick.pipeline import Detector


class Session(Answering):
    """A session that is open; made by `Session.create` and `Session.open`."""

    @classmethod
    def create(
        cls,
        path: str | Path,
        settings: SessionSettings,
        refs: Sequence[MicrographRef],
        *,
        defocus: Mapping[str, float] | None = None,
        annotator: str = "",
    ) -> Session:
        """Begin a session and open it for writing.

        Parameters
        ----------
        path : str or Path
            Folder to make.
        settings : SessionSettings
        refs : sequence of MicrographRef
            From `cryomae.io.find_micrographs`.
        defocus : mapping of str to float, optional
            µm, by name of micrograph, as far as it is known.
        annotator : str
            Who answers; default the user's name.

        Raises
        ------
        InputError
            If the folder is there already.
        OutputError
            If it cannot be written.
        """
        create_session(Path(path), settings, refs, defocus or {})
        return cls.open(path, annotator=annotator)

    @classmethod
    def open(cls, path: str | Path, *, annotator: str = "", write: bool = True) -> Session:
        """Open a session.

        Parameters
        ----------
        path : str or Path
            Its folder.
        annotator : str
            Who answers; default the user's name.
        write : bool
            Whether to answer and train; then nobody else can.

        Raises
        ------
        SessionLocked
            If another process has it open for writing.
        InputError, FormatError
            If it is no session, damaged, or of a newer version.
        OutputError
            If it is to be written to and cannot be.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise InputError(
                "there is no such session", "make one with `cryomae active new`", folder
            )
        lock = SessionLock(folder) if write else None
        if lock is not None:
            lock.acquire()
        try:
            store = open_store(folder, write)
            try:
                return cls(folder, annotator or getpass.getuser(), Content(folder, store), lock)
            except BaseException:
                store.close()
                raise
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    # What the model does.

    def propose(self, count: int | None = None, strategy: str | None = None) -> list[Proposal]:
        """Fill the queue up to ``count`` proposals, keeping those that wait already.

        Parameters
        ----------
        count : int, optional
            Default the session's ``batch``.
        strategy : str, optional
            Default the session's.

        Returns
        -------
        list of Proposal
            The queue.

        Raises
        ------
        InputError
            If there is no such strategy, or nothing to propose from.
        """
        with self._guard:
            content = self._content
            wanted = (self.settings.batch if count is None else count) - len(content.queue)
            if wanted > 0:
                new = choose_proposals(content, wanted, strategy or self.settings.strategy)
                with content.store.writing() as connection:
                    tables.write_proposals(connection, new)
                content.add_proposals(new)
            return content.queue

    def encode(
        self,
        detector: Detector | None = None,
        on_progress: Callable[[EncodeProgress], None] | None = None,
        device: str = "auto",
    ) -> EncodeResult:
        """Find the candidates of all micrographs that have none yet.

        Can be interrupted at any moment and called again. What failed is tried again;
        micrographs that are left out wait.

        Parameters
        ----------
        detector : Detector, optional
            The session's model, if it is loaded already.
        on_progress : callable, optional
            Called at the start and after each micrograph.
        device : str
            Where to run the model, if it has to be loaded.

        Raises
        ------
        InputError, WeightsError
            If the model is not the session's or cannot be loaded.
        OutputError
            If the disk is full; what was done is kept.
        """
        with self._guard:
            excluded = self._content.state.excluded
            left = [m for m in self.micrographs if m.state != "ready" and m.id not in excluded]
        return encode_all(
            left,
            self.settings,
            detector,
            device,
            self.keep_encoded,
            on_progress or (lambda _: None),
        )

    def keep_encoded(self, encoded: Encoded) -> SessionMicrograph:
        """Store the candidates of a micrograph, found by `cryomae.active.encode.encode_one`."""
        with self._guard:
            content = self._content
            micrograph, found = encoded.micrograph, encoded.candidates
            if content.micrographs[micrograph.id].state == "ready":
                return content.micrographs[micrograph.id]
            if found is not None:
                micrograph = replace(micrograph, first=content.count)
                names = ("xy", "kind", "logit", "latents")
                content.arrays.write(content.count, {n: getattr(found, n) for n in names})
            self._replace([micrograph])
            return micrograph

    def keep(self, fitted: Fitted) -> TrainedVersion:
        """Store what `fit` found as the newest version."""
        with self._guard:
            content = self._content
            version = TrainedVersion(
                content.version + 1,
                tables.now(),
                fitted.journal,
                fitted.positives,
                fitted.negatives,
                fitted.estimate,
                fitted.changed,
                fitted.seconds,
                "\n".join(fitted.remarks),
            )
            with content.store.writing() as connection:
                tables.write_version(connection, version, fitted.head)
                tables.write_descriptors(connection, fitted.descriptors)
            content.add_version(version, fitted.descriptors)
            return version

    def train(
        self,
        detector: Detector | None = None,
        on_progress: OnProgress | None = None,
        device: str = "auto",
    ) -> TrainedVersion:
        """Learn from the answers, choose the threshold, and store both as the newest version."""
        return self.keep(self.fit(detector, on_progress, device))

    def relink(self, inputs: Sequence[str | Path]) -> Relinked:
        """Find micrographs that were moved, by name and checksum.

        Parameters
        ----------
        inputs : sequence of str or Path
            Folders to search, with what is inside them, or files.
        """
        self._content.store.check_writable()
        with self._guard:
            result = find_again(self._content.micrographs, inputs)
            if result.found:
                self._replace(result.found)
            return result

    def extend(
        self, refs: Sequence[MicrographRef], defocus: Mapping[str, float] | None = None
    ) -> list[SessionMicrograph]:
        """Take more micrographs into the session; those that are in it already are passed over."""
        with self._guard:
            before = self._content.micrographs
            new = describe_refs(refs, self.settings, defocus or {}, before)
            if new:
                self._replace(new)
            return new

    def _replace(self, micrographs: Sequence[SessionMicrograph]) -> None:
        with self._content.store.writing() as connection:
            tables.write_micrographs(connection, micrographs)
        self._content.replace_micrographs(micrographs)

    def _remember(self, micrographs: Sequence[SessionMicrograph]) -> None:
        if self._content.store.writable:
            self._replace(micrographs)
        else:
            super()._remember(micrographs)
