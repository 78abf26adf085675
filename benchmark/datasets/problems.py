"""Collect the problems of a data folder, so that they are reported together."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import BenchmarkError

_SHOWN = 3


@dataclass(frozen=True, order=True)
class Problem:
    """`place` is a file, or a file and its line, relative to the dataset's folder."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


def refuse(root: Path, name: str, problems: Iterable[Problem]) -> None:
    """Raises BenchmarkError that names the first few problems, and how to list all or to skip the broken files."""
    found = list(problems)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise BenchmarkError(
            f"{root}: {'; '.join(map(str, found[:_SHOWN]))}{more}; `tirg-bench data check {name} {root}` lists all, "
            f"--skip-broken leaves them out"
        )


def skipped_hash(skipped: Mapping[str, str]) -> str | None:
    """SHA-256 of the names of the skipped images; None if there are none."""
    return hashlib.sha256(json.dumps(sorted(skipped)).encode()).hexdigest() if skipped else None
