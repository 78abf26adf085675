"""Check records one by one, each as far as the available data and checkpoints allow."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmark.errors import BenchmarkError
from benchmark.records.rankings import StoredRanking
from benchmark.records.store import StoredRecord, Tier
from benchmark.scoring.fresh import FreshScore
from benchmark.submissions.machine import is_of_the_machine
from benchmark.verification.rescoring import rescore
from benchmark.verification.resources import Resources, UnavailableError
from benchmark.verification.retraining import retrain
from models.errors import ModelError


@dataclass(frozen=True)
class Verified:
    """The result for one record.

    Attributes:
        tier: how far it was checked now; None if the record is wrong.
        note: what was wrong, why it was not checked further, or what came out.
        recall_at_1: what was found, in percent; None where nothing was computed but from its own ranks.
        fresh: what was found on a fresh test set; None where there is none.
    """

    stored: StoredRecord | StoredRanking
    tier: Tier | None
    note: str = ""
    recall_at_1: float | None = None
    fresh: FreshScore | None = None


def verify_records(
    stored: Iterable[StoredRecord], resources: Resources, *, train_again: bool = False
) -> Iterator[Verified]:
    """Check each record that agrees with its ranks: these against its checkpoint or, if asked for, a new training.

    Only this says anything about a forger, who can make numbers and ranks agree. One record that cannot be checked does
    not keep the others from it.
    """
    for run in stored:
        try:
            if train_again:
                recall, note, fresh = retrain(run, resources)
                yield Verified(run, Tier.RETRAINED, "; ".join([note, *_shown(fresh)]), recall, fresh)
            else:
                recall, fresh = rescore(run, resources)
                yield Verified(run, Tier.RE_SCORED, "".join(_shown(fresh)), recall, fresh)
        except (UnavailableError, ModelError) as error:
            yield Verified(run, Tier.SELF_REPORTED, str(error))
        except Exception as error:
            if is_of_the_machine(error):
                yield Verified(run, Tier.SELF_REPORTED, f"not checked further here: {error}")
                continue
            what = str(error) if isinstance(error, BenchmarkError) else f"{type(error).__name__}: {error}"
            where = "" if str(run.path) in what else f"{run.path}: "
            yield Verified(run, None, " ".join(f"{where}{what}".split()))


def _shown(fresh: FreshScore | None) -> list[str]:
    return [f"R@1 {fresh.recall[1]:.1f} on a fresh test set"] if fresh else []
