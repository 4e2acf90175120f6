"""What stands in a journal, whatever was undone and done again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cryomae.active.journal import Entry, State, replay

KINDS = ("confirm", "reject", "skip")


def entry(id_: int, kind: str, candidate: int | None = None, **more: object) -> Entry:
    return Entry(id_, "2026-01-01T00:00:00+00:00", "ann", kind, candidate, **more)  # type: ignore[arg-type]


def standing(state: State) -> list[int]:
    return [e.id for e in state.standing]


def test_the_newest_answer_counts() -> None:
    state = replay([entry(1, "confirm", 5), entry(2, "reject", 7), entry(3, "reject", 5)])
    assert {i: e.kind for i, e in state.answers.items()} == {5: "reject", 7: "reject"}


def test_undo_brings_back_the_answer_before() -> None:
    state = replay([entry(1, "confirm", 5), entry(2, "reject", 5), entry(3, "undo", target=2)])
    assert state.answers[5].kind == "confirm"
    assert state.next_redo == entry(2, "reject", 5)
    assert state.next_undo == entry(1, "confirm", 5)


def test_exclusions_and_placed_particles_are_undone_like_answers() -> None:
    entries = [
        entry(1, "add", micrograph=0, x=10.0, y=20.0),
        entry(2, "exclude", micrograph=3),
        entry(3, "undo", target=2),
        entry(4, "undo", target=1),
    ]
    assert replay(entries[:2]).excluded == {3}
    assert replay(entries[:3]).excluded == frozenset()
    assert replay(entries[:3]).particles == {-1}
    assert replay(entries).particles == frozenset()
    redone = replay([*entries, entry(5, "redo", target=1), entry(6, "redo", target=2)])
    assert redone.particles == {-1}
    assert redone.excluded == {3}


def test_a_particle_moved_twice_is_where_it_was_moved_last() -> None:
    entries = [
        entry(1, "move", 4, micrograph=0, x=1.0, y=1.0),
        entry(2, "move", micrograph=0, x=2.0, y=2.0, target=1),
        entry(3, "move", 4, micrograph=0, x=3.0, y=3.0),
    ]
    assert replay(entries[:1]).particles == {-1}
    assert replay(entries[:2]).particles == {-2}
    # Moving the candidate anew overrules the move before and all that came of it.
    assert replay(entries).particles == {-3}
    assert replay([*entries, entry(4, "reject", 4)]).particles == frozenset()


def test_a_placed_particle_that_was_rejected_or_skipped_does_not_count() -> None:
    placed = entry(1, "add", micrograph=0, x=1.0, y=1.0)
    for kind in ("reject", "skip"):
        state = replay([placed, entry(2, kind, micrograph=0, target=1)])
        assert state.particles == frozenset()
        assert state.placed == (placed,)
    assert replay([placed, entry(2, "confirm", micrograph=0, target=1)]).particles == {-1}


@given(st.lists(st.sampled_from([*KINDS, "undo", "redo"]), max_size=60), st.randoms())
def test_undo_and_redo_are_those_of_an_editor(steps: list[str], random: object) -> None:
    """Against a list with a cursor, the plainest editor there is."""
    entries: list[Entry] = []
    history: list[int] = []
    cursor = 0
    for i, step in enumerate(steps, start=1):
        if step in KINDS:
            history = [*history[:cursor], i]
            cursor += 1
            entries.append(entry(i, step, candidate=random.randrange(8)))  # type: ignore[attr-defined]
        elif step == "undo" and cursor:
            cursor -= 1
            entries.append(entry(i, "undo", target=history[cursor]))
        elif step == "redo" and cursor < len(history):
            entries.append(entry(i, "redo", target=history[cursor]))
            cursor += 1
        state = replay(entries)
        assert standing(state) == history[:cursor]
        assert [e.id for e in state.undone][::-1] == history[cursor:]
    done = {e.id: e for e in entries}
    newest = {done[i].candidate: i for i in history[:cursor]}
    assert {c: e.id for c, e in replay(entries).answers.items()} == newest
