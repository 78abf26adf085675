"""How the kernels of the renderers are compiled: strict floating point, so that every CPU gets the same bits."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# numba's own types do not know `_nrt`; theirs of what is compiled would be in the way of calls between kernels.
_njit: Any = njit
_STRICT = {"cache": True, "nogil": True, "fastmath": False, "error_model": "numpy"}


def allocating(function: Function) -> Function:
    """Compile a kernel that makes arrays."""
    return cast(Function, _njit(**_STRICT)(function))


def compiled(function: Function) -> Function:
    """Compile a kernel that makes none: without numba's reference counts, which would cost more than most kernels."""
    return cast(Function, _njit(**_STRICT, _nrt=False)(function))


def inlined(function: Function) -> Function:
    """Compile a kernel that runs once a pixel or more: handing over the tables would cost more than most of these."""
    return cast(Function, _njit(**_STRICT, _nrt=False, forceinline=True)(function))
