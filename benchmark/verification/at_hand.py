"""What there is to verify a record with: data, a device, a folder to work in, and what holds submitted code."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from benchmark import tasks as datasets
from benchmark.datasets.splits import Dataset
from benchmark.errors import UsageError
from benchmark.recipe.config import RECIPE_VERSION, Config
from benchmark.records.store import StoredRecord, submitted_source
from benchmark.submissions.messages import Candidate
from benchmark.submissions.sandbox import SandboxTier
from benchmark.submissions.sandboxed_run import Box
from benchmark.training.progress import RunReporter


class NotAtHandError(Exception):
    """A record cannot be checked further here, and why; nothing is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class AtHand:
    """Attributes:
    places: folders of datasets by name, for those that do not lie in `data/`.
    runs: where retraining leaves its runs.
    tier: what holds submitted code; None where there is none to be run.
    seconds: the longest that one process of a submission may take.
    """

    places: dict[str, Path]
    device: str
    reporter: RunReporter
    runs: Path
    tier: SandboxTier | None
    seconds: float = 14_400
    memory_mib: int = 8_192
    _opened: dict[tuple[str, int], Dataset] = field(default_factory=dict)

    def dataset_of(self, stored: StoredRecord, image_size: int) -> Dataset:
        """The very data that a record was made on.

        Raises:
            NotAtHandError: it is absent, or what lies in its place is other data.
        """
        record = stored.record
        protocol = record.protocol
        try:
            place = datasets.locate(protocol, self.places)
            if not place.exists():
                raise NotAtHandError(f"the dataset is not at hand ({place})")
            if (protocol, image_size) not in self._opened:
                opened = datasets.get(protocol).open(
                    place, image_size=image_size, reporter=self.reporter, skip_broken=True
                )
                self._opened[protocol, image_size] = opened
        except UsageError as error:
            raise NotAtHandError(str(error)) from None
        dataset = self._opened[protocol, image_size]
        if dataset.fingerprint != record.dataset.fingerprint:
            other = f"{dataset.fingerprint[:8]}, not {record.dataset.fingerprint[:8]}"
            raise NotAtHandError(f"the dataset at hand is {other}")
        return dataset

    def box_of(self, stored: StoredRecord) -> Box:
        """A submission's code, as it lies beside its records, and what holds it.

        Raises:
            NotAtHandError: no code is to be run here.
        """
        if self.tier is None:
            raise NotAtHandError("submitted code is not run here")
        name = stored.record.composer.name
        file = submitted_source(stored.path, name)
        return Box(
            candidate=Candidate(shown=file.name, file=str(file), name=name),
            tier=self.tier,
            device=self.device,
            reporter=self.reporter,
            seconds=self.seconds,
            memory_mib=self.memory_mib,
        )


def config_of(stored: StoredRecord) -> Config:
    """The recipe that a record was made with.

    Raises:
        NotAtHandError: this version of the code trains with other recipes.
    """
    record = stored.record
    version = record.configuration.get("recipe_version")
    if version != RECIPE_VERSION:
        raise NotAtHandError(f"its recipe is of version {version}, this is version {RECIPE_VERSION}")
    values = {name: value for name, value in record.configuration.items() if name != "recipe_version"}
    try:
        return Config.model_validate({"preset": record.preset, **values})
    except ValidationError as error:
        raise NotAtHandError(f"its recipe is not one of this version ({error.errors()[0]['msg']})") from None
