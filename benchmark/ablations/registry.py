"""The ablations by the name of their composer. A file in this folder that calls `register` is all it takes."""

from benchmark.ablations.base import Ablation
from benchmark.errors import BenchmarkError, UsageError
from models.parts import unknown

_ablations: dict[str, Ablation] = {}


def register(ablation: Ablation) -> Ablation:
    """Make an ablation available. Raises BenchmarkError if its composer has one already."""
    if ablation.composer in _ablations:
        raise BenchmarkError(f"there are ablations of {ablation.composer} already; add a setting to them")
    _ablations[ablation.composer] = ablation
    return ablation


def names() -> tuple[str, ...]:
    """The composers that have ablations, sorted."""
    return tuple(sorted(_ablations))


def get(composer: str) -> Ablation:
    """The ablations of a composer. Raises UsageError, offering the nearest name, if it has none."""
    if composer not in _ablations:
        raise UsageError(unknown("ablation", composer, _ablations))
    return _ablations[composer]
