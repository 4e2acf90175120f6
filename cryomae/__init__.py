"""cryomae: cryo-EM particle picking with a masked autoencoder."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look up the version when asked for it, so that importing cryomae costs nothing."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cryomae")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
