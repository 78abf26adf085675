"""Two composers that are one model on pooled features, in the committed records."""

from pathlib import Path

from benchmark.leaderboard.files import load_records
from benchmark.records.store import StoredRecord
from benchmark.verification.duplicates import repeated

RECORDS = Path(__file__).parents[3] / "leaderboards" / "records"


def run_of(task: str, composer: str, seed: int) -> StoredRecord:
    stored, problems = load_records(RECORDS, only=RECORDS / task / composer)
    assert not problems
    (found,) = (run for run in stored if run.record.seed == seed and run.path.name.startswith("quick-"))
    return found


def test_on_pooled_features_they_may_be_equal_with_one_seed_and_not_with_another() -> None:
    one, same = (run_of("css-pooled", name, 0) for name in ("attribute_as_operator", "depth_operator"))
    assert one.record.weights_sha256 == same.record.weights_sha256
    assert repeated([one, same]) == {}
    other = run_of("css-pooled", "depth_operator", 1)
    copied = other._replace(outcomes=one.outcomes)
    assert list(repeated([one, copied])) == [copied.path]


def test_on_the_map_they_have_to_differ() -> None:
    one, other = (run_of("css", name, 0) for name in ("attribute_as_operator", "depth_operator"))
    assert repeated([one, other]) == {}
    copied = other._replace(
        outcomes=one.outcomes,
        record=other.record.model_copy(update={"weights_sha256": one.record.weights_sha256}),
    )
    assert len(repeated([one, copied])[copied.path]) == 2
