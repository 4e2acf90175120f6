"""Micrographs in: find them, look at their headers, read their pixels.

Three functions: `find_micrographs` turns what a user names into a list, `read_header` says
what a file holds without reading its pixels, `read_micrograph` reads one. Errors name the
file, the cause and the remedy.
"""

from cryomae.io.discover import find_micrographs
from cryomae.io.files import SUFFIXES
from cryomae.io.header import Header
from cryomae.io.read import read_header, read_micrograph

__all__ = ["SUFFIXES", "Header", "find_micrographs", "read_header", "read_micrograph"]
