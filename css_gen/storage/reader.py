"""Read the files of a dataset: Parquet in a folder of any name, and PNG."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from css_gen import tracks
from css_gen.errors import DatasetError
from css_gen.scenes import modification
from css_gen.scenes.modification import Modification
from css_gen.storage.configuration import CSS


def open_parquet(path: Path, *, verify_pages: bool = True) -> pq.ParquetFile:
    """Open a Parquet file.

    Args:
        verify_pages: whether reading fails where the checksum of a page is wrong.

    Raises:
        FileNotFoundError: it is missing.
        pyarrow.ArrowException, OSError: it is not Parquet, or cannot be read.
    """
    # pyarrow encodes a text as UTF-8, which not every name of a file can be; bytes it takes as they are.
    return pq.ParquetFile(pa.OSFile(os.fsencode(path)), page_checksum_verification=verify_pages)


@contextmanager
def reading(root: Path, name: str) -> Iterator[None]:
    """Turn any failure to read a data file into a DatasetError that says what to do."""
    try:
        yield
    except FileNotFoundError:
        raise DatasetError(f"{root / name} is missing; `css-gen verify {root} --repair` renders it again") from None
    except (pa.ArrowException, OSError) as error:
        why = str(error).partition("\n")[0]
        raise DatasetError(
            f"{root / name} cannot be read ({why}); `css-gen verify {root} --repair` renders it again"
        ) from None


def modification_reader(track: str) -> Callable[[str], Modification | tracks.Program]:
    """Return the function that reads the JSON of a modification of css, or of a program of a track."""
    return modification.from_json if track == CSS else tracks.get(track).from_json


def text_parser(track: str) -> Callable[[str], Modification | tracks.Program]:
    """Return the function that reads the text of a modification of css, or of a program of a track."""
    return modification.parse if track == CSS else tracks.get(track).parse


def decode_png(png: bytes) -> NDArray[Any]:
    """Decode a PNG in full: uint8 (H, W, 3), or uint8 or uint16 (H, W).

    Raises:
        OSError, ValueError, SyntaxError: it is not a whole PNG.
    """
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()
        return np.array(image)
