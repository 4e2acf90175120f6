"""cryomae: cryo-EM particle picking with a masked autoencoder."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cryomae")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
