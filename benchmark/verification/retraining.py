"""A record's run made again, from the data on, and whether the result is one that its seeds could give."""

from benchmark.config import Config
from benchmark.datasets.base import Dataset
from benchmark.errors import BenchmarkError
from benchmark.record import RunRecord, StoredRecord, read_stored, submitted_source
from benchmark.runner import held
from benchmark.single_run import Bench, Run, make_record, run_folder
from benchmark.statistics import Interval, prediction_interval
from benchmark.submissions import submitted_run
from benchmark.submissions.submitted_run import Entry, keep_source
from benchmark.verification.at_hand import AtHand, config_of
from benchmark.verification.rescoring import TOLERANCE


def retrain(stored: StoredRecord, hand: AtHand) -> tuple[float, str]:
    """Recall@1 in percent of the same recipe and seed, trained again, and how it stands to the record's.

    On the machine that made the record the two are equal. Another one rounds otherwise, and the training then takes
    another way: the result has to lie where one more seed would (95% of the time), which is known from two seeds on.

    Raises:
        NotAtHandError: the dataset is not there, or this version of the code has other recipes.
        BenchmarkError: the result is another than the record's.
    """
    record = stored.record
    config = config_of(stored)
    dataset = hand.dataset_of(stored, config.data.image_size)
    found = _made_again(stored, config, dataset, hand).metrics.recall[1]
    said = record.metrics.recall[1]
    seeds = _recalls_of_seeds(stored)
    expected = prediction_interval(seeds) or Interval(said, said)
    low, high = min(expected.low, said - TOLERANCE), max(expected.high, said + TOLERANCE)
    where = f"{low:.1f} to {high:.1f}, where {len(seeds)} seeds let one expect it"
    if not low <= found <= high:
        raise BenchmarkError(f"{stored.path}: says R@1 {said:.1f}, trained again it is {found:.1f}, outside {where}")
    return found, f"R@1 {found:.1f} again, {said:.1f} in the record; within {where}"


def _made_again(stored: StoredRecord, config: Config, dataset: Dataset, hand: AtHand) -> RunRecord:
    record = stored.record
    home = hand.runs / "verify"
    run = Run(record.composer.name, record.protocol, record.seed)
    bench = Bench(
        config=config,
        device=hand.device,
        reporter=hand.reporter,
        places=hand.places,
        leaderboards=home,
        runs=home,
    )
    title = f"again: {run}"
    with held(run_folder(run, bench)):
        if record.submission is None:
            return make_record(run, dataset, bench, title)
        box = hand.box_of(stored)
        source = submitted_source(stored.path, run.composer).read_bytes()
        keep_source(source, run.composer, home)
        entry = Entry(candidate=box.candidate, card=record.composer, about=record.submission, source=source, home=home)
        return submitted_run.make_record(run, dataset, box, bench, entry, title).record


def _recalls_of_seeds(stored: StoredRecord) -> list[float]:
    """Recall@1 of all records of the same row, the given one among them."""
    runs = [read_stored(path).record for path in sorted(stored.path.parent.glob("*.json")) if path.name[0] != "."]
    return [run.metrics.recall[1] for run in runs if run.configuration_hash == stored.record.configuration_hash]
