import pytest
from session_helpers import is_particle, make_session

from cryomae.active.journal import Answer
from cryomae.active.sitting import Sitting


@pytest.fixture
def sitting(tmp_path):
    with make_session(tmp_path / "s") as session:
        yield Sitting(session, session.propose(5))


def kinds(sitting):
    return [sitting.answer_of(p) for p in sitting.proposals]


def test_keys_answer_and_go_on(sitting):
    for key in "yNs":
        sitting.press(key)
    assert kinds(sitting) == ["confirm", "reject", "skip", "", ""]
    assert sitting.at == 3
    sitting.press("x")
    assert sitting.at == 3
    assert "y confirm" in sitting.message
    assert len(sitting.session.journal) == 3
    sitting.press("q")
    assert sitting.finished


def test_back_shows_an_answer_and_another_replaces_it(sitting):
    for key in "yyybb":
        sitting.press(key)
    assert sitting.at == 1
    sitting.press("y")  # the same again is no answer
    assert (sitting.at, len(sitting.session.journal)) == (3, 3)
    for key in ("\x1b[D", "b", "n"):
        sitting.press(key)
    assert kinds(sitting) == ["confirm", "reject", "confirm", "", ""]
    assert sitting.at == 3
    for _ in range(9):
        sitting.press("b")
    assert sitting.at == 0


def test_undo_and_redo_show_what_they_were_about(sitting):
    for key in "ynu":
        sitting.press(key)
    assert (sitting.at, kinds(sitting)[:2]) == (1, ["confirm", ""])
    assert "undone: rejected proposal 2" in sitting.message
    for key in "uuu":
        sitting.press(key)
    assert sitting.message == "There is nothing to undo."
    for key in "rr":
        sitting.press(key)
    assert (sitting.at, kinds(sitting)[:2]) == (2, ["confirm", "reject"])
    sitting.press("r")
    assert sitting.message == "There is nothing to redo."


def test_all_answered_waits_for_more(sitting):
    for _ in range(5):
        sitting.press("y")
    assert sitting.current is None
    assert not sitting.finished
    before = [p.candidate for p in sitting.proposals]
    more = sitting.fetch(5)
    assert not {p.candidate for p in more} & set(before)
    assert sitting.current == more[0]


def test_more_is_fetched_before_the_last_one_is_answered(sitting):
    sitting.top_up()
    assert len(sitting.proposals) == 5
    for _ in range(3):
        sitting.press("y")
    sitting.top_up()
    assert sitting.at == 3
    waiting = sitting.proposals[3:]
    assert len(waiting) == sitting.session.settings.batch
    assert not any(sitting.answer_of(p) for p in waiting)


def test_after_a_training_the_one_on_screen_stays(sitting):
    for _ in range(2):
        sitting.press("y" if is_particle(sitting.current.candidate) else "n")
    shown = sitting.current
    sitting.session.train()
    sitting.renew()
    assert sitting.current == shown
    assert len(sitting.proposals) > sitting.at + 1
    assert {p.version for p in sitting.proposals[sitting.at + 1 :]} == {1}


def test_answers_from_elsewhere(sitting):
    """A click on the micrograph answers too; on to the next if it was the one that is asked."""
    first, second = sitting.proposals[:2]
    sitting.do(Answer("confirm", second.candidate))
    assert sitting.current == first
    sitting.do(Answer("reject", first.candidate))
    assert sitting.at == 2
    assert sitting.unlearnt == 2
    sitting.do(Answer("threshold", value=0.4))
    assert sitting.unlearnt == 2
    assert not sitting.due
    for id_ in range(10):
        sitting.do(Answer("confirm" if is_particle(id_) else "reject", id_))
    assert sitting.due
    sitting.session.train()
    assert not sitting.due
