"""Whether a window can be opened here at all, found out before napari dies of it.

Without a display or without OpenGL, Qt and napari end with an abort or with a page of traces.
So it is tried first, in a process of its own: ``python -m cryomae.napari.screen``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

from cryomae.errors import CryomaeError

_NO_OPENGL = 3  # exit code of the trial
_WAYS: tuple[dict[str, str], ...] = (
    {},
    {"PYOPENGL_PLATFORM": "egl"},
    {"PYOPENGL_PLATFORM": "egl", "QT_XCB_GL_INTEGRATION": "xcb_egl", "LIBGL_ALWAYS_SOFTWARE": "1"},
)
_PATIENCE = 60  # seconds: the first start of Qt over a slow network
_TERMINAL = "answer in this terminal: cryomae active answer SESSION"
_REMOTE = "use a remote desktop (VNC, X2Go, NoMachine) or `ssh -Y`"
_SOFTWARE = "install a software OpenGL (on Debian: apt-get install libgl1-mesa-dri libegl1)"
_LIBRARIES = (
    "on Debian: apt-get install libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxkbcommon-x11-0 "
    "libegl1 libgl1"
)


class NoWindow(CryomaeError):
    """No window can be opened here."""


def find_screen() -> dict[str, str]:
    """Try how napari can open a window.

    Returns
    -------
    dict of str
        Variables that have to be in the environment for it; mostly none.

    Raises
    ------
    NoWindow
        That says what is missing and what to do.
    """
    if find_spec("napari") is None or find_spec("qtpy") is None:
        raise NoWindow("napari is not installed", "pip install 'cryomae[napari]'")
    code, errors = 0, ""
    for way in _WAYS:
        code, errors = _try(way)
        if code != _NO_OPENGL:
            break
    if code:
        raise _explain(code, errors)
    return way


def _try(way: dict[str, str]) -> tuple[int, str]:
    """Exit code and errors of a trial."""
    try:
        trial = subprocess.run(
            [sys.executable, "-m", "cryomae.napari.screen"],
            env={**os.environ, **way},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoWindow("the display does not answer", f"{_REMOTE}; or {_TERMINAL}") from None
    return trial.returncode, trial.stderr


def _explain(code: int, errors: str) -> NoWindow:
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if code == _NO_OPENGL:
        what = f"the display {shown} has no OpenGL 2"
        return NoWindow(what, f"{_SOFTWARE}; {_REMOTE}; or {_TERMINAL}")
    if not shown or "could not connect to display" in errors:
        what = f"the display {shown} cannot be reached" if shown else "there is no display"
        return NoWindow(what, f"{_REMOTE}; or {_TERMINAL}")
    last = errors.strip().splitlines()[-1:] or [f"code {code}"]
    return NoWindow(f"Qt cannot start: {last[0]}", f"{_LIBRARIES}; or {_TERMINAL}")


def main() -> None:
    """Open a display and an OpenGL context that PyOpenGL finds; the exit code says how it went."""
    from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext

    application = QGuiApplication([])
    context, surface = QOpenGLContext(), QOffscreenSurface()
    surface.create()
    good = context.create() and context.makeCurrent(surface)
    good = good and context.format().majorVersion() >= 2 and _seen_by_pyopengl()
    context.doneCurrent()
    del application
    sys.exit(0 if good else _NO_OPENGL)


def _seen_by_pyopengl() -> bool:
    """Whether napari's drawing finds the context: Qt may have used EGL, and PyOpenGL looks at GLX.

    Some versions raise an error of their own and some one of the platform's library.
    """
    from OpenGL.contextdata import getContext

    try:
        return bool(getContext())
    except Exception:  # noqa: BLE001 - whatever it is, napari would meet it too
        return False


if __name__ == "__main__":
    main()
