"""Doing one thing to many items: here, in processes of this machine, or on a cluster.

Nothing in here knows what the thing is. A `Backend` calls a `Work` with every item and gives
back what it answered, or that the process doing it was lost.
"""

from cryomae.scale.backend import Backend, Lost, Serial, Work

__all__ = ["Backend", "Lost", "Serial", "Work"]
