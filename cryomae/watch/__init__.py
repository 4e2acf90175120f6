"""Picking what arrives, while the microscope runs."""

from cryomae.watch.run import WatchNews, watch

__all__ = ["WatchNews", "watch"]
