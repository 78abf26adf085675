"""Train composers, score them on composed image retrieval, and rank them.

In Python, beside the commands of `tirg-bench`:

    import benchmark

    model = benchmark.load_model("model.safetensors")               # of a run, from its folder in runs/
    found = model.rank("my.png", "make top-left cube red", k=5)     # images like it, after that change
    metrics = benchmark.evaluate(model, "css")                      # Recall@K on the task's test split
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.search.model import Model, evaluate, load_model

__all__ = ["Model", "evaluate", "load_model"]


def __getattr__(name: str) -> Any:
    """Import the interface when it is first used: torch takes seconds, and the commands' help needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
    from benchmark.search import model

    return getattr(model, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
