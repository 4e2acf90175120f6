"""Sessions: what is answered, proposed, learnt and picked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from session_helpers import (
    DIAMETER,
    PER,
    SIDE,
    STEP,
    answer_truly,
    is_particle,
    keep_made,
    make_session,
    places,
)

from cryomae.active.journal import Answer
from cryomae.active.session import Session
from cryomae.active.settings import DEFAULT_STRATEGY, make_settings
from cryomae.errors import InputError


def at(session: Session, candidate: int) -> tuple[str, float, float]:
    """Where a candidate lies."""
    pool = session.pool
    x, y = (float(v) for v in pool.xy[candidate])
    return session.micrographs[int(pool.micrograph[candidate])].name, x, y


def test_settings_that_make_no_sense_name_the_option() -> None:
    with pytest.raises(InputError, match="--diameter"):
        make_settings({"diameter": -1, "model_sha256": ""})
    with pytest.raises(InputError, match="--pixel-size"):
        make_settings({"diameter": 100, "pixel_size": 1000, "model_sha256": ""})


def test_everything_is_there_after_closing(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        answer_truly(session, 10)
        session.train()
        session.answer(0, "move", (450.0, 700.0))
        session.add("mics/m1.mrc", 1000.0, 1000.0)
        session.exclude("m2")
        session.undo()
        queue = session.propose()
        status, journal, picks = session.status(), session.journal, session.picks()
        versions, scores = session.versions, session.scores
    with Session.open(tmp_path / "s") as again:
        assert again.status() == status
        assert again.journal == journal
        assert again.queue == queue
        assert again.versions == versions
        assert np.array_equal(again.scores, scores)
        assert again.picks().table.equals(picks.table)
        assert again.redo() is not None
        assert again.status().micrographs["excluded"] == 1


def test_a_session_copied_with_its_folder_is_the_same(tmp_path: Path) -> None:
    import shutil

    with make_session(tmp_path / "s") as session:
        answer_truly(session, 10)
        session.train()
        shutil.copytree(tmp_path / "s", tmp_path / "while open")
        expected = session.picks()
    shutil.copytree(tmp_path / "s", tmp_path / "closed")
    for name in ("while open", "closed"):
        with Session.open(tmp_path / name) as copy:
            assert copy.picks().table.equals(expected.table)


def test_proposals_wait_until_they_are_answered(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        queue = session.propose(6)
        assert len({p.candidate for p in queue}) == 6
        session.answer(queue[0], "confirm")
        session.answer(queue[1].candidate, "skip")
        assert session.queue == queue[2:]
        more = session.propose(6)
        assert more[:4] == queue[2:]
        assert len({p.candidate for p in (*queue, *more)}) == 8
        entry = session.journal[0]
        assert (entry.proposal, entry.candidate) == (queue[0].id, queue[0].candidate)


def test_an_undone_answer_asks_again_even_after_training(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        queue = session.propose(4)
        session.answer(queue[0], "confirm")
        session.answer(queue[1], "reject")
        session.train()
        assert session.queue == []  # proposals of the older model have had their day
        undone = session.undo()
        assert undone is not None
        assert undone.candidate == queue[1].candidate
        assert session.queue == [queue[1]]
        session.redo()
        assert session.queue == []


def test_excluded_micrographs_are_neither_proposed_nor_picked(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        session.propose(9)
        session.exclude(1)
        assert {p.micrograph for p in session.propose(60)} == {0, 2}
        assert set(session.picks(0.0).table["micrograph"]) == {"mics/m0.mrc", "mics/m2.mrc"}
        session.include("mics/m1.mrc")
        assert "mics/m1.mrc" in set(session.picks(0.0).table["micrograph"])


def test_proposals_do_not_depend_on_closing_in_between(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        session = make_session(tmp_path / name)
        for _ in range(3):
            answer_truly(session, 5)
            if name == "b":
                session.close()
                session = Session.open(tmp_path / name)
        found.append([p.candidate for p in session.proposals])
        session.close()
    assert found[0] == found[1]


def test_training_finds_the_particles(tmp_path: Path) -> None:
    with make_session(tmp_path / "s", 6) as session:
        for _ in range(3):
            answer_truly(session, 10)
            version = session.train()
        pool = session.pool
        truth = np.array([is_particle(i) for i in range(len(pool))])
        assert ((session.scores > 0.5) == truth).mean() > 0.95
        rows, _ = session.pick_rows(0.5)
        assert is_close(rows, truth)
        assert version.version == 3
        assert version.answers == 30
        assert [v.version for v in session.versions] == [1, 2, 3]
        assert session.status().estimate == version.estimate
        assert 0 <= version.changed <= 1


def is_close(rows: np.ndarray, truth: np.ndarray) -> bool:
    """Whether 95 % of the picks are particles, and of the particles picked."""
    found = truth[rows].sum()
    return bool(found >= 0.95 * len(rows) and found >= 0.95 * truth.sum())


def test_training_needs_an_answer_that_teaches(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        session.answer(0, "skip")
        with pytest.raises(InputError, match="nothing to learn from"):
            session.train()
        session.answer(0, "confirm")
        assert session.train().positives == 1


def test_fitting_in_a_reader_gives_what_training_gives(tmp_path: Path) -> None:
    """As in a window, whose worker has no right to write."""
    import pickle

    with make_session(tmp_path / "s") as session:
        answer_truly(session, 10)
        with Session.open(tmp_path / "s", write=False) as reader:
            fitted = pickle.loads(pickle.dumps(reader.fit()))
        session.answer(session.propose(1)[0], "skip")  # meanwhile
        version = session.keep(fitted)
        assert version.answers == 10
        assert session.status().unlearnt == 1
        scores = session.scores
        assert np.array_equal(session.train().estimate.threshold, version.threshold)
        assert np.allclose(session.scores, scores)


def test_picks_hold_what_was_confirmed_and_not_what_was_rejected(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        scores = session.scores
        best = int(scores.argmax())
        worst = int(scores.argmin())
        threshold = float(np.median(scores))
        session.answer(best, "reject")
        session.answer(worst, "confirm")
        session.answer(int(scores.argsort()[-2]), "skip")
        table = session.picks(threshold).table
        found = places_of(table)
        assert at(session, best) not in found
        assert at(session, worst) in found
        assert at(session, int(scores.argsort()[-2])) in found
        confirmed = table[(table["x"] == at(session, worst)[1]) & (table["score"] == 1.0)]
        assert "ann" in confirmed["provenance"].iloc[0]
        assert (table["diameter"] == DIAMETER).all()
        others = table[table["score"] < 1.0]
        assert (others["score"] >= threshold).all()
        for _, own in table.groupby("micrograph"):
            assert own["score"].is_monotonic_decreasing


def places_of(table: object) -> set[tuple[str, float, float]]:
    return set(zip(table["micrograph"], table["x"], table["y"], strict=True))  # type: ignore[index]


def test_a_confirmed_particle_keeps_neighbours_half_a_diameter_away(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        name, x, y = at(session, 0)
        near, far = (x + 0.45 * DIAMETER, y), (x - 0.55 * DIAMETER, y)
        session.add(name, *near)
        session.add(name, *far)
        found = {(px, py) for m, px, py in places_of(session.picks(0.0).table) if m == name}
        assert near in found
        assert far in found
        assert (x, y) not in found


def test_moving_leaves_nothing_at_the_old_place(tmp_path: Path) -> None:
    for i, shift in enumerate((0.1, 1.0)):
        with make_session(tmp_path / f"s{i}") as session:
            name, x, y = at(session, 0)
            before = len(session.picks(0.0))
            session.answer(0, "move", (x + shift * DIAMETER, y))
            found = places(session)
            assert (name, x, y) not in found
            assert (name, round(x + shift * DIAMETER, 1), y) in found
            assert len(session.picks(0.0)) == before
            # Nearby it is the same particle, and its latents must not be learnt as background.
            known = dict(zip(session.labels.rows.tolist(), session.labels.y.tolist(), strict=True))
            assert known.get(0) == (None if shift < 0.25 else 0)
            assert known[len(session.pool) - 1] == 1
            assert session.status().contradictions == ()
            session.undo()
            assert len(session.picks(0.0)) == before
            assert (name, x, y) in {(m, px, py) for m, px, py in places_of(session.picks(0).table)}


def test_placed_particles_keep_their_id_when_more_is_encoded(tmp_path: Path) -> None:
    with make_session(tmp_path / "s", 3, encoded=2) as session:
        entry = session.add("mics/m0.mrc", 700.0, 700.0)
        assert ("mics/m0.mrc", 700.0, 700.0) in places(session)
        keep_made(session, session.micrographs[2])
        assert ("mics/m0.mrc", 700.0, 700.0) in places(session)
        assert entry.places is not None
        session.remove(entry.places)
        assert ("mics/m0.mrc", 700.0, 700.0) not in places(session)
        assert len(session.pool) == 3 * PER + 1


def test_a_placed_particle_moves_by_row_or_id(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        entry = session.add(0, 700.0, 700.0)
        session.answer(len(session.pool) - 1, "move", (720.0, 700.0))
        found = places(session)
        assert ("mics/m0.mrc", 720.0, 700.0) in found
        assert ("mics/m0.mrc", 700.0, 700.0) not in found
        assert entry.places is not None
        session.answer(entry.places, "move", (740.0, 700.0))
        found = places(session)
        assert ("mics/m0.mrc", 740.0, 700.0) in found
        assert ("mics/m0.mrc", 720.0, 700.0) not in found
        assert session.status().contradictions == ()


def test_particles_can_be_placed_before_anything_is_encoded(tmp_path: Path) -> None:
    with make_session(tmp_path / "s", 2, encoded=0) as session:
        with pytest.raises(InputError, match="size is not known"):
            session.add(0, 10.0, 10.0)
        with pytest.raises(InputError, match="nothing to propose"):
            session.propose()
        assert session.status().estimate is None
        assert len(session.picks()) == 0


@pytest.mark.parametrize("id_", [3 * PER, 10**9, -1, -7])
def test_answers_on_unknown_ids_are_refused_by_name(tmp_path: Path, id_: int) -> None:
    with make_session(tmp_path / "s") as session:
        before = session.status()
        with pytest.raises(InputError, match=f" {id_} "):
            session.answer(id_, "confirm")
        with pytest.raises(InputError, match=f" {id_} "):
            session.answer_many([Answer("confirm", 1), Answer("reject", id_)])
        assert session.status() == before


def test_answers_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        for cause, answer in {
            "no answer 'maybe'": Answer("maybe", 1),
            "needs a place": Answer("move", 1),
            "lies off": Answer("move", 1, xy=(-20.0, 5.0)),
            f"has {SIDE} × {SIDE}": Answer("add", micrograph=0, xy=(5.0, SIDE + 1.0)),
            "nan": Answer("add", micrograph=0, xy=(float("nan"), 5.0)),
            "place of its own": Answer("confirm", 1, xy=(5.0, 5.0)),
            "about a candidate": Answer("confirm"),
            "about a micrograph": Answer("add", xy=(5.0, 5.0)),
            "no micrograph 'other.mrc'": Answer("exclude", micrograph="other.mrc"),
            "no micrograph 99": Answer("exclude", micrograph=99),
            "no answer 'undo'": Answer("undo", 1),
        }.items():
            with pytest.raises(InputError, match=cause):
                session.answer_many([Answer("confirm", 0), answer])
        assert session.journal == []


def test_unknown_strategies_are_refused(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        with pytest.raises(InputError, match="strategy 'nonsense'"):
            session.propose(3, "nonsense")
        assert session.queue == []


def test_contradictions_are_kept_and_reported(tmp_path: Path) -> None:
    make_session(tmp_path / "s", annotator="ann").close()
    with Session.open(tmp_path / "s", annotator="ann") as session:
        session.answer(3, "confirm")
        session.answer(4, "confirm")
        entry = session.add("m0", *_middle(0))
        assert session.status().contradictions == ()
    with Session.open(tmp_path / "s", annotator="bob") as session:
        session.answer(3, "reject")
        session.answer(4, "skip")
        assert entry.places is not None
        session.answer(entry.places, "reject")
        said = session.status().contradictions
        assert len(said) == 2
        assert all("ann" in s and "bob" in s and "mics/m0.mrc" in s for s in said)
        assert at(session, 3) not in places_of(session.picks(0.0).table)
        counts = session.status().by_annotator
        assert counts == {
            "ann": {"confirm": 2, "add": 1},
            "bob": {"reject": 2, "skip": 1},
        }
        session.undo()
        assert len(session.status().contradictions) == 1


def test_of_answers_a_quarter_of_a_diameter_apart_the_newer_counts(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        name, x, y = at(session, 0)
        session.answer(0, "reject")
        session.add(name, x + 0.2 * DIAMETER, y)
        (said,) = session.status().contradictions
        assert name in said
        assert session.labels.y.tolist() == [1]
        assert at(session, 0) not in places_of(session.picks(0.0).table)
        # Farther away, both hold.
        session.answer(1, "reject")
        other = at(session, 1)
        session.add(name, other[1] + 0.3 * DIAMETER, other[2])
        assert len(session.status().contradictions) == 1
        assert sorted(session.labels.y.tolist()) == [0, 1, 1]


def test_taking_back_an_own_click_is_no_contradiction(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        entry = session.add(0, *_middle(0))
        assert entry.places is not None
        session.remove(entry.places)
        session.add(0, _middle(0)[0] + 10, _middle(0)[1])
        status = session.status()
        assert status.contradictions == ()
        assert (status.positives, status.negatives) == (1, 0)


def _middle(column: int) -> tuple[float, float]:
    """A place half a step from all candidates."""
    return 400.0 + (column + 0.5) * STEP, 400.0 + 0.5 * STEP


def test_status_says_where_the_answers_went(tmp_path: Path) -> None:
    with make_session(tmp_path / "s", 3, encoded=2) as session:
        queue = session.propose(4)
        session.answer(queue[0], "confirm")
        session.answer(queue[1], "reject")
        session.answer(PER - 1, "skip")
        session.add("mics/m1.mrc", *_middle(2))
        status = session.status()
        assert status.micrographs == {"waiting": 1, "ready": 2, "failed": 0, "excluded": 0}
        assert status.candidates == 2 * PER
        assert status.answers == {"confirm": 1, "reject": 1, "skip": 1, "move": 0, "add": 1}
        assert (status.positives, status.negatives) == (2, 1)
        assert sum(sum(c.values()) for c in status.by_kind.values()) == 4
        assert status.by_kind["placed"] == {"add": 1}
        assert status.by_kind["background"]["skip"] == 1
        assert sum(status.by_strategy[DEFAULT_STRATEGY].values()) >= 2
        assert status.by_micrograph["mics/m1.mrc"]["add"] == 1
        reasons = {q.reason for q in queue[:2]}
        assert reasons <= set(status.by_reason)
        assert status.can_undo == "add"
        assert status.stop == ""
        assert status.unlearnt == 4
        assert status.estimate is not None


def test_many_answers_are_one_or_none(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        entries = session.answer_many(
            [
                Answer("confirm", 0),
                Answer("move", 2, xy=(1000.0, 1000.0)),
                Answer("add", micrograph="m1", xy=(700.0, 700.0)),
                Answer("exclude", micrograph=2),
            ]
        )
        assert [e.kind for e in entries] == ["confirm", "move", "add", "exclude"]
        assert [e.id for e in entries] == [1, 2, 3, 4]
        assert session.journal == entries


def test_more_micrographs_can_be_taken_in(tmp_path: Path) -> None:
    from cryomae.micrograph import MicrographRef

    with make_session(tmp_path / "s", 2) as session:
        session.answer(PER, "confirm")
        refs = [MicrographRef(f"mics/m{i}.mrc", Path(f"/nowhere/m{i}.mrc")) for i in (1, 2, 3)]
        new = session.extend(refs, {"mics/m3.mrc": 1.5})
        assert [m.name for m in new] == ["mics/m2.mrc", "mics/m3.mrc"]
        for micrograph in new:
            keep_made(session, micrograph)
        assert len(session.pool) == 4 * PER
        assert session.pool.defocus[3] == 1.5
        assert session.labels.rows.tolist() == [PER]


def test_readers_see_a_session_in_use_and_change_nothing(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        session.answer(0, "confirm")
        with Session.open(tmp_path / "s", write=False) as reader:
            assert reader.status() == session.status()
            for act in (
                lambda: reader.answer(1, "confirm"),
                reader.undo,
                reader.propose,
                lambda: reader.relink([tmp_path]),
            ):
                with pytest.raises(InputError, match="reading only"):
                    act()
            session.answer(1, "confirm")
            assert len(reader.journal) == 1
            reader.reload()
            assert len(reader.journal) == 2


def test_what_is_asked_of_a_session_needs_no_torch(tmp_path: Path) -> None:
    with make_session(tmp_path / "s") as session:
        answer_truly(session, 10)
    script = (
        "import sys; from cryomae.active.session import Session\n"
        "with Session.open(sys.argv[1]) as s:\n"
        "    s.answer(s.propose()[0], 'confirm'); s.train(); s.status(); s.picks()\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "s")], check=False)
    assert done.returncode == 0


def test_undo_and_redo_reach_over_everything(tmp_path: Path) -> None:
    """What is taken back leaves no trace in picks and labels, whatever it was."""
    draw = np.random.default_rng(0)

    def outcome() -> tuple[object, ...]:
        rows, scores = session.pick_rows(0.5)
        labels = session.labels
        return (rows.tolist(), scores.tolist(), labels.rows.tolist(), labels.y.tolist(),
                session.answers.excluded, [p.id for p in session.queue],
                session.pick_rows()[0].tolist())  # fmt: skip

    with make_session(tmp_path / "s") as session:
        session.propose(20)
        first = session.answer(0, "confirm")
        found = [outcome()]
        for _ in range(60):
            ids = [*range(3 * PER), *(-p.id for p in session.answers.placed)]
            id_ = int(draw.choice(ids))
            x, y = (float(v) for v in draw.uniform(0, SIDE - 1, 2))
            kind = str(
                draw.choice(["confirm", "reject", "skip", "move", "add", "out", "in", "score"])
            )
            if kind == "score":
                chosen = None if draw.random() < 0.2 else float(draw.random())
                session.set_threshold(chosen, *draw.permutation([None, 0, 1])[:1].tolist())
            elif kind == "add":
                session.add(int(draw.integers(3)), x, y)
            elif kind in ("out", "in"):
                (session.exclude if kind == "out" else session.include)(int(draw.integers(3)))
            else:
                session.answer(id_, kind, (x, y) if kind == "move" else None)
            found.append(outcome())
        for expected in found[-2::-1]:
            assert session.undo() is not None
            assert outcome() == expected
        assert session.answers.next_undo == first
        for expected in found[1:]:
            assert session.redo() is not None
            assert outcome() == expected
        assert session.redo() is None


def test_thresholds_of_the_user_count_and_are_kept(tmp_path: Path) -> None:
    def least(session: Session) -> list[float]:
        table = session.picks().table
        return [float(part["score"].min()) for _, part in table.groupby("micrograph")]

    with make_session(tmp_path / "s") as session:
        answer_truly(session, 30)
        chosen = session.train().threshold
        scores = np.sort(session.scores)
        assert np.array_equal(session.thresholds, [chosen] * 3)
        low, high = float(scores[30]), float(scores[-20])
        session.set_threshold(low)
        session.set_threshold(high, 1)
        assert least(session)[0] < chosen
        before = session.status().unlearnt
    with Session.open(tmp_path / "s") as session:
        assert np.array_equal(session.thresholds, [low, high, low])
        assert least(session)[1] >= high
        assert all(low <= value < high for value in np.array(least(session))[[0, 2]])
        assert session.status().unlearnt == before == 0  # nothing to learn from a threshold
        session.set_threshold(None, 1)
        assert np.array_equal(session.thresholds, [low] * 3)
        session.train()
        assert np.array_equal(session.thresholds, [low] * 3)  # the user's stands
        session.set_threshold(None)
        assert np.array_equal(session.thresholds, [session.versions[-1].threshold] * 3)
        for wrong in (1.5, -0.1, float("nan")):
            with pytest.raises(InputError, match="scores are from 0 to 1"):
                session.set_threshold(wrong)
