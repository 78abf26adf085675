"""The answer to a search as one HTML file that needs no other."""

import base64
import io

from PIL import Image

from benchmark.datasets.splits import Pixels
from benchmark.leaderboard.page_templates import page_templates
from benchmark.recipe.identity import Run
from benchmark.runs.recipes import label_on
from benchmark.search.answer import Found
from benchmark.search.gallery import Gallery
from benchmark.search.query_image import printable

_QUALITY = 85


def search_page(found: Found, *, text: str, gallery: Gallery, identity: Run) -> str:
    """Write the page: the query's image and text, the answers below, all images inside it.

    Args:
        text: as it was given.
        gallery: that the answers are rows of.

    Raises:
        BenchmarkError: an image can no longer be read.
    """
    template = page_templates("benchmark.search").get_template("search.html.jinja")
    return template.render(
        text=printable(text),
        notes=[printable(note) for note in found.notes],
        image=found.image,
        picture=data_uri(found.image.picture),
        answers=[(answer, data_uri(gallery.picture(answer.row))) for answer in found.answers],
        found=found,
        gallery=gallery.title,
        identity=identity,
        preset=label_on(identity.task, identity.recipe),
    )


def data_uri(picture: Pixels) -> str:
    """A picture (H, W, 3) as a WebP image inside an address."""
    return f"data:image/webp;base64,{base64.b64encode(webp(picture)).decode()}"


def webp(picture: Pixels) -> bytes:
    """A picture (H, W, 3) as the content of a WebP file."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, "WEBP", quality=_QUALITY)
    return content.getvalue()
