"""The folder of a session: locked, full, read-only, old, new and damaged ones."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from session_helpers import PER, answer_truly, keep_made, make_session

from cryomae.active.lock import SessionLocked
from cryomae.active.session import Session
from cryomae.atomic import OutputError
from cryomae.errors import FormatError, InputError

HERE = Path(__file__).parent
VERSION_1 = HERE / "session_v1.sql"


def database(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "session.sqlite", isolation_level=None)


# Locks.


def test_who_comes_second_is_told_who_has_the_session(tmp_path: Path) -> None:
    with make_session(tmp_path / "s"):
        with pytest.raises(SessionLocked, match=rf"process {os.getpid()} on .+ since 20") as caught:
            Session.open(tmp_path / "s")
        assert str(tmp_path / "s") in str(caught.value)
        assert "close that window" in caught.value.remedy
    Session.open(tmp_path / "s").close()


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    make_session(tmp_path / "s").close()
    script = (
        "import os, sys; from cryomae.active.session import Session\n"
        "s = Session.open(sys.argv[1]); s.answer(0, 'confirm'); print(os.getpid(), flush=True)\n"
        "sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "s")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    pid = holder.stdout.readline().strip()
    with pytest.raises(SessionLocked, match=f"process {pid} "):
        Session.open(tmp_path / "s")
    holder.kill()
    holder.communicate()
    with Session.open(tmp_path / "s") as session:
        assert len(session.journal) == 1


# Disks.


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let every write beyond so many bytes fail, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_answer_that_cannot_be_written_does_not_count(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        session.answer(0, "confirm")
        size = (tmp_path / "s" / "session.sqlite-wal").stat().st_size
        with files_no_larger_than(size), pytest.raises(OutputError, match="disk") as caught:
            session.answer(1, "reject")
        assert "session.sqlite" in str(caught.value)
        assert "kept" in caught.value.remedy
        assert [e.candidate for e in session.journal] == [0]
        session.answer(1, "skip")
    with Session.open(tmp_path / "s") as session:
        assert [e.kind for e in session.journal] == ["confirm", "skip"]


def test_candidates_that_cannot_be_written_do_not_count(tmp_path: Path) -> None:
    with make_session(tmp_path / "s", 3, encoded=2) as session:
        before = session.pool.xy.copy()
        size = (tmp_path / "s" / "candidates" / "latents.f2").stat().st_size
        with files_no_larger_than(size), pytest.raises(OutputError, match="latents"):
            keep_made(session, session.micrographs[2])
        assert session.status().micrographs["waiting"] == 1
        keep_made(session, session.micrographs[2])
        assert len(session.pool) == 3 * PER
        assert (session.pool.xy[: 2 * PER] == before).all()


def on_a_small_disk(
    script: str, folder: Path, size: str = "2m"
) -> subprocess.CompletedProcess[str]:
    """Run Python with a disk of its own mounted on a folder; skip where that is not allowed."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    folder.mkdir(exist_ok=True)
    own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=2m none '{folder}'"
    if subprocess.run([*own, mount], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let users mount")
    source = f"import sys\nsys.path.insert(0, {str(HERE)!r})\n" + textwrap.dedent(script)
    return subprocess.run(
        [*own, f'{mount} && exec "$0" -c "$1" "$2"', sys.executable, source, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path) -> None:
    done = on_a_small_disk(
        """
        from pathlib import Path
        from session_helpers import make_session
        from cryomae.active.session import Session
        from cryomae.atomic import OutputError

        disk = Path(sys.argv[1])
        session = make_session(disk / "s")
        rest = disk / "rest"
        with open(rest, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)) == 4096:
                    pass
            except OSError:
                pass
        acknowledged = 0
        try:
            for i in range(10**6):
                session.answer(i % 100, "confirm")
                acknowledged += 1
        except OutputError as error:
            print(error)
        assert len(session.journal) == acknowledged
        session.close()
        rest.unlink()
        with Session.open(disk / "s") as session:
            assert len(session.journal) == acknowledged
            session.answer(0, "reject")
        print("acknowledged", acknowledged)
        """,
        tmp_path / "disk",
    )
    assert done.returncode == 0, done.stderr
    assert "the disk is full" in done.stdout
    assert "free some disk space" in done.stdout


def test_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    done = on_a_small_disk(
        """
        import os, subprocess
        from pathlib import Path
        from session_helpers import answer_truly, make_session
        from cryomae.active.session import Session
        from cryomae.atomic import OutputError

        disk = Path(sys.argv[1])
        with make_session(disk / "s") as session:
            answer_truly(session, 6)
        # A process that never closed it: part of the session is in the write-ahead log.
        if os.fork() == 0:
            Session.open(disk / "s").add(0, 700.0, 700.0)
            os._exit(0)
        os.wait()
        assert (disk / "s" / "session.sqlite-wal").stat().st_size > 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        try:
            Session.open(disk / "s")
        except OutputError as error:
            print(error)
        with Session.open(disk / "s", write=False) as session:
            assert len(session.journal) == 7
            assert (session.picks().table["x"] == 700.0).any()
        """,
        tmp_path / "disk",
    )
    assert done.returncode == 0, done.stderr
    assert "Read-only file system" in done.stdout
    assert "copy the session's folder" in done.stdout


# Folders that are no session, or not what they should be.


def test_a_session_is_never_made_over_something(tmp_path: Path) -> None:
    make_session(tmp_path / "s").close()
    with pytest.raises(InputError, match="is there already"):
        make_session(tmp_path / "s")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file of this name"):
        make_session(tmp_path / "file")
    with pytest.raises(InputError, match="no micrographs"):
        make_session(tmp_path / "none", 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "s"]


@pytest.mark.parametrize("write", [True, False])
def test_what_is_no_session_is_refused(tmp_path: Path, write: bool) -> None:
    with pytest.raises(InputError, match="no such session"):
        Session.open(tmp_path / "s", write=write)
    (tmp_path / "s").mkdir()
    with pytest.raises(InputError, match="is no session"):
        Session.open(tmp_path / "s", write=write)
    (tmp_path / "s" / "session.sqlite").write_bytes(b"no database at all" * 1000)
    with pytest.raises(FormatError, match="damaged, or no session"):
        Session.open(tmp_path / "s", write=write)
    (tmp_path / "s" / "session.sqlite").unlink()
    with database(tmp_path / "s") as other:
        other.execute("CREATE TABLE birds (name TEXT)")
    with pytest.raises(FormatError, match="is no session of cryomae"):
        Session.open(tmp_path / "s", write=write)


@pytest.mark.parametrize("write", [True, False])
def test_a_session_of_a_newer_version_is_left_alone(tmp_path: Path, write: bool) -> None:
    make_session(tmp_path / "s").close()
    with database(tmp_path / "s") as connection:
        connection.execute("PRAGMA user_version = 1000")
    before = (tmp_path / "s" / "session.sqlite").read_bytes()
    with pytest.raises(FormatError, match="newer cryomae \\(session version 1000") as caught:
        Session.open(tmp_path / "s", write=write)
    assert "update cryomae" in caught.value.remedy
    assert (tmp_path / "s" / "session.sqlite").read_bytes() == before


@pytest.fixture
def old_session(tmp_path: Path) -> Path:
    """A session as version 1 stored it: two micrographs, six answers, an open queue."""
    folder = tmp_path / "old"
    make_session(folder, 2).close()
    (folder / "session.sqlite").unlink()
    with database(folder) as connection:
        connection.executescript(VERSION_1.read_text())
    return folder


@pytest.mark.parametrize("write", [False, True])
def test_a_session_of_version_1_is_brought_up_to_date(old_session: Path, write: bool) -> None:
    with Session.open(old_session, write=write) as session:
        assert len(session.pool) == 2 * PER + 1  # and the particle that was moved there
        assert [e.kind for e in session.journal] == [
            "confirm", "reject", "skip", "move", "add", "undo",
        ]  # fmt: skip
        status = session.status()
        assert status.answers == {"confirm": 1, "reject": 1, "skip": 1, "move": 1, "add": 0}
        assert status.queue == 2
        assert status.by_annotator == {"old": {"confirm": 1, "reject": 1, "skip": 1, "move": 1}}
    with database(old_session) as connection:  # who only reads leaves it as it was
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        assert (version == 1) != write
    with Session.open(old_session) as session:
        assert session.redo() is not None
        answer_truly(session, 4)
        session.train()
        assert len(session.versions) == 1


def test_a_migration_that_fails_changes_nothing(old_session: Path) -> None:
    before = (old_session / "session.sqlite").read_bytes()
    with files_no_larger_than(len(before) // 2), pytest.raises(OutputError):
        Session.open(old_session)
    with database(old_session) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(micrographs)")]
        assert "defocus" not in columns
    with Session.open(old_session) as session:
        assert len(session.journal) == 6


def test_the_journal_cannot_be_rewritten(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        session.answer(0, "confirm")
    connection = database(tmp_path / "s")
    for statement in ("UPDATE journal SET kind = 'reject'", "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            connection.execute(statement)
    connection.close()


def test_candidates_that_were_not_copied_are_missed(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        session.answer(0, "confirm")
    latents = tmp_path / "s" / "candidates" / "latents.f2"
    with open(latents, "r+b") as file:
        file.truncate(1000)
    with Session.open(tmp_path / "s") as session:
        with pytest.raises(FormatError, match=f"of the session's {3 * PER} candidates"):
            session.propose()
        assert len(session.journal) == 1
    latents.unlink()
    with Session.open(tmp_path / "s") as session, pytest.raises(FormatError, match="copied whole"):
        session.picks()


def test_another_program_in_the_database_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_session(tmp_path / "s") as session:
        other = database(tmp_path / "s")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutputError, match="another program") as caught:
            session.answer(0, "confirm")
        assert "close that program" in caught.value.remedy
        other.execute("ROLLBACK")
        other.close()
        session.answer(0, "confirm")
        assert len(session.journal) == 1


def test_answers_from_many_threads_are_all_kept(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with make_session(tmp_path / "s") as session, ThreadPoolExecutor(4) as threads:
        entries = list(threads.map(lambda i: session.answer(i, "confirm"), range(40)))
        assert sorted(e.id for e in entries) == list(range(1, 41))
        assert len(session.answers.answers) == 40
