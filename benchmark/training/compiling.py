"""Turn a missing or broken compiler under torch.compile into one clear line."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmark.errors import BenchmarkError

_COMPILER_ERRORS = frozenset(
    {"InvalidCxxCompiler", "CppCompileError", "CUDACompileError", "TritonMissing", "TritonUnavailableError"}
)
"""Of torch, by name: which of them exist depends on its version, and importing them takes seconds."""

_COMPILER_WORDS = ("Failed to find C compiler", "Cannot find a working triton")


@contextmanager
def compiler_advice() -> Iterator[None]:
    """Raise BenchmarkError, which says what to do, if torch.compile fails because of its compiler."""
    try:
        yield
    except Exception as error:
        cause = _compiler_error(error)
        if cause is None:
            raise
        why = str(cause).strip().partition("\n")[0]
        raise BenchmarkError(
            f"torch.compile needs a compiler that works here ({why}); install one (on Linux, g++ and Python's "
            "headers), name it in the environment variable CXX, or train without compile"
        ) from error


def _compiler_error(error: BaseException | None) -> BaseException | None:
    """The first of an error and its causes that is about a compiler."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if type(error).__name__ in _COMPILER_ERRORS or str(error).startswith(_COMPILER_WORDS):
            return error
        seen.append(error)
        error = error.__cause__ or error.__context__
    return None
