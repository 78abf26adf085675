"""The rendered dataset that a record was scored on, if it lies at hand: scenes, queries and pictures of its splits."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import css_gen.dataset
from benchmark import tasks as datasets
from benchmark.records.store import StoredRecord
from css_gen.dataset import QueryRow
from css_gen.errors import DatasetError
from css_gen.scenes.scene import Scene
from css_gen.storage.manifest import Manifest

_SCORED_SPLIT = "test"


@dataclass(frozen=True)
class Rendered:
    """A dataset of css-gen's, read when it is needed. Reading raises DatasetError for a file that is damaged."""

    dataset: css_gen.dataset.Dataset

    @property
    def manifest(self) -> Manifest:
        return self.dataset.manifest

    @cached_property
    def split(self) -> css_gen.dataset.Split:
        """The split that records are scored on."""
        return self.dataset.split(_SCORED_SPLIT)

    @cached_property
    def scenes(self) -> list[Scene]:
        """Of every image of the gallery."""
        return [self.split.scene(row) for row in range(len(self.split))]

    @cached_property
    def queries(self) -> list[QueryRow]:
        return self.split.queries

    def is_of(self, run: StoredRecord) -> bool:
        """Whether the run was scored on these queries and this gallery."""
        return (
            run.record.dataset.fingerprint == self.dataset.fingerprint
            and run.record.dataset.gallery == len(self.split)
            and np.array_equal(run.outcomes.sources, [query.source_id for query in self.queries])
        )


def find_rendered(run: StoredRecord, places: dict[str, Path]) -> Rendered | str:
    """The dataset of a record, or a sentence that says why it cannot be shown.

    Args:
        places: folders by dataset name, for those that do not lie in `data/`.
    """
    record = run.record
    task = datasets.find(record.protocol)
    if task is None:
        return "This task is not one of ours, so there are no pictures of it here."
    if not task.is_rendered:
        return "The images are their owners' to show, so there are no pictures here."
    root = datasets.locate(record.protocol, places)
    how = f"Where it lies, `tirg-bench leaderboard --html --data {task.folder}=PATH` adds them."
    nowhere = f"The dataset {record.dataset.fingerprint[:8]} was not at hand when this page was made, so there are"
    try:
        found = Rendered(css_gen.dataset.open(root))
        if found.dataset.fingerprint != record.dataset.fingerprint:
            other = found.dataset.fingerprint[:8]
            return f"{nowhere} no pictures and no counts of errors (another one, {other}, was). {how}"
        if not found.is_of(run):
            return "The record names the dataset at hand but other queries, so there are no pictures."
        _ = found.scenes
    except (DatasetError, OSError, ValueError, KeyError):
        return f"{nowhere} no pictures and no counts of errors. {how}"
    return found


def view_of_sources(protocol: str) -> str:
    """The column of images that queries of a protocol start from."""
    task = datasets.find(protocol)
    return f"image_{(task and task.source_view) or '3d'}"
