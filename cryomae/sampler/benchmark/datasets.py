"""Labelled data sets for benchmarks: svmlight files, scikit-learn's own sets, image sets."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BUNDLED = ("iris", "wine", "breast_cancer", "digits")
"""Sets that come with scikit-learn, asked for as ``sklearn:NAME``."""

SVMLIGHT = (".svm", ".svmlight", ".libsvm")


class DatasetError(ValueError):
    """A data set that cannot be read or used; the message names it and says what to do."""


@dataclass(frozen=True)
class Dataset:
    """Rows to label and their labels.

    Attributes
    ----------
    name : str
    x : ndarray, float64, shape (n, f)
        Features; images are flattened, channels first.
    y : ndarray, int64, shape (n,)
        Classes 0 to C - 1, in the sorted order of the labels in the file.
    test : ndarray, int64, shape (t,), or None
        Rows that the set itself keeps for tests; None where a split is drawn.
    image : tuple of int or None
        Channels, height and width, where the rows of `x` are images.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.int64]
    test: NDArray[np.int64] | None = None
    image: tuple[int, int, int] | None = None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.y.max()) + 1


def load_dataset(source: str) -> Dataset:
    """Load ``sklearn:NAME``, an svmlight file or an image set.

    Parameters
    ----------
    source : str
        ``sklearn:`` and a name of `BUNDLED`; a file of svmlight format (.svm, .svmlight,
        .libsvm); or an .npz with ``y`` (n,) and ``x`` (n, f), or images (n, height, width) or
        (n, height, width, channels), or the keys of MedMNIST
        (``train_images``, ``train_labels``, ``test_images`` ..., whose test rows stay test
        rows and whose validation rows join the training rows).

    Raises
    ------
    DatasetError
        When it is absent, unreadable, not finite, or has fewer than two classes.
    """
    if source.startswith("sklearn:"):
        return _checked(source.removeprefix("sklearn:"), *_bundled(source))
    path = Path(source)
    readers: dict[str, Callable[[Path], tuple[Any, Any, Any]]] = {
        ".npz": _npz,
        **dict.fromkeys(SVMLIGHT, _svmlight),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(
            f"{source}: not a data set: give {', '.join(readers)} or sklearn:NAME with NAME one "
            f"of {', '.join(BUNDLED)}"
        )
    try:
        x, y, test = reader(path)
    except DatasetError:
        raise
    except FileNotFoundError:
        raise DatasetError(f"{source}: no such file") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{source}: cannot be read: {error}") from error
    return _checked(path.stem, x, y, test)


def find_datasets(sources: list[str]) -> list[str]:
    """Replace folders by the data sets in them, sorted; other sources stay as they are.

    Raises
    ------
    DatasetError
        When a folder holds none.
    """
    found: list[str] = []
    for source in sources:
        folder = Path(source)
        if not folder.is_dir():
            found.append(source)
            continue
        inside = [str(p) for p in sorted(folder.iterdir()) if p.suffix in (*SVMLIGHT, ".npz")]
        if not inside:
            raise DatasetError(f"{source}: holds no .npz, {', '.join(SVMLIGHT)}")
        found += inside
    return found


def _checked(name: str, x: Any, y: Any, test: Any) -> Dataset:
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise DatasetError(f"{name}: features must be numbers, not {x.dtype}")
    image = None
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim == 4:  # height, width, channels as image files have them
        x = np.moveaxis(x, -1, 1)
        image = (int(x.shape[1]), int(x.shape[2]), int(x.shape[3]))
    x = x.reshape(len(x), -1).astype(np.float64)
    labels = np.asarray(y).reshape(-1)
    if len(x) != len(labels):
        raise DatasetError(f"{name}: {len(x)} rows but {len(labels)} labels")
    if not np.isfinite(x).all():
        raise DatasetError(f"{name}: features hold NaN or infinity: remove or fill such rows")
    values, classes = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise DatasetError(f"{name}: fewer than two classes: nothing to learn")
    rows = None if test is None else np.asarray(test, dtype=np.int64)
    return Dataset(name, x, classes.astype(np.int64), rows, image)


def _bundled(source: str) -> tuple[Any, Any, None]:
    from sklearn import datasets

    name = source.removeprefix("sklearn:")
    if name not in BUNDLED:
        raise DatasetError(f"{source}: scikit-learn's sets are {', '.join(BUNDLED)}")
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return x, y, None


def _svmlight(path: Path) -> tuple[Any, Any, None]:
    from sklearn.datasets import load_svmlight_file

    x, y = load_svmlight_file(str(path))
    return x.toarray(), y, None


def _npz(path: Path) -> tuple[Any, Any, Any]:
    with np.load(path, allow_pickle=False) as held:
        if "x" in held and "y" in held:
            return held["x"], held["y"], None
        parts = [p for p in ("train", "val", "test") if f"{p}_images" in held]
        if "train" not in parts:
            raise DatasetError(
                f"{path}: needs x and y, or train_images and train_labels; holds "
                f"{', '.join(held.files) or 'nothing'}"
            )
        x = np.concatenate([held[f"{p}_images"] for p in parts])
        y = np.concatenate([held[f"{p}_labels"].reshape(-1) for p in parts])
        if "test" not in parts:
            return x, y, None
        count = len(held["test_labels"])
        return x, y, np.arange(len(y) - count, len(y))
