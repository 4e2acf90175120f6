"""A look at cryoSPARC's compressed form before cryosparc-tools reads it.

cryosparc-tools trusts these files. One that was cut short, by a full disk or a broken copy, makes
it read memory that is not its own: that ends the program without a word, or gives wrong names.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAGIC = b"\x95CSDAT"
_OFFSET = np.dtype("<u8")  # of a text in the texts at the end of the file


def check_stream(path: Path) -> None:
    """Raise ValueError if a file of the compressed form is damaged; let others pass.

    A file holds a header, a block for each column, and all texts, each ended by a zero byte.

    Parameters
    ----------
    path : Path
        Any file.
    """
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
        header = json.loads(_block(file))
        rows, packed = int(header["length"]), set(header["compressed_fields"])
        furthest = -1
        for name, kind, *shape in header["dtype"] if rows else ():
            text = np.dtype(kind).hasobject
            item = _OFFSET if text else np.dtype(kind)
            size = rows * item.itemsize * math.prod(shape[0] if shape else ())
            column = _unpacked(_block(file), size) if name in packed else _block(file)
            _demand(len(column) == size)
            if text:
                furthest = max(furthest, int(np.frombuffer(column, _OFFSET).max()))
        texts = file.read()
    texts.decode("utf-8")
    _demand(furthest < len(texts) and (not texts or texts.endswith(b"\0")))


def _block(file: BinaryIO) -> bytes:
    size = int.from_bytes(file.read(4), "little")
    block = file.read(size)
    _demand(len(block) == size > 0)
    return block


def _unpacked(block: bytes, size: int) -> bytes:
    from cryosparc.dataset.core import Data, Stream

    stream = Stream(Data())  # owns the memory of what it gives
    return bytes(stream.decompress(block, 0, size))


def _demand(whole: bool) -> None:
    if not whole:
        raise ValueError("the file is cut short or damaged")
