"""The scores of a board's models on the test split of a revealed seed: one file for each task and commitment.

    reranked/<task>-<commitment, 8 digits>.json

The file holds what its tables show of the records, so that a board that is made again later does not change them.
"""

import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.errors import BenchmarkError
from benchmark.records.schema import Count, Digest, Line, Name
from benchmark.records.seed_commitments import SHORT
from benchmark.scoring.fresh import FreshScore
from css_gen.storage.atomic import write_atomically

FOLDER: Final = "reranked"
"""Beside the folder of records."""

Reason = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class RunKey(NamedTuple):
    """What tells the runs of a task apart."""

    recipe: str
    dataset: str
    composer: str
    seed: int


class RerankedRun(_Part):
    """One model of the board.

    Attributes:
        composer, title, preset, recipe, dataset, seed, created: of its record; `preset` is what boards call its recipe.
        checkpoint_sha256: of its model file; None if its record names none.
        own: on the board's test split, computed from the ranks of its record.
        revealed: on the test split of the revealed seed; None if it could not be scored.
        sandbox: the sandbox that a submission's code ran in when it was scored; None for composers in `models/`.
        unscored: why it could not be scored; "" if it was.
    """

    composer: Name
    title: Line
    preset: Line
    recipe: Name
    dataset: Name
    seed: Count
    created: datetime.date
    checkpoint_sha256: Digest | None
    own: FreshScore
    revealed: FreshScore | None = None
    sandbox: Literal["bubblewrap", "process"] | None = None
    unscored: Reason = ""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.revealed is None) != bool(self.unscored):
            raise ValueError("expected either a score, or the reason why there is none")
        if self.revealed and self.revealed.queries != self.own.queries:
            raise ValueError(f"{self.revealed.queries} queries, and {self.own.queries} on the board")
        return self

    @property
    def key(self) -> RunKey:
        return RunKey(self.recipe, self.dataset, self.composer, self.seed)


class Reranking(_Part):
    """All models of a task's board, in the order of their keys.

    Attributes:
        seed, revealed: of the commitment, and when it was revealed.
        rankings: titles of the board's models that are known by a ranking alone, so that nothing can be scored.
    """

    format_version: Literal[1] = 1
    task: Name
    commitment: Digest
    seed: Count
    revealed: datetime.date
    runs: tuple[RerankedRun, ...]
    rankings: tuple[Line, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        keys = [run.key for run in self.runs]
        if keys != sorted({*keys}):
            raise ValueError("its runs are not in order, or one is there twice")
        if any(run.revealed and run.revealed.seed != self.seed for run in self.runs):
            raise ValueError("a run was scored on the test split of another seed")
        return self

    @property
    def name(self) -> str:
        """Of its files, without an ending."""
        return name_of(self.task, self.commitment)

    def merged(self, earlier: Self | None) -> Self:
        """Return this ranking with all scores of an earlier one. A score that is there is final."""
        kept = {run.key: run for run in earlier.runs if run.revealed} if earlier else {}
        runs = {run.key: run for run in self.runs} | kept
        return self.model_copy(update={"runs": tuple(runs[key] for key in sorted(runs))})


def name_of(task: str, commitment: str) -> str:
    return f"{task}-{commitment[:SHORT]}"


def read(path: Path) -> Reranking | None:
    """Read such a file; None if there is none. Raises BenchmarkError if it is damaged."""
    try:
        found = Reranking.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BenchmarkError(
            f"{path}: not what `tirg-bench rerank` writes ({where + ': ' if where else ''}{first['msg']}); restore it"
        ) from None
    if path.stem != found.name:
        raise BenchmarkError(f"{path}: holds {found.name}; give it its name back")
    return found


def write(path: Path, reranking: Reranking) -> None:
    """Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (reranking.model_dump_json(indent=2) + "\n").encode())
