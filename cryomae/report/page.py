"""What every page is made of: a template, and pictures inside it."""

from __future__ import annotations

import base64
import io

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from cryomae import __version__


def render(template: str, **values: object) -> str:
    """Fill a template of this package.

    Parameters
    ----------
    template : str
        Its path below the package, such as ``report/summary.html.j2``.
    values
        What it needs; text in them is escaped. ``version`` is always there.
    """
    environment = Environment(
        loader=PackageLoader("cryomae", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=__version__, **values)


def jpeg(picture: Image.Image) -> str:
    """Picture as JPEG in base64, to stand in a page."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
