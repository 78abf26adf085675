"""Checkpoints: one safetensors file, with everything that is not a tensor as JSON in its header. Nothing is pickled.

It is written under a temporary name and renamed, so it never mixes two states.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.training.model import empty_network
from css_gen.storage.atomic import write_atomically
from models.network import Network
from models.text_encoders.base import TokenizerState

_FORMAT = "css-bench checkpoint 2"
_KEY = "css_bench"
"""The only key of the header: the order of several keys is not fixed, so the file's hash would not be, either."""
_FIELDS = {"format", "run", "tokenizer", "steps", "seconds", "code"}
_CHECKSUM = "sha256"


class Code(NamedTuple):
    """Hashes of the code that trains: the sources that all composers share, and the composer's own file."""

    shared: str = ""
    composer: str = ""


UNKNOWN_CODE = Code()
"""The code of a checkpoint that does not name any."""


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint file.

    Attributes:
        run: which run it belongs to; the same runs, on one machine with one number of threads, train alike.
        steps: how many are done. Random states and the sampler's place need no more than this: all they draw in a step
            is a function of (seed, step).
        seconds: spent on them, 0 in a finished model's file, so that equal models are equal files.
        tensors: "model.*" and, while training, "optimiser.*" and "curve.*".
        code: of the training so far; empty in a finished model's file, whose record has it.
    """

    run: Run
    tokenizer: TokenizerState
    steps: int
    seconds: float
    tensors: dict[str, Tensor]
    code: Code = UNKNOWN_CODE

    def write(self, path: Path, *, checksum: bool = False) -> None:
        """Write the file. Raise OSError as `open` does; the path then holds what it held before.

        Args:
            checksum: whether to add a checksum, which `read` compares. A finished model has none, because its record
                has the hash of the file.
        """
        write_atomically(path, self.content(checksum=checksum))

    def content(self, *, checksum: bool = False) -> bytes:
        """The file's content: equal checkpoints are equal files."""
        text = {
            "format": _FORMAT,
            "run": self.run.to_json(),
            "tokenizer": self.tokenizer,
            "steps": self.steps,
            "seconds": self.seconds,
            "code": self.code,
        }
        sealed = text | {_CHECKSUM: _sha256(text, self.tensors)} if checksum else text
        return save(self.tensors, {_KEY: json.dumps(sealed, sort_keys=True)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises BenchmarkError if the file is missing, damaged, or no checkpoint."""
        try:
            with safe_open(path, framework="pt") as file:
                text = json.loads((file.metadata() or {})[_KEY])
                if text["format"] != _FORMAT:
                    raise ValueError(f"its format is {text['format']!r}, expected {_FORMAT!r}")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
                checksum = text.pop(_CHECKSUM, None)
                if unknown := text.keys() - _FIELDS:
                    raise ValueError(f"it has unknown fields: {', '.join(sorted(unknown))}")
                if checksum is not None and checksum != _sha256(text, tensors):
                    raise ValueError("its content is not what its checksum is of")
                return cls(
                    run=Run.from_json(text["run"]),
                    tokenizer=text["tokenizer"],
                    steps=int(text["steps"]),
                    seconds=float(text["seconds"]),
                    tensors=tensors,
                    code=Code(*text.get("code", ())),
                )
        except FileNotFoundError:
            raise BenchmarkError(f"{path}: there is no such checkpoint; `tirg-bench run` writes it") from None
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise BenchmarkError(f"{path} is not a checkpoint of tirg-bench or is damaged ({why}); delete it") from None

    def network(self) -> Network:
        """The model, in eval mode on the CPU. Neither the dataset nor the network is needed for it.

        Raises:
            BenchmarkError: its composer or an encoder is not registered here, or it holds no valid tokenizer.
        """
        run = self.run
        try:
            network = empty_network(
                run.composer,
                run.recipe.model,
                self.tokenizer,
                spatial=run.spatial,
                image_size=run.recipe.data.image_size,
            )
        except BenchmarkError as error:
            raise BenchmarkError(f"the checkpoint's model cannot be built: {error}") from None
        load_model(network, self.tensors)
        return network.eval()


_READER = "reader."


def model_tensors(network: nn.Module) -> dict[str, Tensor]:
    """The network's weights as "model.*", and those of its reader in training, which is no part of the model, as
    "reader.*"."""
    return {
        name if name.startswith(_READER) else f"model.{name}": _stored(value)
        for name, value in network.state_dict().items()
    }


def weights_sha256(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a model's weights: of the names, types, shapes and bytes of the tensors "model.*".

    Checkpoints of different runs, whose headers differ, have the same hash if and only if they hold the same weights.
    """
    return _sha256(None, {name: value for name, value in tensors.items() if name.startswith("model.")})


def _sha256(text: object, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of an object as JSON, if there is one, and of the names, types, shapes and bytes of tensors."""
    digest = hashlib.sha256(json.dumps(text, sort_keys=True).encode() if text else b"")
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode() + b"\n")
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of every parameter that has one, under the parameter's number."""
    return {
        f"optimiser.{number}.{name}": _stored(value)
        for number, state in optimiser.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def load_model(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load what `model_tensors` gave; a network without a reader leaves that out.

    Raises:
        BenchmarkError: names or shapes differ: the code has changed since the checkpoint was written.
    """
    has_reader = getattr(network, "reader", None) is not None
    stored = {
        name.removeprefix("model."): value
        for name, value in tensors.items()
        if name.startswith("model.") or (has_reader and name.startswith(_READER))
    }
    try:
        network.load_state_dict(stored)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise BenchmarkError(f"a checkpoint does not fit its model any more ({why}); delete it") from None


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give a new optimiser the stored state, each tensor laid out in memory as its parameter is: the same kernels then
    run over it in the same order as without the interruption."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            number, key = name.removeprefix("optimiser.").split(".")
            parameter = parameters[int(number)]
            if value.shape == parameter.shape:
                value = torch.empty_like(parameter, dtype=value.dtype, device="cpu").copy_(value)
            state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _stored(value: Tensor) -> Tensor:
    """A copy of its own on the CPU: safetensors refuses tensors that share memory or are not contiguous."""
    return value.detach().to("cpu", copy=True).contiguous()
