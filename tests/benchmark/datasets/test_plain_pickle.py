"""Pickles are read as data: what asks for code is refused by name and does not run."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.plain_pickle import load_plain
from benchmark.errors import BenchmarkError

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def saved(path: Path, value: Any) -> Path:
    array = np.empty((), dtype=object)
    array[()] = value
    np.save(path, array, allow_pickle=True)
    return path


def npy(path: Path, content: bytes, *, shape: tuple[int, ...] = (), descr: str = "|O") -> Path:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    path.write_bytes(header.getvalue() + content)
    return path


class Asks:
    """Pickles to a call of whatever it is given."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@given(value=plain)
def test_plain_values_come_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    assert load_plain(saved(tmp_path_factory.mktemp("plain") / "a.npy", value)) == value


def test_tuples_arrays_and_numpy_numbers_become_plain(tmp_path: Path) -> None:
    value = {
        "pos": (np.float64(0.25), np.float32(0.5)),
        "ids": np.arange(3),
        "mixed": np.array(["a", 1], dtype=object),
        "flag": np.bool_(True),
    }
    found = load_plain(saved(tmp_path / "a.npy", value))
    assert found == {"pos": [0.25, 0.5], "ids": [0, 1, 2], "mixed": ["a", 1], "flag": True}
    assert {type(number) for number in found["pos"]} == {float}


def test_what_python_2_wrote_is_read(tmp_path: Path) -> None:
    """Its strings are bytes; this is protocol 2 of {'a': ['caf\\xe9', 1]} in an array of one object."""
    array = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01)cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89"
        b"]}U\x01a](U\x04caf\xe9K\x01esatb."
    )
    assert load_plain(npy(tmp_path / "a.npy", array)) == {"a": ["caf\xe9", 1]}


@pytest.mark.parametrize("call", ["os.system", "eval", "numpy.load", "functools.partial", "numpy.frombuffer"])
def test_a_call_is_refused_by_name_and_not_made(tmp_path: Path, call: str) -> None:
    marker = tmp_path / "ran"
    import functools

    asks = {
        "os.system": Asks(os.system, f"touch {marker}"),
        "eval": Asks(eval, f"open({str(marker)!r}, 'w')"),
        "numpy.load": Asks(np.load, str(marker)),
        "functools.partial": Asks(functools.partial, os.system, f"touch {marker}"),
        "numpy.frombuffer": Asks(np.frombuffer, b"1"),
    }[call]
    path = saved(tmp_path / "a.npy", {"train": [asks]})
    with pytest.raises(BenchmarkError, match=call.rpartition(".")[2]) as caught:
        load_plain(path)
    assert str(path) in str(caught.value)
    assert "refused" in str(caught.value)
    assert not marker.exists()


def test_the_stand_ins_call_nothing_whatever_they_are_given(tmp_path: Path) -> None:
    for content in (
        pickle.dumps(Asks(np.dtype, "O8"), 2),
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nU\x01b\x86R.",
        b"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nU\x02V8\x85RU\x011\x86R.",
    ):
        with pytest.raises(BenchmarkError):
            load_plain(npy(tmp_path / "a.npy", content))


def test_many_values_in_few_bytes_are_refused(tmp_path: Path) -> None:
    value: Any = ["lol"]
    for _ in range(40):
        value = [value] * 10
    path = saved(tmp_path / "a.npy", value)
    assert path.stat().st_size < 5_000
    with pytest.raises(BenchmarkError, match="more than 100000 values"):
        load_plain(path, most_values=100_000)


def test_what_holds_itself_is_refused(tmp_path: Path) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(BenchmarkError, match="nested deeper"):
        load_plain(saved(tmp_path / "a.npy", value))


ARRAY = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x85R"
"""An array without its state."""
STATE = b"(N)cnumpy\ndtype\nU\x01O\x85RN]%stb"
"""A state that holds the objects of the list in it."""


def test_an_array_without_its_state_is_empty(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="not an array of one object"):
        load_plain(npy(tmp_path / "a.npy", ARRAY + b"."))
    assert load_plain(npy(tmp_path / "b.npy", ARRAY + STATE % (ARRAY[2:] + b"a") + b".")) == []


@pytest.mark.parametrize(("put", "number"), [(b"r\x88\x13\0\0", 5000), (b"p5000\n", 5000)])
def test_an_object_with_a_number_that_is_too_high_is_refused(tmp_path: Path, put: bytes, number: int) -> None:
    with pytest.raises(BenchmarkError, match=f"numbers an object {number}, more than its .* bytes can hold: refused"):
        load_plain(npy(tmp_path / "a.npy", ARRAY + put + STATE % b"Na" + b"."))
    assert load_plain(npy(tmp_path / "b.npy", ARRAY + b"r\x2a\0\0\0" + STATE % b"Na" + b".")) is None


def test_files_that_are_too_large_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BenchmarkError, match="1048576 MiB"):
        load_plain(path)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(BenchmarkError, match="not a pickled array"):
        load_plain(path)


def test_arrays_of_numbers_truncated_pickles_and_missing_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "numbers.npy", np.arange(3))
    with pytest.raises(BenchmarkError, match="expected one pickled object"):
        load_plain(tmp_path / "numbers.npy")
    whole = saved(tmp_path / "whole.npy", {"train": list(range(1000))}).read_bytes()
    for length in range(130, len(whole) - 1, 97):
        (tmp_path / "cut.npy").write_bytes(whole[:length])
        with pytest.raises(BenchmarkError):
            load_plain(tmp_path / "cut.npy")
    with pytest.raises(BenchmarkError, match="cannot be read"):
        load_plain(tmp_path / "absent.npy")


def test_a_set_or_a_date_is_no_plain_data(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="set"):
        load_plain(saved(tmp_path / "a.npy", {"train": {1, 2}}))
    with pytest.raises(BenchmarkError, match=r"complex"):
        load_plain(saved(tmp_path / "a.npy", 1j))
