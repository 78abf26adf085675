"""Runs on a real, tiny dataset whose answers are drawn at random, so that a site has pictures without any training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import css_gen.dataset
from benchmark.records.examples import examples_of
from benchmark.records.store import CurvePoint, save_record
from benchmark.scoring.recall import DEPTH, Outcomes
from tests.benchmark.made_up import make_record

_TOP = 8


def save_run(
    leaderboards: Path,
    css_root: Path,
    *,
    seed: int = 0,
    with_examples: bool = True,
    rendering: Any = "its own",
    configuration: dict[str, Any] | None = None,
    known: dict[str, Any] | None = None,
    **about: Any,
) -> Path:
    """Save the record of a run that ranked the gallery of `css_root` at random, and return its path.

    `rendering` is what the record says of the dataset's configuration, `configuration` of the recipe; `known` are
    optional columns of the outcomes.
    """
    outcomes, top = random_answers(css_root, seed=seed)
    outcomes = replace(outcomes, **(known or {}))
    dataset = css_gen.dataset.open(css_root)
    record = make_record(outcomes, seed=seed, fingerprint=dataset.fingerprint, **about)
    record = record.model_copy(
        update={
            "dataset": record.dataset.model_copy(
                update={
                    "gallery": len(dataset.split("test")),
                    "rendering": dataset.manifest.configuration.to_json() if rendering == "its own" else rendering,
                }
            ),
            "examples": examples_of(outcomes, top) if with_examples else (),
            "curve": tuple(
                CurvePoint(step=step, loss=5 / step, recall_at_1=step / 10 if step % 50 == 0 else None)
                for step in range(1, 201)
            ),
        }
    )
    if configuration is not None:
        record = record.model_copy(update={"configuration": configuration})
        ranks = record.ranks.model_copy(update={"path": f"{record.place.name}.parquet"})
        record = record.model_copy(update={"ranks": ranks})
    return save_record(record, outcomes, leaderboards / "records")


def random_answers(css_root: Path, *, seed: int) -> tuple[Outcomes, np.ndarray[Any, np.dtype[np.int64]]]:
    """What became of every query, and (Q, 8) the first images; every other query is answered at once."""
    split = css_gen.dataset.open(css_root).split("test")
    keys = np.array(split.keys)
    rng = np.random.default_rng(seed)
    tops, ranks, drawn_ranks, right, labels = [], [], [], [], []
    for number, query in enumerate(split.queries):
        order = rng.permutation(len(split))
        order = order[order != query.source_id]
        if number % 2:
            order = np.concatenate([[query.target_id], order[order != query.target_id]])
        answers = query.modification.targets(split.scene(query.source_id))
        right.append([key in answers for key in keys[order].tolist()])
        tops.append(order[:_TOP])
        ranks.append(1 + right[-1].index(True))
        drawn_ranks.append(1 + int((keys[order] == keys[query.target_id]).argmax()))
        labels.append(len(answers & set(keys[order].tolist())))
    top = np.array(tops)
    hits = np.zeros((len(tops), DEPTH), dtype=np.bool_)
    for row, found in enumerate(right):
        hits[row, : len(found)] = found[:DEPTH]
    outcomes = Outcomes(
        ranks=np.array(ranks),
        drawn_ranks=np.array(drawn_ranks),
        relevant=np.array([sum(found) for found in right]),
        relevant_labels=np.array(labels),
        hits=hits,
        candidates=np.full(len(tops), len(split) - 1),
        top1=top[:, 0],
        sources=np.array([query.source_id for query in split.queries]),
        attributes={
            "kind": np.array([query.kind for query in split.queries]),
            "combination": np.array(["novel" if query.novel else "seen" for query in split.queries]),
        },
    )
    return outcomes, top
