"""Runs whose first images are of every sort, on a dataset that is never rendered to disk."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmark.explanation.rendered import Rendered
from benchmark.records.examples import examples_of
from benchmark.records.store import save_record
from benchmark.scoring.recall import DEPTH, Outcomes
from css_gen.storage.configuration import Configuration
from tests.benchmark.made_up import make_record

CONFIGURATION = Configuration(images=150, size=16, seed=6)
"""75 images, and 72 queries of which 11 have several relevant scenes."""

RENDERED = Rendered(CONFIGURATION)
FINGERPRINT = "explained"


def answers(*, seed: int) -> tuple[Outcomes, np.ndarray[Any, np.dtype[np.int64]]]:
    """What became of every query, and (Q, 8) the first images.

    By turns the first image is one of the drawn target, one of another relevant scene if there is one, and a random one
    of the gallery, of which the last is often an error.
    """
    rng = np.random.default_rng(seed)
    keys = np.array([scene.key for scene in RENDERED.scenes])
    columns: dict[str, list[Any]] = {name: [] for name in ("ranks", "drawn_ranks", "relevant", "relevant_labels")}
    tops, hits = [], np.zeros((len(RENDERED.queries), DEPTH), dtype=np.bool_)
    for number, query in enumerate(RENDERED.queries):
        order = rng.permutation(len(keys))
        order = order[order != query.source_id]
        drawn = keys[order] == keys[query.target_id]
        found = np.isin(keys[order], sorted(query.modification.targets(RENDERED.scenes[query.source_id])))
        others = order[found & ~drawn]
        first = [order[drawn][0], others[0] if len(others) else order[0], order[0]][number % 3]
        order = np.concatenate([[first], order[order != first]])
        relevant = np.isin(keys[order], sorted(query.modification.targets(RENDERED.scenes[query.source_id])))
        columns["ranks"].append(1 + int(relevant.argmax()))
        columns["drawn_ranks"].append(1 + int((keys[order] == keys[query.target_id]).argmax()))
        columns["relevant"].append(int(relevant.sum()))
        columns["relevant_labels"].append(len(set(keys[order][relevant])))
        hits[number, : len(relevant)] = relevant[:DEPTH]
        tops.append(order[:8])
    top = np.array(tops)
    outcomes = Outcomes(
        **{name: np.array(column) for name, column in columns.items()},
        hits=hits,
        candidates=np.full(len(tops), len(keys) - 1),
        top1=top[:, 0],
        sources=np.array([query.source_id for query in RENDERED.queries]),
        attributes={"kind": np.array([query.kind for query in RENDERED.queries])},
    )
    return outcomes, top


def save_answers(
    leaderboards: Path,
    *,
    seed: int,
    changed: dict[str, Any] | None = None,
    rendering: Any = "its own",
    fingerprint: str = FINGERPRINT,
    **about: Any,
) -> Path:
    """Save the record of a run with these answers, and return its path.

    Args:
        changed: columns of the outcomes that differ from `answers`.
        rendering: what the record says of the dataset's configuration.
    """
    outcomes, top = answers(seed=seed)
    outcomes = Outcomes(**(vars(outcomes) | (changed or {})))
    record = make_record(outcomes, seed=seed, fingerprint=fingerprint, **about)
    card = record.dataset.model_copy(
        update={
            "gallery": len(RENDERED.scenes),
            "rendering": CONFIGURATION.to_json() if rendering == "its own" else rendering,
        }
    )
    record = record.model_copy(update={"dataset": card, "examples": examples_of(outcomes, top)})
    return save_record(record, outcomes, leaderboards / "records")
