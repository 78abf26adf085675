"""Train on all texts that ask for the same target of the same source, instead of the one that was written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

import css_gen.dataset
from benchmark.datasets.relevance import Relevance
from benchmark.datasets.splits import Alternatives, EquivalentTexts, Queries, Split
from css_gen.scenes.equivalents import equivalents
from css_gen.scenes.scene import Scene


def with_equivalent_texts(training: Split) -> Split:
    """Return the split with a query for each equivalent text of each query, of which batches draw one.

    It is for training alone: what is scored or sliced is left out.

    Raises:
        ValueError: the scenes of the split are not known.
    """
    if training.equivalents is None:
        raise ValueError("the scenes of its images are not known")
    queries, found = training.queries, training.equivalents(training.queries.ids)
    rows = np.repeat(np.arange(len(queries)), np.diff(found.alternatives.starts))
    return replace(
        training,
        queries=Queries(
            ids=tuple(f"{queries.ids[row]}.{number}" for number, row in enumerate(rows)),
            sources=queries.sources[rows],
            targets=queries.targets[rows],
            source_images=queries.source_images[rows],
            texts=found.texts,
            attributes={},
        ),
        relevant=found.relevant,
        text_candidates=None,
        combinations=None,
        alternatives=found.alternatives,
    )


def equivalents_of(
    rows: Sequence[css_gen.dataset.QueryRow], scenes: Sequence[Scene], label_of: Mapping[str, int]
) -> Callable[[Sequence[str]], EquivalentTexts]:
    """Return the function that finds equivalent texts of the queries with given ids. It keeps its last result, because
    the runs of a board all have the same training queries.

    Args:
        rows: all queries of the split.
        scenes: of every image.
        label_of: the label of each scene of the split, by the scene's key.
    """
    row_of = {str(row.query_id): row for row in rows}
    last: list[tuple[tuple[str, ...], EquivalentTexts]] = []

    def found(ids: Sequence[str]) -> EquivalentTexts:
        wanted = tuple(ids)
        if not last or last[0][0] != wanted:
            last[:] = [(wanted, _equivalents([row_of[name] for name in wanted], scenes, label_of))]
        return last[0][1]

    return found


def _equivalents(
    rows: Sequence[css_gen.dataset.QueryRow], scenes: Sequence[Scene], label_of: Mapping[str, int]
) -> EquivalentTexts:
    counts, texts, shares, relevant = [], [], [], []
    for row in rows:
        source = scenes[row.source_id]
        names = "2d" if row.text == row.modification.text_with("2d") else "3d"
        alike = equivalents(row.modification, source, scenes[row.target_id])
        counts.append(len(alike))
        total = sum(weight for weight, _ in alike.values())
        for modification, (weight, targets) in alike.items():
            texts.append(modification.text_with(names))
            shares.append(weight / total)
            relevant.append([label_of[key] for key in targets if key in label_of])
    alternatives = Alternatives(np.cumsum([0, *counts]), np.array(shares))
    return EquivalentTexts(alternatives, tuple(texts), Relevance.of_sets(relevant))
