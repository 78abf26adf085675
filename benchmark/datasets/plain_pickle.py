"""Read a pickled array of objects as plain data. Anything that could run code, or is no plain value, is refused.

google/tirg ships the labels of CSS as such a file, written by Python 2. Unpickling in the usual way runs whatever the
file asks for.
"""

import io
import pickle
import pickletools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.lib import format as npy

from benchmark.errors import BenchmarkError

MOST_BYTES = 512 * 2**20
_MOST_VALUES = 20_000_000
_DEEPEST = 50
_PLAIN = (str, bytes, int, float, type(None))


def load_plain(path: Path, *, most_bytes: int = MOST_BYTES, most_values: int = _MOST_VALUES) -> Any:
    """The one object in a `.npy` file, made of dicts, lists, strings, numbers and None alone.

    Tuples and NumPy's arrays become lists, NumPy's numbers plain ones, bytes strings. Where the pickle asks for NumPy's
    constructors, stand-ins of this module are called.

    Raises:
        BenchmarkError: the file is missing, too large, damaged, or asks for anything else, which is named and not run.
    """
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise BenchmarkError(f"{path}: is of {size / 2**20:.0f} MiB, more than {most_bytes / 2**20:.0f}: refused")
        with path.open("rb") as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(file)
            if shape != () or not dtype.hasobject:
                raise BenchmarkError(f"{path}: holds an array of {dtype} of shape {shape}, expected one pickled object")
            content = file.read()
            _require_possible_numbers(content, path)
            value = _Unpickler(io.BytesIO(content), path).load()
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None
    except BenchmarkError:
        raise
    except Exception as error:  # a damaged pickle may end in nearly any exception
        raise BenchmarkError(f"{path}: not a pickled array, or a damaged one ({error})") from None
    if not isinstance(value, _Array) or len(value.values) != 1:
        raise BenchmarkError(f"{path}: the pickle is not an array of one object")
    return _plain(value.values[0], path, most_values)


def _require_possible_numbers(content: bytes, path: Path) -> None:
    """Refuse an object that is numbered higher than there can be objects: the unpickler makes room for that many."""
    for operation, number, _ in pickletools.genops(content):
        if operation.name in ("PUT", "LONG_BINPUT") and number is not None and number > len(content):
            raise BenchmarkError(
                f"{path}: the pickle numbers an object {number}, more than its {len(content)} bytes can hold: refused"
            )


class _Type:
    """Stands for numpy.dtype: a code such as "f8", and a byte order."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = "<" if state[1] == "|" else state[1]

    def read(self, content: str | bytes) -> list[int | float]:
        if self.code not in _NUMBERS:
            raise ValueError(f"numbers of type {self.code} are not read")
        raw = content.encode("latin1") if isinstance(content, str) else content
        numbers: list[int | float] = np.frombuffer(raw, np.dtype(self.order + self.code)).tolist()
        return numbers


class _Array:
    """Stands for numpy.ndarray; empty until it gets its state."""

    values: Sequence[Any] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, _, content = state
        flat = content if isinstance(content, list) else kind.read(content)
        if len(shape) > 1 or len(flat) != (shape[0] if shape else 1):
            raise ValueError(f"an array of shape {shape} is not read")
        self.values = flat


def _reconstruct(kind: type[_Array], *_: Any) -> _Array:
    return kind()


def _scalar(kind: _Type, content: str | bytes) -> int | float:
    (number,) = kind.read(content)
    return number


_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, path: Path) -> None:
        super().__init__(file, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        raise BenchmarkError(f"{self._path}: the pickle asks for {module}.{name}, which is not plain data: refused")

    def persistent_load(self, pid: Any) -> NoReturn:  # noqa: ARG002
        raise BenchmarkError(f"{self._path}: the pickle asks for an object outside of it: refused")


def _plain(value: Any, path: Path, most_values: int) -> Any:
    """Copy without shared parts, so that a small pickle that expands to very many values is refused."""
    left = most_values

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise BenchmarkError(f"{path}: holds more than {most_values} values: refused")
        if depth > _DEEPEST:
            raise BenchmarkError(f"{path}: is nested deeper than {_DEEPEST}, or in itself: refused")
        if isinstance(value, dict):
            return {copied(key, depth + 1): copied(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, _Array):
            value = value.values
        if isinstance(value, list | tuple):
            return [copied(inner, depth + 1) for inner in value]
        if isinstance(value, bytes):
            return value.decode("latin1")
        if type(value) in (bool, *_PLAIN):
            return value
        raise BenchmarkError(f"{path}: holds a {type(value).__name__}, expected plain containers, strings and numbers")

    return copied(value, 0)
