"""Picks of other programs in, picks for other programs out."""

from cryomae.exchange.change import Change, apply
from cryomae.exchange.load import Loaded, load
from cryomae.exchange.save import Saved, save, save_for

__all__ = ["Change", "Loaded", "Saved", "apply", "load", "save", "save_for"]
