"""Tensors in shared memory arrive as they were, layout included; what does not fit is refused."""

import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from benchmark.submissions.exchange import Area, new_file
from benchmark.submissions.messages import Made, Piece, Weight
from benchmark.submissions.process import SubmissionError
from benchmark.submissions.remote import Link, RemoteComposer

if sys.platform == "linux":
    import fcntl

Areas = tuple[Area, Area]


@pytest.fixture
def areas() -> Iterator[Areas]:
    """The same memory, as its writer and its reader have it."""
    with new_file() as descriptor:
        yield Area(descriptor), Area(descriptor)


MAP = torch.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
TENSORS: dict[str, Tensor] = {
    "contiguous": MAP,
    "channels last": MAP.contiguous(memory_format=torch.channels_last),
    "one row of channels last": MAP.contiguous(memory_format=torch.channels_last)[1:],
    "transposed": MAP[0, 0].T,
    "repeated": torch.arange(6.0).reshape(2, 3, 1, 1).expand(2, 3, 4, 5),
    "one number": torch.tensor(3, dtype=torch.int64),
    "words or padding": MAP > 50,
    "half the digits": MAP.bfloat16(),
    "nothing": torch.zeros(0, 5),
}


def test_they_arrive_with_their_layout(areas: Areas) -> None:
    writer, reader = areas
    pieces = {name: writer.put(tensor) for name, tensor in TENSORS.items()}
    for name, tensor in TENSORS.items():
        for found in (reader.view(pieces[name]), reader.take(pieces[name])):
            assert torch.equal(found, tensor), name
            assert found.dtype == tensor.dtype
            assert found.stride() == tensor.stride(), name


def test_gaps_are_left_out(areas: Areas) -> None:
    piece = areas[0].put(MAP[:, :2, ::2])
    assert piece.strides == (20, 10, 5, 1)
    assert torch.equal(areas[1].take(piece), MAP[:, :2, ::2])


def test_memory_grows_and_what_was_taken_stays(areas: Areas) -> None:
    writer, reader = areas
    first = writer.put(MAP)
    taken, seen = reader.take(first), reader.view(first)
    large = torch.arange(3_000_000)
    assert torch.equal(reader.take(writer.put(large)), large)
    writer.end = 0
    writer.put(MAP + 1)
    assert torch.equal(taken, MAP)
    assert torch.equal(seen, MAP + 1)


INVALID = {
    "behind the end": {"offset": 2**39},
    "more than there is": {"shape": (2**30, 6), "strides": (6, 1)},
    "between two numbers": {"offset": 2},
    "another shape": {"shape": (3, 2), "strides": (2, 1)},
    "another type": {"dtype": "int64"},
    "strides of another shape": {"strides": (1,)},
    "gaps": {"strides": (2**17, 1)},
}


@pytest.mark.parametrize("name", INVALID)
def test_what_a_process_cannot_have_written_is_refused(name: str, areas: Areas) -> None:
    writer, reader = areas
    child = SimpleNamespace(blame=lambda what: SubmissionError(f"mine.py: {what}"))
    link = Link(child, writer, reader)  # type: ignore[arg-type]
    piece = writer.put(torch.ones(2, 3))
    link.read(piece, (2, 3), torch.float32, "for a gradient")
    changed = piece.model_copy(update=INVALID[name])
    shape = (2**30, 6) if name == "more than there is" else (2, 3)
    with pytest.raises(SubmissionError, match=r"mine\.py: .* for a gradient"):
        link.read(changed, shape, torch.float32, "for a gradient")


def test_huge_numbers_are_finite_and_infinity_is_not(areas: Areas) -> None:
    writer, reader = areas
    child = SimpleNamespace(blame=SubmissionError)
    link = Link(child, writer, reader)  # type: ignore[arg-type]
    huge = torch.full((8,), 3e38)
    assert torch.equal(link.read(writer.put(huge), (8,), torch.float32, ""), huge)
    for bad in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(SubmissionError, match="NaN or infinity"):
            link.read(writer.put(torch.tensor([1.0, bad])), (2,), torch.float32, "")


@pytest.mark.skipif(sys.platform != "linux", reason="files elsewhere have no seals")
def test_the_reader_cannot_stop_the_writer() -> None:
    with new_file() as descriptor:
        writer = Area(descriptor)
        writer.put(MAP)
        for seal in (fcntl.F_SEAL_GROW, fcntl.F_SEAL_WRITE):
            with pytest.raises(PermissionError):
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seal)
        os.ftruncate(descriptor, 2**26)
        large = torch.arange(1_000_000)
        assert torch.equal(Area(descriptor).take(writer.put(large)), large)


def made_of(piece: Piece, areas: Areas) -> RemoteComposer:
    """A composer that says that its only parameter is there."""
    child = SimpleNamespace(blame=SubmissionError)
    link = Link(child, *areas)  # type: ignore[arg-type]
    made = Made(weights=(Weight(name="a.weight", piece=piece, is_trained=True),), buffers=(), layers={})
    link.make = lambda command: made  # type: ignore[method-assign]  # noqa: ARG005
    return RemoteComposer(8, 8, spatial=True, link=link, seed=0, bf16=False)


def test_weights_have_memory_of_their_own(areas: Areas) -> None:
    """One number that is said to be many is many here, within a limit."""
    piece = areas[0].put(torch.ones(1))
    weight = made_of(piece.model_copy(update={"shape": (5,), "strides": (0,)}), areas).get_parameter("a.weight")
    weight.data.copy_(torch.arange(5.0))
    assert weight.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(SubmissionError, match="more than 268,435,456 numbers"):
        made_of(piece.model_copy(update={"shape": (2**29,), "strides": (0,)}), areas)


@pytest.mark.parametrize("name", ["", ".weight", "a..weight", "a.", "a\nb", ".".join("a" * 21)])
def test_a_name_of_no_parameter_is_no_message(name: str, areas: Areas) -> None:
    piece = areas[0].put(torch.ones(1))
    Weight(name=".".join("a" * 20), piece=piece)
    with pytest.raises(ValueError, match="name"):
        Weight(name=name, piece=piece)


def test_a_name_that_leads_nowhere_is_no_message() -> None:
    with pytest.raises(ValueError, match="offset"):
        Piece(offset=-1, dtype="float32", shape=(1,), strides=(1,))
    with pytest.raises(ValueError, match="dtype"):
        Piece(offset=0, dtype="complex64", shape=(1,), strides=(1,))  # type: ignore[arg-type]
