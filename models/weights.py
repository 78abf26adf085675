"""Read trained weights from a file and load them into an encoder."""

import logging
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.errors import WeightsError


class Weights(NamedTuple):
    """A state dict, and the file that it comes from."""

    source: str
    tensors: dict[str, Tensor]


def read_weights(path: Path) -> Weights:
    """Read a .safetensors file, or a state dict that torch.save wrote. No code of the file is run.

    Raises WeightsError if it cannot be read, is damaged, or holds anything else than tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return Weights(str(path), load_file(path))
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch's unpickler fail in any way
        raise WeightsError(f"{path}: cannot be read as weights ({reason(error)})") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise WeightsError(f"{path}: expected a state dict, parameter names to tensors")
    return Weights(str(path), tensors)


def read_file(path: str, of: str) -> Weights:
    """As `read_weights`, of a value that may be no path. `of` says in a message what the file is expected to hold."""
    if not Path(path).is_file():
        raise WeightsError(f"{path}: there is no such file; give the path of a file with weights of {of}")
    return read_weights(Path(path))


def reason(error: Exception) -> str:
    """Why a file cannot be read, in one line. Torch's own advice, to load without safety checks, is left out."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or holds other objects than tensors; expected what torch.save(model.state_dict()) writes"
    return str(error).partition("\n")[0] or type(error).__name__


@contextmanager
def quietly() -> Iterator[None]:
    """Keep messages and warnings of libraries off the terminal, and off the root logger, which some would configure."""
    root, nowhere = logging.getLogger(), logging.NullHandler()
    before = root.manager.disable
    root.addHandler(nowhere)
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        root.removeHandler(nowhere)


def load(encoder: nn.Module, weights: Weights) -> None:
    """Load weights into an encoder. A classifier among them (fc.*) is left out.

    Raises WeightsError if names or shapes differ.
    """
    expected = encoder.state_dict()
    given = {name: value for name, value in weights.tensors.items() if not name.startswith("fc.")}
    # files from before torch 0.4.1, torchvision's ResNet-18 among them, do not count batches
    missing = [name for name in expected if name not in given and not name.endswith(".num_batches_tracked")]
    unexpected = [name for name in given if name not in expected]
    misshapen = [name for name in expected if name in given and given[name].shape != expected[name].shape]
    for problem, names in (("lacks", missing), ("has unknown", unexpected), ("has the wrong shape for", misshapen)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            hint = _hint(list(weights.tensors), list(expected))
            raise WeightsError(
                f"{weights.source}: does not fit this image encoder: it {problem} {', '.join(names[:3])}{more}{hint}"
            )
    encoder.load_state_dict(given, strict=False)


def _hint(names: list[str], expected: list[str]) -> str:
    """Advice where the names differ from the expected ones only by a common prefix; else empty."""
    for prefix in sorted({name[: end + 1] for name in names for end, mark in enumerate(name) if mark == "."}):
        stripped = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
        if prefix not in expected and len(stripped & set(expected)) > len(set(names) & set(expected)):
            made_by = "DataParallel adds that; save model.module.state_dict() instead" if prefix == "module." else ""
            return f"; its names begin with {prefix!r}: {made_by or 'save them without this prefix'}"
    return ""
