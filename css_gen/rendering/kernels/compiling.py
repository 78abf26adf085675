"""Compile the kernels of the renderers: strict floating point, so that every CPU gets the same bits."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

from css_gen.rendering.kernels.cache import KernelCache

Function = TypeVar("Function", bound=Callable[..., Any])

# numba's own types do not know `_nrt`; its types for compiled functions would get in the way of calls between kernels.
_njit: Any = njit
_STRICT = {"nogil": True, "fastmath": False, "error_model": "numpy"}


def allocating(function: Function) -> Function:
    """Compile a kernel that makes arrays."""
    return _compiled(function)


def compiled(function: Function) -> Function:
    """Compile a kernel that makes none: without numba's reference counts, which would cost more than most kernels."""
    return _compiled(function, _nrt=False)


def inlined(function: Function) -> Function:
    """Compile a kernel that runs once a pixel or more: handing over the tables would cost more than most of these."""
    return _compiled(function, _nrt=False, forceinline=True)


def _compiled(function: Function, **options: Any) -> Function:
    if not function.__module__.startswith(f"{__package__}."):
        raise ValueError(
            f"{function.__module__}.{function.__qualname__} must be in {__package__}: the cache is keyed by its files"
        )
    kernel = _njit(**_STRICT, **options)(function)
    kernel._cache = KernelCache(function)
    return cast(Function, kernel)
