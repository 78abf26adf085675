"""Read an image that somebody uploaded: a JPEG or PNG of limited size, made smaller as `tirg-bench search` does."""

import io
import tempfile
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from benchmark.errors import BenchmarkError, UsageError
from benchmark.search.query_image import QueryImage, query_from_file, resampling

MOST_BYTES = 10 * 2**20
MOST_PIXELS = 25_000_000


def uploaded(content: bytes, *, task: str, image_size: int) -> QueryImage:
    """Return the image as a query's image.

    Args:
        content: of the file.
        task: whose images the model was trained on.
        image_size: width and height that the network sees.

    Raises:
        UsageError: it is not a whole JPEG or PNG, or has too many pixels.
    """
    check_size(content)
    # A file, so that an upload is decoded by the same function as a file of `search`; under a name that we choose.
    with tempfile.TemporaryDirectory(prefix="tirg-bench-") as folder:
        path = Path(folder) / "upload"
        path.write_bytes(content)
        try:
            found = query_from_file(path, image_size=image_size, resampling=resampling(task))
        except BenchmarkError as error:
            raise UsageError(f"the uploaded image {str(error).rpartition('upload: ')[2]}") from None
    return QueryImage("uploaded image", found.pixels, found.picture)


def check_size(content: bytes) -> None:
    """Check the number of pixels in the header of an image, before it is decoded.

    Raises:
        UsageError: it is not a JPEG or PNG, or has more than 25 million pixels.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            width, height = image.size
    except Image.DecompressionBombError:
        raise UsageError(f"the uploaded image has more than {MOST_PIXELS:,} pixels; make it smaller") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        raise UsageError("the uploaded file is not a JPEG or PNG image") from None
    if width * height > MOST_PIXELS:
        raise UsageError(
            f"the uploaded image has {width} x {height} pixels; expected at most {MOST_PIXELS:,}: make it smaller"
        )
