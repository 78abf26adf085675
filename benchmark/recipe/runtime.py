"""How a run is executed: what changes its speed or memory, or only what is printed. Recorded with it, never hashed."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from benchmark.errors import UsageError

_VALIDATIONS = 5

_SPELLINGS = {
    "evaluation.every": "validate_every",
    "evaluation.chunk": "batch_size",
    "training.compile": "compile",
    "training.graph": "graph",
}
"""Keys of recipes of version 1 that `--set` still takes."""


def available_threads() -> int:
    """Threads that torch computes with by default: OMP_NUM_THREADS, else one for every core that it may use."""
    import torch

    return torch.get_num_threads()


class Runtime(BaseModel):
    """Attributes:
    device: as torch names it: "cpu", "cuda", "cuda:1".
    threads: of torch on the CPU. Sums are cut up by threads, so their number changes the last digits of a result, and
        with them the training: records of the same seed are equal only for an equal number.
    batch_size: images or queries encoded at once when a run is scored.
    validate_every: validate every so many steps, 0 for never; None for five times in a run.
    compile: whether torch.compile makes the network's code.
    graph: whether a GPU repeats the training step as one CUDA graph; nothing on a CPU.
    checkpoint_seconds: between two checkpoints.
    jobs: runs that were made at a time, this one among them.
    devices: processes that shared each batch of the training, each with a GPU, or with `threads` on a CPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    device: str = "cpu"
    threads: Annotated[int, Field(ge=1, le=4096)] = Field(default_factory=available_threads)
    batch_size: Annotated[int, Field(ge=1, le=2**24)] = 512
    validate_every: Annotated[int, Field(ge=0)] | None = None
    compile: bool = False
    graph: bool = True
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 20.0
    jobs: Annotated[int, Field(ge=1, le=4096)] = 1
    devices: Annotated[int, Field(ge=1, le=64)] = 1

    def validation_interval(self, steps: int) -> int:
        """Steps between two validations in a run of that many steps; 0 for none."""
        return max(1, steps // _VALIDATIONS) if self.validate_every is None else self.validate_every


def split_assignments(assignments: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Assignments of `--set` that are the recipe's, and values of the runtime that were spelled like a recipe's.

    >>> split_assignments(("training.steps=9", "evaluation.every=3"))
    (('training.steps=9',), {'validate_every': 3})

    Raises:
        UsageError: a value of the runtime has the wrong type or range.
    """
    recipe, runtime = [], {}
    for assignment in assignments:
        key, equals, value = (part.strip() for part in assignment.partition("="))
        if not equals or key not in _SPELLINGS:
            recipe.append(assignment)
            continue
        name = _SPELLINGS[key]
        try:
            runtime[name] = getattr(Runtime.model_validate({"threads": 1, name: value}), name)
        except ValueError:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"--set {assignment}: this is the option {option} now; see its help for values") from None
    return tuple(recipe), runtime
