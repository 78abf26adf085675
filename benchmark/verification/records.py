"""Records one by one, each checked as far as what is at hand allows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.record import StoredRecord, Tier
from benchmark.verification.at_hand import AtHand, NotAtHandError
from benchmark.verification.rescoring import rescore
from benchmark.verification.retraining import retrain


@dataclass(frozen=True)
class Verified:
    """What became of one record.

    Attributes:
        tier: how far it was checked now; None if the record is wrong.
        note: what was wrong, why it was not checked further, or what came out.
        recall_at_1: what was found, in percent; None where nothing was computed but from its own ranks.
    """

    path: Path
    tier: Tier | None
    note: str = ""
    recall_at_1: float | None = None


def verify_records(stored: Iterable[StoredRecord], hand: AtHand, *, train_again: bool = False) -> Iterator[Verified]:
    """Check each record that agrees with its ranks: these against its checkpoint or, if asked for, a new training.

    Only this says anything about a forger, who can make numbers and ranks agree.
    """
    for run in stored:
        path = run.path
        try:
            if train_again:
                recall, note = retrain(run, hand)
                yield Verified(path, Tier.RETRAINED, note, recall)
            else:
                yield Verified(path, Tier.RE_SCORED, recall_at_1=rescore(run, hand))
        except NotAtHandError as error:
            yield Verified(path, Tier.SELF_REPORTED, str(error))
        except BenchmarkError as error:
            yield Verified(path, None, str(error))
