import csv

import pytest
from session_helpers import is_particle, make_session

from cryomae.active.answers_file import Asked, read_rows, write_template
from cryomae.active.export import export_answers
from cryomae.active.settle import settle
from cryomae.errors import InputError


@pytest.fixture
def session(tmp_path):
    with make_session(tmp_path / "s") as made:
        made.propose(10)
        yield made


def table(tmp_path, text):
    path = tmp_path / "answers.csv"
    path.write_text(text)
    return path


def take(session, tmp_path, text):
    """Write a table's answers down."""
    path = table(tmp_path, text)
    settled = settle(read_rows(path)[0], session, path)
    session.answer_many(settled.answers)
    return settled


def refusal(session, tmp_path, text):
    before = len(session.journal)
    with pytest.raises(InputError) as caught:
        take(session, tmp_path, text)
    assert len(session.journal) == before
    return str(caught.value)


def test_a_template_that_is_filled_in_is_read_as_it_stands(session, tmp_path):
    path = tmp_path / "t.csv"
    names = [m.name for m in session.micrographs]
    write_template(
        path, [Asked(p.id, names[p.micrograph], p.x, p.y, 0.5, "unsure") for p in session.queue]
    )
    assert read_rows(path) == ([], 10)
    rows = list(csv.DictReader(path.open()))
    for row, word in zip(rows, ["y", "N", "skip", "1", "0", "Confirm", "reject", "yes", "no"],
                         strict=False):  # fmt: skip
        row["answer"] = word
    text = "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)])
    queue = session.queue
    settled = take(session, tmp_path, text)
    kinds = ["confirm", "reject", "skip", "confirm", "reject", "confirm", "reject", "confirm",
             "reject"]  # fmt: skip
    assert [a.kind for a in settled.answers] == kinds
    assert [a.candidate for a in settled.answers] == [p.candidate for p in queue[:9]]
    assert [p.id for p in session.queue] == [queue[9].id]


def test_a_table_given_twice_counts_once(session, tmp_path):
    text = "id,x,y,answer\n1,,,y\n2,,,n\n,,,\n"
    moved = session.queue[2]
    text += f"3,{moved.x + 20},{moved.y},y\n"
    assert len(take(session, tmp_path, text).answers) == 3
    again = take(session, tmp_path, text)
    assert (again.answers, again.repeated, again.contradictions) == ((), 3, ())


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_spreadsheets_with_a_decimal_comma(session, tmp_path, delimiter):
    first = session.queue[0]
    text = f"﻿id,x,y,answer\r\n1,{first.x + 12.5:.1f},{first.y:.1f},y\r\n"
    comma = text.replace(",", delimiter).replace(".", ",")
    (answer,) = take(session, tmp_path, comma).answers
    assert answer.kind == "move"
    assert answer.xy == pytest.approx((first.x + 12.5, first.y))


def test_wrong_rows_are_all_named_and_nothing_is_taken(session, tmp_path):
    text = refusal(session, tmp_path, "id,answer\n1,y\n2,perhaps\n3,y\nfour,n\n1.5,n\n")
    assert "3 rows are wrong, nothing was taken" in text
    assert "row 3: 'perhaps'" in text
    assert "row 5: the id 'four'" in text
    assert "row 6: the id '1.5'" in text
    text = refusal(session, tmp_path, "id,answer\n1,y\n99,y\n2,y\n2,n\n")
    assert "row 3: there is no proposal 99 (those of this session are 1 to 10)" in text
    assert "row 5: proposal 2 has another answer in row 4" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column answer"),
        ("id,what\n1,y\n", "no column answer; its first row is: id, what"),
        ("answer\ny\n", "neither ids nor places"),
        ("id,x,answer\n1,5,y\n", "one of the columns x and y only"),
        ("id,answer,answer\n1,y,n\n", "the column answer twice"),
        ("id,answer\n", "holds no rows"),
        ("id,answer\n1,y,oops\n", "row 2: has 3 columns, the heading 2"),
        ('id,answer\n1,"y\n', "is not a table"),
        ("id,x,y,answer\n1,a,2,y\n", "row 2: x 'a' is no number"),
        ("id,x,y,answer\n1,nan,2,y\n", "row 2: x 'nan' is no number"),
        ("id,x,y,answer\n1,5,,y\n", "row 2: x is given and y is not"),
        ("id,x,y,answer\n1,9,9,y\n", "are rows mixed up?"),
        ("id,micrograph,answer\n1,elsewhere.mrc,y\n", "no micrograph 'elsewhere.mrc'"),
        ("micrograph,x,y,answer\nm0,9000,5,y\n", "lies off mics/m0.mrc, which has 4000 × 4000"),
        ("micrograph,x,y,answer\nm0,100,5,y\nm0,110,5,n\n", "another answer in row 2"),
        ("micrograph,x,y,answer\n,100,5,y\n", "neither an id nor a micrograph"),
    ],
)
def test_what_makes_no_sense_is_said(session, tmp_path, text, words):
    assert words in refusal(session, tmp_path, text)


def test_a_file_that_is_no_text(session, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("id,answer\n1,y\n".encode("utf-16"))
    with pytest.raises(InputError, match="CSV UTF-8"):
        read_rows(path)
    with pytest.raises(InputError, match="No such file"):
        read_rows(tmp_path / "gone.csv")


def test_a_rejected_place_cannot_be_moved_and_another_micrograph_is_noticed(session, tmp_path):
    first = session.queue[0]
    assert "only a confirmed particle can be moved" in refusal(
        session, tmp_path, f"id,x,y,answer\n1,{first.x + 9},{first.y},n\n"
    )
    other = (first.micrograph + 1) % 3
    assert f"lies in mics/m{first.micrograph}.mrc, not in m{other}" in refusal(
        session, tmp_path, f"id,micrograph,answer\n1,m{other},n\n"
    )


def test_contradictions_are_counted_and_the_newest_counts(session, tmp_path):
    take(session, tmp_path, "id,answer\n1,y\n2,n\n3,s\n4,y\n")
    settled = take(session, tmp_path, "id,answer\n1,n\n2,y\n3,y\n4,y\n")
    assert settled.repeated == 1
    assert len(settled.contradictions) == 2
    assert "row 2: proposal 1 was confirmed by ann, and is rejected now" in settled.contradictions
    first = session.proposals[0].candidate
    assert session.answers.answers[first].kind == "reject"


def test_places_become_particles_where_they_were_clicked(session, tmp_path):
    # 50 px from candidate 0 is a quarter of a diameter, so it is the same place.
    settled = take(session, tmp_path, "micrograph,x,y,answer\nm0,430,400,y\nm0,700,700,y\n")
    assert [(a.kind, a.xy) for a in settled.answers] == [("add", (430, 400)), ("add", (700, 700))]
    again = take(session, tmp_path, "micrograph,x,y,answer\nm0,431,400,y\nmics/m0.mrc,700,700,y\n")
    assert (again.answers, again.repeated) == ((), 2)


def test_places_without_particles_are_those_of_candidates_near(session, tmp_path):
    # A peak within a quarter; bare ground within three quarters; nothing within reach.
    ground = session.pool.xy[24]  # the first of kind grid in micrograph 0
    settled = take(
        session, tmp_path,
        f"micrograph,x,y,answer\nm0,430,400,n\nm0,{ground[0] + 120},{ground[1]},n\nm0,700,700,n\n",
    )  # fmt: skip
    assert [(a.kind, a.candidate) for a in settled.answers] == [("reject", 0), ("reject", 24)]
    assert settled.nowhere == 1


def test_answers_that_were_exported_can_be_given_to_another_session(session, tmp_path):
    for p in session.queue[:6]:
        session.answer(p, "confirm" if is_particle(p.candidate) else "reject")
    session.answer(session.queue[0], "skip")
    moved = session.queue[0]
    session.answer(moved, "move", (moved.x + 60, moved.y))
    click = session.add("m0", 700, 700)
    session.answer(click.places, "reject")
    session.add("m1", 700, 700)
    path = tmp_path / "out.csv"
    # One confirmed click fewer: it was rejected, and at its place there is no candidate.
    assert export_answers(session, path) == 6 + 1 + 1 + 1 + 1
    with make_session(tmp_path / "other") as other:
        settled = settle(read_rows(path)[0], other, path)
        other.answer_many(settled.answers)
        assert settled.nowhere == 1
        assert (other.labels.y == 1).sum() == (session.labels.y == 1).sum()
        rejected = {int(r) for r in session.labels.refused if r < 108}
        assert {int(r) for r in other.labels.refused} >= rejected - {moved.candidate}
