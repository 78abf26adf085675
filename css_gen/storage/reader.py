"""Read the files of a dataset: Parquet in a folder of any name, and PNG."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import Image

from css_gen import tracks
from css_gen.errors import DatasetError
from css_gen.scenes import modification
from css_gen.scenes.modification import Modification
from css_gen.storage.configuration import CSS, LARGEST_SIZE
from css_gen.storage.geometry_columns import COLUMNS as GEOMETRY_COLUMNS

_HEADER = struct.Struct(">8sI4sIIBBBBBII4s")
"""A PNG's first bytes: signature, the IHDR chunk, length and name of the IDAT chunk."""

_EXTRAS = {"mask": "masks", "depth": "depth", **dict.fromkeys(GEOMETRY_COLUMNS, "geometry")}
"""The value of `css-gen render --with` that adds a column."""

_SAMPLES = {(8, 0): 1, (16, 0): 2, (8, 2): 3}
"""Bytes a pixel, by bit depth and colour type."""

_SUB_FILTER = 1
_END = b"\0\0\0\0IEND\xaeB`\x82"


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


def require_columns(file: pq.ParquetFile, columns: Sequence[str], path: Path) -> None:
    """Raise DatasetError if an image shard lacks a column."""
    there = file.schema_arrow.names
    for column in columns:
        if column not in there and column in _EXTRAS:
            raise DatasetError(
                f"{path} has no column {column}; render a dataset with it: css-gen render --with {_EXTRAS[column]} ..."
            )
        if column not in there:
            raise DatasetError(f"{path} has no column {column}; it has {', '.join(there)}")


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
    pixels = _decode_ours(png)
    if pixels is not None:
        return pixels
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()
        return np.array(image)


def _decode_ours(png: bytes) -> NDArray[Any] | None:
    """Decode a PNG as `encode_png` writes it, several times faster than Pillow; None if it is any other, or damaged."""
    if len(png) < _HEADER.size + len(_END) or png[-len(_END) :] != _END:
        return None
    signature, header, ihdr, width, height, *kind, checksum, length, idat = _HEADER.unpack_from(png)
    depth, colour, *methods = kind
    samples = _SAMPLES.get((depth, colour))
    if (
        (signature, header, ihdr, idat) != (b"\x89PNG\r\n\x1a\n", 13, b"IHDR", b"IDAT")
        or samples is None
        or any(methods)
        or not (0 < width <= LARGEST_SIZE and 0 < height <= LARGEST_SIZE)
        or len(png) != _HEADER.size + length + 4 + len(_END)
        or checksum != zlib.crc32(png[12:29])
    ):
        return None
    size = height * (1 + width * samples)
    inflating = isal_zlib.decompressobj()
    try:
        rows = inflating.decompress(memoryview(png)[_HEADER.size : _HEADER.size + length], size + 1)
    except isal_zlib.error:  # type: ignore[misc]  # isal's stub declares an instance
        return None
    if len(rows) != size or not inflating.eof:
        return None
    filtered = np.frombuffer(rows, np.uint8).reshape(height, 1 + width * samples)
    if (filtered[:, 0] != _SUB_FILTER).any():
        return None
    # Each byte is the difference to the pixel on the left; sums of uint8 wrap around as PNG's do.
    pixels = np.add.accumulate(filtered[:, 1:].reshape(height, width, samples), axis=1, dtype=np.uint8)
    if colour:
        return pixels
    return pixels.view(">u2")[:, :, 0].astype(np.uint16) if depth == 16 else pixels[:, :, 0]
