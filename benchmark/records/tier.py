"""Verification notes: a small file next to a record says how far the record was checked, and names it by its hash.

Like the record, a note is a claim of the person who added it. `tirg-bench verify` writes it, and anybody can repeat it.
"""

import datetime
import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.errors import BenchmarkError
from benchmark.scoring.fresh import FreshScore
from css_gen.storage.atomic import write_atomically

SUFFIX = ".verified"
"""Of the file with a record's verification note."""


class Tier(StrEnum):
    """From the weakest to the strongest."""

    SELF_REPORTED = "self-reported"
    RE_SCORED = "re-scored"
    RETRAINED = "retrained"

    @property
    def strength(self) -> int:
        return list(Tier).index(self)


class Verified(BaseModel):
    """`recall_at_1` is what was found, in percent, on the dataset's test split and on a fresh one of that seed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tier: Tier
    record_sha256: str
    recall_at_1: Annotated[float, Field(ge=0, le=100)]
    fresh_recall_at_1: Annotated[float, Field(ge=0, le=100)] | None = None
    fresh_seed: Annotated[int, Field(ge=0)] | None = None
    checked: datetime.date


def tier_of(record: Path) -> Tier:
    """How far the record at that path was checked; a note about another state of the file does not count.

    Raises:
        BenchmarkError: the note is damaged.
    """
    return said.tier if (said := note_on(record)) else Tier.SELF_REPORTED


def note_on(record: Path) -> Verified | None:
    """The note about the record at that path; None if there is none, or one about another state of the file.

    Raises:
        BenchmarkError: the note is damaged.
    """
    path = record.with_suffix(SUFFIX)
    try:
        said = Verified.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise BenchmarkError(f"{path}: not a valid `tirg-bench verify` result; delete it") from None
    return said if said.record_sha256 == _hash(record) else None


def write_tier(
    record: Path, tier: Tier, *, record_sha256: str, recall_at_1: float, fresh: FreshScore | None = None
) -> bool:
    """Note what was found, unless as much is noted already; return whether something was written.

    Args:
        record_sha256: of the file that was checked. If it was replaced meanwhile, the note does not count.
        fresh: what was found on a fresh test set of the verifier.

    Raises:
        BenchmarkError: it cannot be written.
    """
    try:
        if tier_of(record).strength >= tier.strength:
            return False
        today = datetime.datetime.now(datetime.UTC).date()
        said = Verified(
            tier=tier,
            record_sha256=record_sha256,
            recall_at_1=recall_at_1,
            fresh_recall_at_1=fresh.recall[1] if fresh else None,
            fresh_seed=fresh.seed if fresh else None,
            checked=today,
        )
        write_atomically(record.with_suffix(SUFFIX), (said.model_dump_json(indent=2) + "\n").encode())
    except OSError as error:
        raise BenchmarkError(f"{record}: the verification note cannot be written ({error.strerror})") from None
    return True


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
