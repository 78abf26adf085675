"""Records on renderings of several sizes to curves: Recall@1 over the training images, and its slope."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import NamedTuple

import numpy as np

from benchmark.leaderboard.boards import label_of
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.provenance import differences, origin_of
from benchmark.leaderboard.statistics import Floats, Interval, estimate
from benchmark.records import known_queries
from benchmark.records.schema import canonical, sha256
from benchmark.records.store import ComposerCard, StoredRecord
from css_gen.scenes.randomness import SplitId
from css_gen.storage.configuration import Configuration

NOVEL = "novel"
_COMBINATION = "combination"
_SIZES = frozenset({"n", "test-fraction", "train", "test"})
"""What a configuration says of the sizes of the splits."""

Runs = Mapping[int, Sequence[StoredRecord]]
"""Of one composer, by the images of the training split; each seed by seed."""


class Slope(NamedTuple):
    """Points of Recall@1 per doubling of the training images, by least squares over log2 of their number.

    Attributes:
        interval: 95%, over the source scenes of the test split and the seeds; None where no composer of the section has
            two seeds, or where the sizes were not run with the same seeds.
    """

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Curve:
    """Recall@1 in percent by the images of the training split, means over seeds; the slope needs two sizes."""

    recall: Mapping[int, float]
    slope: Slope | None


@dataclass(frozen=True)
class Line:
    """A composer.

    Attributes:
        seeds: by the images of the training split.
        curves: by `ALL` and `NOVEL`; the second only where the test split has such queries.
        notes: in what its runs differ from most others of the section, such as the code.
    """

    composer: ComposerCard
    seeds: Mapping[int, tuple[int, ...]]
    curves: Mapping[str, Curve]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """The curves on one task, with one recipe and one test split; the best at the largest size come first.

    Attributes:
        recipe: the first digits of the recipe's hash.
        configuration: of the rendering with the fewest training images.
        datasets: fingerprints by the images of the training split.
    """

    task: str
    preset: str
    recipe: str
    configuration: Configuration
    datasets: Mapping[int, str]
    lines: tuple[Line, ...]

    @property
    def test_images(self) -> int:
        return self.configuration.split_images(SplitId.TEST)


def sections(stored: Sequence[StoredRecord]) -> tuple[Section, ...]:
    """Return the sections of these records, by task, then the recipe that trains longest first.

    Records share a section only if their test splits have the same configuration and the same queries.
    """
    groups: dict[tuple[str, str, str], list[StoredRecord]] = defaultdict(list)
    for run in sorted(stored, key=lambda run: (run.record.composer.name, run.record.seed)):
        groups[run.record.protocol, run.record.recipe_hash, _test_split(run)].append(run)
    longest_first = sorted(
        groups.items(),
        key=lambda item: (item[0][0], -max(run.record.training.queries_seen for run in item[1]), item[0]),
    )
    return tuple(_section(runs) for _, runs in longest_first)


def usable(stored: Sequence[StoredRecord]) -> tuple[list[StoredRecord], list[str]]:
    """Return the records that belong to curves, and a line for every other one.

    Of two datasets that differ in their content alone, such as renderings by two versions of css-gen, the one with the
    newest record is kept: a curve never mixes them.
    """
    kept: list[StoredRecord] = []
    problems: list[str] = []
    for run in stored:
        try:
            configuration_of(run)
        except ValueError as error:
            problems.append(f"{run.path}: its dataset was not rendered by this css-gen ({error}); remove it")
        else:
            kept.append(run)
    newest = sorted(kept, key=lambda run: (run.record.created, run.record.dataset.fingerprint))
    chosen = {(run.record.protocol, configuration_of(run)): run.record.dataset.fingerprint for run in newest}
    for run in list(kept):
        record, fingerprint = run.record, chosen[run.record.protocol, configuration_of(run)]
        if record.dataset.fingerprint != fingerprint:
            kept.remove(run)
            problems.append(
                f"{run.path}: newer records of the same configuration are on the dataset {fingerprint[:8]}; remove it"
            )
    return kept, problems


def configuration_of(run: StoredRecord) -> Configuration:
    """Return what the data of a record was rendered from.

    Raises:
        ValueError: the data was not rendered, or by another version of css-gen.
    """
    return Configuration.from_json(run.record.dataset.rendering)


def _images(run: StoredRecord) -> int:
    return configuration_of(run).split_images(SplitId.TRAIN)


def _test_split(run: StoredRecord) -> str:
    """Return a hash of all that a record says of its test split."""
    rendering = configuration_of(run).to_json()
    rest = {name: value for name, value in rendering.items() if name not in _SIZES}
    queries = known_queries.queries_of(run.outcomes, run.record.dataset.model_copy(update={"rendering": None}))
    return sha256(canonical([rest, queries.model_dump(mode="json")]))


def _section(runs: Sequence[StoredRecord]) -> Section:
    by_composer: dict[str, dict[int, list[StoredRecord]]] = defaultdict(lambda: defaultdict(list))
    for run in sorted(runs, key=lambda run: (_images(run), run.record.seed)):
        by_composer[run.record.composer.name][_images(run)].append(run)
    origin = origin_of([run.record for run in runs])
    curves = {name: curves_of(by_composer, slice_name) for name, slice_name in ((ALL, None), (NOVEL, NOVEL))}
    lines = []
    for name, by_images in by_composer.items():
        records = [run.record for group in by_images.values() for run in group]
        lines.append(
            Line(
                composer=records[0].composer,
                seeds={images: tuple(run.record.seed for run in group) for images, group in by_images.items()},
                curves={of: found[name] for of, found in curves.items() if found},
                notes=tuple(dict.fromkeys(differences(records, origin))),
            )
        )
    largest = max(map(_images, runs))
    lines.sort(key=lambda line: (-line.curves[ALL].recall.get(largest, -1.0), line.composer.name))
    smallest = min(runs, key=_images)
    return Section(
        task=smallest.record.protocol,
        preset=label_of(smallest.record),
        recipe=smallest.record.recipe_hash[:8],
        configuration=configuration_of(smallest),
        datasets={_images(run): run.record.dataset.fingerprint for run in sorted(runs, key=_images)},
        lines=tuple(lines),
    )


def curves_of(composers: Mapping[str, Runs], combination: str | None = None) -> dict[str, Curve]:
    """Return the curve of each composer, on the queries about one kind of combination or on all (None).

    The variance of a slope between seeds is pooled over the composers; where a composer varies more, its own counts.
    Empty if there are no such queries.
    """
    outcomes = next(run for runs in composers.values() for group in runs.values() for run in group).outcomes
    mask = np.ones(len(outcomes), dtype=np.bool_)
    if combination is not None:
        mask = outcomes.attributes.get(_COMBINATION, np.full(len(outcomes), "")) == combination
    if not mask.any():
        return {}
    scenes = np.unique(outcomes.sources[mask], return_inverse=True)[1]
    hits = {
        name: {
            images: [(run.outcomes.ranks[mask] <= 1).astype(np.float64) for run in group]
            for images, group in runs.items()
        }
        for name, runs in composers.items()
    }
    weighted = {name: _weighted(each) for name, each in hits.items() if _is_balanced(composers[name])}
    between = {name: [float(values.mean()) for values in each] for name, each in weighted.items() if len(each) > 1}
    freedom = sum(len(each) - 1 for each in between.values())
    pooled = sum((len(each) - 1) * statistics.variance(each) for each in between.values()) / max(1, freedom)
    found = {}
    for name, each in hits.items():
        recall = {images: 100 * float(np.mean(group)) for images, group in each.items()}
        interval = None
        if freedom and name in weighted:
            slopes = weighted[name]
            own = statistics.variance(between[name]) if name in between else 0.0
            of_seeds = max(pooled, own) / len(slopes)
            value = estimate(np.mean(slopes, axis=0), scenes, of_seeds=of_seeds, freedom=freedom)
            interval = value.interval() if value else None
        found[name] = Curve(recall, Slope(slope(recall), interval) if len(recall) > 1 else None)
    return found


def slope(recall: Mapping[int, float]) -> float:
    """Return how much Recall grows with each doubling of the images, by least squares; there are two sizes or more.

    >>> slope({1_000: 50.0, 2_000: 53.0, 4_000: 56.0})
    3.0
    """
    return round(sum(weight * recall[images] for images, weight in _weights(list(recall)).items()), 9)


def _weights(images: Sequence[int]) -> dict[int, float]:
    """Return what the Recall of each size counts in the slope."""
    doublings = {each: log2(each) for each in images}
    middle = statistics.fmean(doublings.values())
    total = sum((value - middle) ** 2 for value in doublings.values())
    return {each: (value - middle) / total for each, value in doublings.items()}


def _weighted(hits: Mapping[int, Sequence[Floats]]) -> list[Floats]:
    """Return for each seed the slope of every query, (Q,): their mean is the slope of the Recall."""
    weights = _weights(list(hits))
    seeds = range(len(next(iter(hits.values()))))
    return [np.sum([weights[images] * group[seed] for images, group in hits.items()], axis=0) for seed in seeds]


def _is_balanced(runs: Runs) -> bool:
    """Return whether there are two sizes or more, all run with the same seeds."""
    return len(runs) > 1 and len({tuple(run.record.seed for run in group) for group in runs.values()}) == 1
