"""The napari plugin: a window on `cryomae.active`, with no logic of its own.

One module a part of the window; `cryomae.napari.workspace` says what they share.
"""
