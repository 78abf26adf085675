"""Hash the content of a dataset, independent of how it is stored: decoded pixels, scene keys and queries.

A file's own bytes may differ where its content does not (another CPU compresses PNGs differently, another pyarrow lays
Parquet out differently), so the fingerprint of a dataset is made from these.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ContentHash:
    """SHA-256 over rows, in order. Every field is delimited, so that no two contents share their bytes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add_row(self, values: Sequence[object]) -> None:
        """Add the numbers, strings, booleans and lists of a row, as one line of JSON."""
        self._hash.update(json.dumps(list(values)).encode() + b"\n")

    def add_pixels(self, pixels: NDArray[np.generic]) -> None:
        """Add an image: its shape, then its little-endian samples in reading order."""
        self.add_row([*pixels.shape, pixels.dtype.name])
        self._hash.update(np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def fingerprint(format_version: int, contents: Sequence[tuple[str, str]]) -> str:
    """Compute the dataset's fingerprint from each file's name and content hash, in the order of their names."""
    lines: list[Any] = ["css", format_version, *sorted(contents)]
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()
