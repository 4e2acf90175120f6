"""Everything that a user does in the window, by real keys and clicks, and what it leaves behind."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from window_helpers import DIAMETER, Window, is_particle, place_of

from cryomae.active.session import Session


@pytest.fixture
def window(open_window, made) -> Window:
    window = open_window()
    window.open(made)
    window.desk.auto_train = False
    return window


def journal(window: Window) -> list[str]:
    """What is written in the session, read as another program would."""
    with Session.open(window.desk.standing.path, write=False) as session:
        return [entry.kind for entry in session.journal]


def asked(window: Window, confirm: bool = True):
    """Wait for the next proposal to be on screen."""
    if confirm:
        window.panel("Confirm")
    window.until(
        lambda: (
            window.desk.standing.current is not None
            and window.stage.showing
            and window.stage.at == window.desk.standing.current.micrograph
            and window.circles.asking
        )
    )
    return window.desk.standing.current


def answer(window: Window, key: Qt.Key, focus=None) -> None:
    """Press a key and wait until it is written down."""
    asked(window, confirm=False)
    before = len(window.desk.standing.answers), window.desk.standing.at
    window.key(key, focus=focus)
    window.until(lambda: (len(window.desk.standing.answers), window.desk.standing.at) != before)


def test_one_key_an_answer_wherever_the_focus_is(window) -> None:
    first = asked(window)
    layers = window.viewer.layers
    spot = [window.canvas, window.main, window.panel("Confirm").learn]
    for layer, focus, key in zip((*layers, None), spot, "YNS", strict=True):
        layers.selection.active = layer
        answer(window, getattr(Qt.Key, f"Key_{key}"), focus)
    said = [
        window.desk.standing.answers[p.candidate].kind for p in window.desk.standing.proposals[:3]
    ]
    assert said == ["confirm", "reject", "skip"]
    assert window.desk.standing.proposals[0] == first
    assert journal(window) == said


def test_back_undo_and_redo(window) -> None:
    first = asked(window)
    for key in (Qt.Key.Key_Y, Qt.Key.Key_N):
        answer(window, key)
    window.key(Qt.Key.Key_B)
    window.until(lambda: window.desk.standing.at == 1)
    answer(window, Qt.Key.Key_Y)  # another answer replaces the one before
    assert [e.kind for e in window.desk.standing.answers.values()] == ["confirm", "confirm"]
    window.key(Qt.Key.Key_U)
    window.until(lambda: [*window.desk.standing.answers.values()][-1].kind == "reject")
    window.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    window.key(Qt.Key.Key_U)
    window.until(lambda: not window.desk.standing.answers)
    assert window.desk.standing.current == first  # the camera is back where it was
    y, x = window.viewer.scene.camera.center[-2:]
    assert (x, y) == pytest.approx((first.x, first.y), abs=0.01)
    for _ in range(3):
        window.key(Qt.Key.Key_R)
    window.until(lambda: len(window.desk.standing.answers) == 2)
    assert journal(window) == ["confirm", "reject", "confirm", *["undo"] * 3, *["redo"] * 3]


def test_a_key_pressed_blindly_answers_nothing(window) -> None:
    """In another step the first key brings the question, and only the next one answers."""
    window.panel("Curate")
    window.until(lambda: not window.circles.asking)
    window.key(Qt.Key.Key_Y)
    current = asked(window, confirm=False)
    assert not window.desk.standing.answers
    answer(window, Qt.Key.Key_Y)
    assert list(window.desk.standing.answers) == [current.candidate]


def test_clicks_add_move_and_take_away(window) -> None:
    window.panel("Curate")
    window.stage.show(0)
    window.settle()
    between = place_of(0)[0] + 35.0, place_of(0)[1] + 35.0  # a free place
    picked = next(
        (float(x), float(y))
        for (y, x), state in zip(window.circles.marks.yx, window.circles.marks.state, strict=True)
        if state == "picked"
    )
    window.click(*between)
    window.until(lambda: len(window.desk.standing.placed) == 1)
    scale = 1 / window.viewer.scene.camera.zoom
    assert window.desk.standing.placed[0].xy == pytest.approx(between, abs=1.5 * scale)
    end = between[0] + 0.5 * DIAMETER, between[1]
    window.drag(between, end)
    window.until(lambda: window.desk.standing.placed[0].kind == "move")
    assert window.desk.standing.placed[0].xy == pytest.approx(end, abs=1.5 * scale)
    window.click(*picked)
    window.until(lambda: [e.kind for e in window.desk.standing.answers.values()][-1] == "reject")
    window.settle()
    assert window.circles.nearest(picked[::-1]) is None
    before = window.viewer.scene.camera.center[-2:]
    window.drag(picked, (picked[0] + 60, picked[1]))  # an empty place moves the picture
    window.until(lambda: window.viewer.scene.camera.center[-2:] != before)
    for _ in range(3):
        window.key(Qt.Key.Key_U)
    window.until(lambda: not window.desk.standing.answers and not window.desk.standing.placed)
    window.settle()
    assert window.circles.nearest(picked[::-1]) is not None
    assert journal(window) == ["add", "move", "reject", "undo", "undo", "undo"]


def test_thresholds_are_dragged_kept_and_undone(window, open_window, made) -> None:
    curate = window.panel("Curate")
    window.settle()
    bars = curate.all.histogram
    picks = [int(window.desk.found.reach(window.desk.standing).sum())]

    def drag(bars, share: float) -> None:
        spot = QPoint(round(share * bars.width()), 20)
        window.qtbot.mousePress(bars, Qt.MouseButton.LeftButton, pos=QPoint(3, 20))
        window.qtbot.mouseRelease(bars, Qt.MouseButton.LeftButton, pos=spot)

    window.qtbot.mousePress(bars, Qt.MouseButton.LeftButton, pos=QPoint(bars.width() // 2, 20))
    assert window.desk.standing.threshold == pytest.approx(0.5, abs=0.01)  # live
    assert 0 < window.desk.found.reach(window.desk.standing).sum() < picks[0]
    assert journal(window) == []  # but nothing is written before it is let go
    window.qtbot.mouseRelease(bars, Qt.MouseButton.LeftButton)
    window.settle()
    assert journal(window) == ["threshold"]
    curate.own.value.setValue(0.9)
    window.settle()
    assert window.desk.standing.threshold_of(0) == 0.9
    assert window.desk.standing.threshold_of(1) == pytest.approx(0.5, abs=0.01)
    shown = window.circles.marks
    assert shown.score[shown.state == "picked"].min(initial=1) >= 0.9
    count = int(window.desk.found.reach(window.desk.standing).sum())
    window.close()

    with Session.open(made, write=False) as session:
        assert len(session.picks()) == count
    again = open_window()
    again.open(made)
    assert int(again.desk.found.reach(again.desk.standing).sum()) == count
    again.key(Qt.Key.Key_U)
    again.key(Qt.Key.Key_U)
    again.until(lambda: not again.desk.standing.thresholds)
    again.settle()
    assert int(again.desk.found.reach(again.desk.standing).sum()) == picks[0]


def test_a_micrograph_is_left_out_and_taken_in(window) -> None:
    curate = window.panel("Curate")
    window.stage.show(1)
    window.settle()
    assert (window.desk.found.micrograph == 1).any()
    window.key(Qt.Key.Key_X)
    window.until(lambda: window.desk.standing.excluded == {1})
    window.settle()
    assert not (window.desk.found.micrograph == 1).any()
    box = curate.table.item(1, 0)
    assert box.checkState() == Qt.CheckState.Unchecked
    box.setCheckState(Qt.CheckState.Checked)
    window.until(lambda: not window.desk.standing.excluded)
    window.key(Qt.Key.Key_Comma)
    assert window.stage.at == 0
    window.key(Qt.Key.Key_Period)
    assert window.stage.at == 1


def test_display_changes_the_picture_and_never_the_data(window, made) -> None:
    def hashed() -> list[str]:
        files = sorted(made.parent.glob("mics/*.mrc"))
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]

    before, layer = hashed(), window.viewer.layers["micrograph"]
    window.panel("Curate")
    window.settle()
    filtered, limits = layer.data, tuple(layer.contrast_limits)
    window.key(Qt.Key.Key_L)
    window.until(lambda: layer.data is not filtered)
    assert np.asarray(layer.data).std() > np.asarray(filtered).std()  # the noise is back
    window.key(Qt.Key.Key_L)
    window.until(lambda: np.shape(layer.data) == np.shape(filtered))
    window.workspace.display.low = 20.0
    window.stage.contrast()
    assert layer.contrast_limits[0] > limits[0]
    count = window.viewer.layers["particles"].shown.sum()
    assert count
    window.key(Qt.Key.Key_C)
    assert not window.viewer.layers["particles"].shown.sum()
    window.key(Qt.Key.Key_C)
    assert window.viewer.layers["particles"].shown.sum() == count
    assert len(window.viewer.layers) == 2  # one layer of circles, however often it is drawn
    particles = window.viewer.layers["particles"]
    assert np.allclose(particles.size[particles.shown], DIAMETER)  # 1 Å a pixel
    assert hashed() == before
    assert journal(window) == []


def test_help_names_every_key(window) -> None:
    from cryomae.napari.keys import Keys

    keys = window.main.findChild(Keys)
    window.key(Qt.Key.Key_H)
    assert keys.help.isVisible()
    for _, group in keys.table:
        for key in group:
            assert f"&nbsp;{key.keys[0]}&nbsp;" in keys.help.text()
            assert key.says in keys.help.text()
    window.key(Qt.Key.Key_H)
    assert not keys.help.isVisible()


def test_it_learns_by_itself_after_a_batch(window) -> None:
    window.desk.auto_train = True
    confirm = window.panel("Confirm")
    for _ in range(10):
        current = asked(window)
        answer(window, Qt.Key.Key_Y if is_particle(current.candidate) else Qt.Key.Key_N)
    window.until(lambda: window.desk.standing.version == 1)
    window.settle()
    assert "10 answers" in window.desk.standing.message
    assert "95 %" in confirm.estimate.text()
    assert window.desk.standing.current is not None  # and asks on
    scores = window.desk.found.score[~window.desk.found.sure]
    ids = window.desk.found.id[~window.desk.found.sure]
    right = (scores > 0.5) == [is_particle(i) for i in ids]
    assert right.mean() > 0.8


def test_the_command_line_gives_the_same_picks(window, made, tmp_path: Path) -> None:
    for _ in range(6):
        current = asked(window)
        answer(window, Qt.Key.Key_Y if is_particle(current.candidate) else Qt.Key.Key_N)
    window.panel("Curate").own.value.setValue(0.6)
    window.settle()
    export = window.panel("Export")
    export.folder.setText(str(tmp_path / "window"))
    export.model.setChecked(False)
    window.press(export.write)
    window.until(lambda: "picks of" in export.result.text(), 120)
    command = [Path(sys.executable).parent / "cryomae", "active", "export", made]
    subprocess.run([*command, "-o", tmp_path / "cli"], check=True)
    stars = sorted((tmp_path / "window").rglob("m*_cryomae.star"))
    assert len(stars) == 2
    for star in stars:
        other = tmp_path / "cli" / star.relative_to(tmp_path / "window")
        assert other.read_bytes() == star.read_bytes()


def test_the_gallery_shows_crops_and_goes_where_it_is_clicked(window) -> None:
    gallery = window.panel("Confirm").gallery
    asked(window)
    window.until(lambda: len(window.desk.standing.proposals) > 3)
    window.until(lambda: len(gallery._crops) > 3)
    box = gallery._box(2)
    window.qtbot.mouseClick(gallery, Qt.MouseButton.LeftButton, pos=box.center().toPoint())
    window.until(lambda: window.desk.standing.at == 2)
    third = asked(window)
    assert third == window.desk.standing.proposals[2]
    y, x = window.viewer.scene.camera.center[-2:]
    assert (x, y) == pytest.approx((third.x, third.y), abs=0.01)


def test_a_drawn_ruler_gives_the_diameter(window) -> None:
    pick = window.panel("Pick")
    window.stage.show(0)
    window.until(lambda: window.stage.showing)
    window.press(pick.draw)
    x, y = place_of(24)
    window.drag((x, y), (x + 30, y))
    window.until(lambda: pick.diameter.value() == pytest.approx(60, abs=4))
    assert journal(window) == []
