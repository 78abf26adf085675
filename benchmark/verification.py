"""Whether a record can be believed: its numbers from its ranks, and its ranks from its checkpoint.

Only the second step says anything about a forger, who can make numbers and ranks agree. A checkpoint that is not at
hand cannot be scored, so the record stays what its author says it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmark import datasets
from benchmark.checkpoint import Checkpoint, Identity
from benchmark.datasets.base import Dataset
from benchmark.device import make_accelerator
from benchmark.errors import BenchmarkError, UsageError
from benchmark.evaluation import evaluate
from benchmark.finished_run import recipe_of
from benchmark.recall import KS, recall_at_k
from benchmark.record import RunRecord, StoredRecord, Tier, read_stored
from css_gen.progress import Reporter

TOLERANCE = 0.25
"""Percentage points of Recall@K by which another machine's rounding may move a result: a few queries in a thousand."""


@dataclass(frozen=True)
class Verified:
    """What became of one record.

    Attributes:
        tier: None if the record is wrong.
        note: what was wrong, or why it was not checked further; empty for one that was scored again.
    """

    path: Path
    tier: Tier | None
    note: str = ""


def verify_records(
    paths: Iterable[Path], *, places: Mapping[str, Path], device: str, reporter: Reporter
) -> Iterator[Verified]:
    """Check each record as far as the files at hand allow.

    Recall is computed again from the ranks; the ranks from the checkpoint, where it and the dataset are at hand.

    Args:
        places: folders of datasets by name, for those that do not lie in `data/`.
    """
    opened: dict[tuple[str, int], Dataset | str] = {}
    for path in paths:
        try:
            stored = read_stored(path)
            yield _rescored(stored, opened, dict(places), device, reporter)
        except BenchmarkError as error:
            yield Verified(path, None, str(error))


def _rescored(
    stored: StoredRecord,
    opened: dict[tuple[str, int], Dataset | str],
    places: dict[str, Path],
    device: str,
    reporter: Reporter,
) -> Verified:
    record, path = stored.record, stored.path
    kept = record.checkpoint
    if kept is None or not Path(kept.path).is_file():
        where = kept.path if kept else "none was kept"
        return Verified(path, Tier.SELF_REPORTED, f"no checkpoint at hand ({where})")
    if sha256(Path(kept.path).read_bytes()).hexdigest() != kept.sha256:
        # Whoever runs a seed again overwrites its model: that is no forgery, but the record cannot be checked by it.
        raise BenchmarkError(f"{path}: {kept.path} is not the checkpoint that it was made from (its hash differs)")
    checkpoint = Checkpoint.read(Path(kept.path))
    if difference := _other_run(checkpoint.identity, record):
        raise BenchmarkError(f"{path}: {kept.path} is of another run ({difference})")
    size = checkpoint.identity.config.data.image_size
    if (record.protocol, size) not in opened:
        opened[record.protocol, size] = _open(record.protocol, size, places, reporter)
    dataset = opened[record.protocol, size]
    if isinstance(dataset, str):
        return Verified(path, Tier.SELF_REPORTED, dataset)
    if dataset.fingerprint != record.dataset.fingerprint:
        other = f"{dataset.fingerprint[:8]}, not {record.dataset.fingerprint[:8]}"
        return Verified(path, Tier.SELF_REPORTED, f"the dataset at hand is {other}")
    config = checkpoint.identity.config
    accelerator = make_accelerator(device, config.training.precision)
    network = checkpoint.network()
    network.arrange(accelerator.device, size)
    reporter.message(f"scoring {kept.path} again")
    found = evaluate(network, dataset.test, accelerator=accelerator, chunk=config.evaluation.chunk).outcomes
    recall = recall_at_k(found.ranks)
    for k in KS:
        said = record.metrics.recall[k]
        if abs(recall[k] - said) > TOLERANCE:
            raise BenchmarkError(f"{path}: says R@{k} {said:.2f}, its checkpoint gives {recall[k]:.2f}")
    return Verified(path, Tier.RE_SCORED)


def _other_run(identity: Identity, record: RunRecord) -> str:
    """What the checkpoint says otherwise than the record; empty if nothing."""
    pairs = {
        "composer": (identity.composer, record.composer.name),
        "dataset": (identity.dataset, record.protocol),
        "fingerprint": (identity.fingerprint, record.dataset.fingerprint),
        "seed": (identity.seed, record.seed),
        "recipe": (recipe_of(identity.config), record.configuration),
    }
    return ", ".join(f"another {name}" for name, (its, said) in pairs.items() if its != said)


def _open(protocol: str, size: int, places: dict[str, Path], reporter: Reporter) -> Dataset | str:
    """The dataset, or why it is not at hand."""
    try:
        place = datasets.locate(protocol, places)
        if not place.exists():
            return f"the dataset is not at hand ({place})"
        return datasets.info(protocol).open(place, image_size=size, reporter=reporter, skip_broken=True)
    except UsageError as error:
        return str(error)
