"""Keep compiled kernels on disk, in a folder named after the source of all kernels.

numba's own cache knows a kernel by the file that it is in, so a change in a file that it calls would go unseen. Here an
edit of any kernel names another folder and everything is compiled again. Every file carries a checksum: a damaged one
is deleted and compiled again. Several processes may compile and write at once; each file appears by a rename.
"""

import hashlib
import os
import pickle
import shutil
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numba.core.caching
import numba.core.compiler
import numba.core.serialize
import numba.misc.appdirs

# numba's types stop short of these.
_numba: Any = numba
_CompileResult: Any = _numba.core.compiler.CompileResult
_NullCache: Any = _numba.core.caching.NullCache

_KEPT_FOLDERS = 8
"""Versions of the kernels that stay in one place: several checkouts may share it, and old ones must not pile up."""

_DIGEST_BYTES = 32
_not_kept = False


def take_note() -> str | None:
    """Return a line for the user if kernels were compiled and could not be kept since it was last asked, else None."""
    global _not_kept
    if not _not_kept:
        return None
    _not_kept = False
    tried = ", ".join(str(folder.parent) for folder in folders())
    return (
        f"no folder to keep the compiled renderer in (tried {tried or 'none'}), so every process compiles it again; "
        "set NUMBA_CACHE_DIR to a folder that can be written"
    )


class KernelCache(_NullCache):  # type: ignore[misc]
    """The cache of one kernel, with the interface that numba's dispatchers expect."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._kernel = f"{function.__module__}.{function.__qualname__}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the compiled kernel for a signature, or None if it has to be compiled."""
        target_context.refresh()
        name = self._file_name(sig, target_context.codegen())
        for folder in folders():
            try:
                content = (folder / name).read_bytes()
            except OSError:
                continue
            # Whatever is wrong with the file costs a compilation and nothing else.
            with suppress(Exception):
                result = _CompileResult._rebuild(target_context, *pickle.loads(_checked(content)))
                with suppress(OSError):
                    os.utime(folder)
                return result
            with suppress(OSError):
                (folder / name).unlink()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write a compiled kernel to the first folder that takes it."""
        global _not_kept
        name = self._file_name(sig, data.codegen)
        payload = _numba.core.serialize.dumps(data._reduce())
        for folder in folders():
            with suppress(OSError):
                _write(folder, name, hashlib.sha256(payload).digest() + payload)
                return
        _not_kept = True

    def _file_name(self, signature: Any, codegen: Any) -> str:
        """Return a name for each kernel, signature and kind of CPU."""
        key = repr((self._kernel, str(signature), codegen.magic_tuple()))
        return f"{self._kernel.rpartition('.')[2]}-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


@cache
def folders() -> tuple[Path, ...]:
    """List where compiled kernels may be, in order: NUMBA_CACHE_DIR, the package, the user's cache folder."""
    if not (key := _sources_key()):
        return ()
    user = _numba.misc.appdirs.AppDirs(appname="css-bench", appauthor=False).user_cache_dir
    places = [_numba.config.CACHE_DIR, Path(__file__).parent / "__pycache__", user]
    # Where there is no home folder, the last one begins with "~" still.
    return tuple(Path(place).absolute() / f"kernels-{key}" for place in places if place and str(place)[0] != "~")


def _sources_key() -> str | None:
    """Hash the source of all kernels and the compiler's versions. Return None where there is no source."""
    sources = sorted(
        (file.name, file.read_bytes())
        for file in resources.files(__package__).iterdir()
        if file.name.endswith(".py") and not file.name.startswith(".")
    )
    if not sources:
        return None
    compilers = (sys.implementation.cache_tag, numba.__version__, llvmlite.__version__)
    return hashlib.sha256(repr((compilers, sources)).encode()).hexdigest()[:16]


def _checked(content: bytes) -> bytes:
    """Verify the checksum that a file begins with, and return the rest."""
    payload = content[_DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != content[:_DIGEST_BYTES]:
        raise ValueError("damaged")
    return payload


def _write(folder: Path, name: str, content: bytes) -> None:
    """Write a whole file, and make its folder if need be."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _delete_old(folder.parent)
    temporary = folder / f".{name}.{uuid.uuid4().hex}"
    try:
        temporary.write_bytes(content)
        temporary.replace(folder / name)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _delete_old(place: Path) -> None:
    """Delete all but the folders that were used last. A process that still uses one compiles again."""
    with suppress(OSError):
        kept = sorted(place.glob("kernels-*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
        for folder in kept[_KEPT_FOLDERS:]:
            shutil.rmtree(folder, ignore_errors=True)
