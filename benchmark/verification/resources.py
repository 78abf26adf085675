"""The data, the device and the folders that records are verified with, and the sandbox of submitted code."""

from dataclasses import dataclass, field
from pathlib import Path

from benchmark import tasks as datasets
from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.records.store import RunRecord, StoredRecord, submitted_source
from benchmark.runs.fresh import FreshTestSets
from benchmark.submissions.messages import Candidate
from benchmark.submissions.sandbox import SandboxTier
from benchmark.submissions.sandboxed_run import Box
from benchmark.training.progress import RunReporter


class UnavailableError(Exception):
    """A record cannot be checked further here, and why; nothing is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Attributes:
    places: folders of datasets by name, for those that are not in `data/`.
    runtime: of scoring and training again.
    runs: where retraining keeps its runs.
    tier: the sandbox of submitted code; None if there is none to be run.
    seconds: the longest that one process of a submission may take.
    is_equal_code: whether training must give equal results also for records of another version of the code.
    fresh: the fresh test sets that models are scored on, too; they are drawn here, whatever a record says of its own.
    """

    places: dict[str, Path]
    runtime: Runtime
    reporter: RunReporter
    runs: Path
    tier: SandboxTier | None
    seconds: float = 14_400
    memory_mib: int = 8_192
    is_equal_code: bool = False
    fresh: FreshTestSets = field(default_factory=FreshTestSets)
    _opened: dict[tuple[str, int], Dataset] = field(default_factory=dict)
    _weights: dict[tuple[str, str, str], RunRecord] = field(default_factory=dict)

    def first_with(self, weights_sha256: str, stored: StoredRecord) -> RunRecord:
        """Return the first record on the same task and data whose checkpoint has these weights, else this one."""
        record = stored.record
        return self._weights.setdefault((record.protocol, record.dataset.fingerprint, weights_sha256), record)

    def dataset_of(self, stored: StoredRecord, image_size: int) -> Dataset:
        """The data that a record was made on.

        Raises:
            UnavailableError: it is absent or cannot be read, or there is other data in its place.
        """
        record = stored.record
        protocol = record.protocol
        try:
            place = datasets.locate(protocol, self.places)
            if not place.exists():
                raise UnavailableError(f"there is no dataset in {place}")
            if (protocol, image_size) not in self._opened:
                opened = datasets.get(protocol).open(
                    place, image_size=image_size, reporter=self.reporter, skip_broken=True
                )
                _ = opened.train, opened.test  # read here, so that damaged data is not blamed on the record
                self._opened[protocol, image_size] = opened
        except BenchmarkError as error:
            raise UnavailableError(str(error)) from None
        dataset = self._opened[protocol, image_size]
        if dataset.fingerprint != record.dataset.fingerprint:
            other = f"{dataset.fingerprint[:8]}, not {record.dataset.fingerprint[:8]}"
            raise UnavailableError(f"the dataset in {datasets.locate(protocol, self.places)} is {other}")
        return dataset

    def box_of(self, stored: StoredRecord) -> Box:
        """A submission's code, as it is kept beside its records, and its sandbox.

        Raises:
            UnavailableError: no code is to be run here.
        """
        if self.tier is None:
            raise UnavailableError("submitted code is not run here")
        name = stored.record.composer.name
        file = submitted_source(stored.path, name)
        return Box(
            candidate=Candidate(shown=file.name, file=str(file), name=name),
            tier=self.tier,
            runtime=self.runtime,
            reporter=self.reporter,
            seconds=self.seconds,
            memory_mib=self.memory_mib,
        )


def run_of(stored: StoredRecord, *, spatial: bool) -> Run:
    """The run of a record, with the recipe that it was made with.

    Args:
        spatial: as the task's dataset says.

    Raises:
        UnavailableError: this version of the code trains with other recipes.
    """
    record = stored.record
    identity = record.identity
    return Run(
        identity.task, identity.composer, recipe_of(stored), identity.seed, identity.fingerprint, spatial=spatial
    )


def recipe_of(stored: StoredRecord) -> Recipe:
    """The recipe that a record was made with. Raises UnavailableError if this version of the code has other recipes."""
    try:
        return Recipe.from_content(stored.record.configuration)
    except ValueError as error:
        raise UnavailableError(f"{error}".partition("\n")[0]) from None
