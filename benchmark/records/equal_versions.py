"""Versions of the code that give the same results, bit for bit, as an earlier one.

A change of the sources that a result depends on gives a new `code_version`, even if it changes no result, as a faster
reader or a new message does. `tirg-bench verify --retrain --equal-code` then trains records of the earlier version
again. If all of them come out equal, query by query and weight by weight, it adds both versions to the file beside this
one, with the records that it compared. From then on the two count as one version: no record of either is outdated, and
boards show rows of both without a note.
"""

import datetime
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from benchmark.errors import BenchmarkError
from benchmark.records.schema import Digest
from css_gen.storage.atomic import write_atomically

FILE: Final = Path(__file__).with_suffix(".json")


class EqualVersion(BaseModel):
    """A version of the code, and an earlier one that gives the same results.

    Attributes:
        task: whose sources the two are versions of.
        records: the runs that were made again and came out equal, as paths below the folder of records.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Digest
    equals: Digest
    task: str
    records: Annotated[tuple[str, ...], Field(min_length=1)]
    checked: datetime.date


_File = TypeAdapter(tuple[EqualVersion, ...])


def representative(version: str) -> str:
    """Return the first, in alphabetical order, of all versions that are known to give the results of this one."""
    equal, before = {version}, 0
    while len(equal) > before:
        before = len(equal)
        for each in read(FILE):
            pair = {each.version, each.equals}
            equal |= pair if pair & equal else set()
    return min(equal)


@cache
def read(file: Path) -> tuple[EqualVersion, ...]:
    """Return the entries of a file; none if there is no file.

    Raises:
        BenchmarkError: the file is damaged.
    """
    try:
        return _File.validate_json(file.read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as error:
        raise BenchmarkError(f"{file}: is not a list of equal versions ({type(error).__name__}); restore it") from None


def add(found: Sequence[EqualVersion]) -> None:
    """Add entries to `FILE`. They replace entries for the same two versions and task.

    Raises:
        BenchmarkError: the file is damaged, or cannot be written.
    """
    known = {(each.version, each.equals, each.task): each for each in (*read(FILE), *found)}
    try:
        write_atomically(FILE, _File.dump_json(tuple(known.values()), indent=2) + b"\n")
    except OSError as error:
        raise BenchmarkError(f"{FILE}: cannot be written ({error.strerror})") from None
    read.cache_clear()
