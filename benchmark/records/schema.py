"""The format of a record, as types that validate it."""

import datetime
import hashlib
import json
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from benchmark.recipe.hashing import hash_of
from benchmark.recipe.identity import RunIdentity
from benchmark.records.environment import Environment
from benchmark.scoring.fresh import FreshScore
from benchmark.scoring.metrics import Metrics
from models.base import MOST_LEVELS

FORMAT_VERSION: Final = 3

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]
# No control characters, and no start that a spreadsheet would take for a formula.
Line = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x20\x7f=+@-][^\x00-\x1f\x7f]*$")]
# Of a file: as long as a system allows, and starting with anything, because no table shows it.
StoredPath = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*$")]
Url = Annotated[str, Field(max_length=300, pattern=r"^https?://[^\s<>\"|\\]+$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class ComposerCard(_Part):
    """The composer's own description, as in `models.ComposerInfo`.

    `auxiliary`: whether it brings a loss of its own (`models.Composer.auxiliary`); the recipe has its weight. `levels`:
    at how many depths of the image encoder it composed.
    """

    name: Name
    title: Line
    paper: Line
    year: Annotated[int, Field(ge=1900, le=2200)]
    url: Url
    auxiliary: bool = False
    levels: Annotated[int, Field(ge=1, le=MOST_LEVELS)] = 1


class DatasetCard(_Part):
    """The data a run was scored on.

    `gallery` and `queries` are numbers of images and of test queries. `skipped` images were broken and left out, with
    the queries on them; `skipped_sha256` is of the list of their names. `rendering` is the configuration that css-gen
    renders the data from, under the names of its options; None for data that cannot be rendered.
    """

    name: Name
    fingerprint: Name
    gallery: Annotated[int, Field(ge=1)]
    queries: Annotated[int, Field(ge=1)]
    skipped: Count = 0
    skipped_sha256: Digest | None = None
    rendering: dict[str, JsonValue] | None = None


class TrainingFacts(_Part):
    """`wall_seconds` is the whole run, scoring included; `peak_memory_mib` is the device's, on a CPU the process's."""

    steps: Count
    queries_seen: Count
    queries_per_second: Amount
    wall_seconds: Amount
    evaluation_seconds: Amount
    peak_memory_mib: Amount
    final_loss: float


class ParameterCounts(_Part):
    """Numbers of learnable values: of the whole network, and of the composer alone."""

    total: Count
    composer: Count


class CurvePoint(_Part):
    """One point of the learning curve; Recall@1 is of the validation part."""

    step: Count
    loss: float | None = None
    recall_at_1: float | None = None


class Example(_Part):
    """The first images of one query, to be shown: its row, and rows of the gallery, best first."""

    query: Count
    why: Literal["sample", "best", "worst"]
    top: Annotated[tuple[Count, ...], Field(max_length=50)]


class StoredFile(_Part):
    """A file and its hash. Tables must not show `path`, which a spreadsheet could take for a formula."""

    path: StoredPath
    sha256: Digest


class Submission(_Part):
    """Who submitted the composer of a run, where it is not one of `models/`.

    Attributes:
        source_sha256: of its code, which is stored in `submissions/`.
        sandbox: of its process: "bubblewrap", or "process" for limits and an audit hook alone.
    """

    author: Line
    url: Url
    source_sha256: Digest
    sandbox: Literal["bubblewrap", "process"]


class ScoredRecord(_Part):
    """What every record holds: of a run, or of a model that is known by its ranking alone (`rankings`).

    Attributes:
        ranks: its path is relative to the record.
    """

    format_version: Literal[3]
    protocol: Name
    dataset: DatasetCard
    metrics: Metrics
    examples: Annotated[tuple[Example, ...], Field(max_length=100)] = ()
    ranks: StoredFile
    created: datetime.date


class RunRecord(ScoredRecord):
    """A finished run. Make one with `making.new_record`.

    Attributes:
        preset: what the recipe was called when the run was made. Tables compute the label again, from the recipe.
        configuration: the recipe's content (`Recipe.content`): its version, and what differs from the defaults.
        composer_sha256: of the file that defines the composer.
        is_local: whether that is a file that was named on the command line, neither in `models/` nor submitted.
        checkpoint: its path may be relative to anywhere.
        fresh: the score on a fresh test set; None where there is none, and in older records.
        weights_sha256: of the checkpoint's weights alone (`training.checkpoint.weights_sha256`); None in older records.
    """

    composer: ComposerCard
    preset: Line
    seed: Count
    configuration: dict[str, JsonValue]
    composer_sha256: Digest
    is_local: bool = False
    training: TrainingFacts
    parameters: ParameterCounts
    curve: Annotated[tuple[CurvePoint, ...], Field(max_length=2_000)]
    environment: Environment
    checkpoint: StoredFile | None
    weights_sha256: Digest | None = None
    submission: Submission | None = None
    fresh: FreshScore | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.ranks.path != (name := f"{self.place.name}.parquet"):
            raise ValueError(f"ranks.path is not {name}")
        if self.submission and self.submission.source_sha256 != self.composer_sha256:
            raise ValueError("submission.source_sha256 is not composer_sha256")
        if self.fresh:
            self._require_fresh(self.fresh)
        return self

    def _require_fresh(self, fresh: FreshScore) -> None:
        """Raises ValueError unless the fresh test set is one of this run's dataset, and not that dataset itself."""
        dataset = self.dataset
        if dataset.rendering is None:
            raise ValueError("fresh: the dataset cannot be rendered, so it has no fresh test set")
        if fresh.fingerprint == dataset.fingerprint or fresh.seed == dataset.rendering.get("seed"):
            raise ValueError("fresh: has the seed or the fingerprint of the dataset itself")
        if fresh.queries != dataset.queries:
            raise ValueError(f"fresh: has {fresh.queries} queries, the dataset has {dataset.queries}")

    @property
    def recipe_hash(self) -> str:
        return hash_of(self.configuration)

    @property
    def identity(self) -> RunIdentity:
        return RunIdentity(self.protocol, self.composer.name, self.recipe_hash, self.seed, self.dataset.fingerprint)

    @property
    def place(self) -> PurePath:
        """Its path below `records/`, without an ending."""
        return self.identity.place(self.preset)

    def reproducible(self) -> dict[str, Any]:
        """All but times, hosts and the fresh test set: the same code, recipe, seed and number of threads give it again
        on the same machine, to the last digit."""
        return self.model_dump(
            mode="json",
            exclude={
                "created": True,
                "environment": True,
                "checkpoint": {"path"},
                "fresh": True,
                "training": {"queries_per_second", "wall_seconds", "evaluation_seconds", "peak_memory_mib"},
            },
        )


def canonical(values: Any) -> bytes:
    """JSON in one spelling: equal values give equal bytes. Raises ValueError for NaN and infinity."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256(content: bytes) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
