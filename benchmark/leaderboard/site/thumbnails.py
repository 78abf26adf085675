"""Small WebP pictures, each stored once under the hash of its content."""

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.explanation.rendered import Rendered
from css_gen.storage.configuration import Configuration

SIDE = 96
"""Width and height of a thumbnail in pixels."""

_QUALITY = 78


class Thumbnails:
    """Renders thumbnails on demand.

    Attributes:
        files: content by name of the file, of all that were asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._names: dict[tuple[Configuration, int, str], str] = {}

    def name(self, rendered: Rendered, image: int, column: str = "image_3d") -> str:
        """The file name of the thumbnail of an image of the gallery."""
        place = (rendered.configuration, image, column)
        if place not in self._names:
            content = _thumbnail(rendered.pixels(image, column))
            name = f"{hashlib.sha256(content).hexdigest()[:16]}.webp"
            self._names[place] = name
            self.files[name] = content
        return self._names[place]


def _thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(pixels)
    if max(image.size) > SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_QUALITY, method=4)
    return file.getvalue()
