"""Made-up runs: outcomes and records that are valid and cheap."""

import datetime
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmark.recipe.identity import Run
from benchmark.recipe.label import label
from benchmark.recipe.presets import PRESETS
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.records.environment import Environment
from benchmark.records.equal_versions import EqualVersion
from benchmark.records.making import FinishedRun, new_record
from benchmark.records.store import ComposerCard, CurvePoint, DatasetCard, Example, RunRecord, StoredFile
from benchmark.scoring.evaluation import Evaluation
from benchmark.scoring.recall import DEPTH, Mask, Outcomes
from benchmark.tasks.css import SLICES
from benchmark.training.loop import Trained

GALLERY = 200


def answered(*, ranks: npt.ArrayLike, **others: Any) -> Outcomes:
    """Outcomes where the drawn target's label alone is right, and further images of it come late."""
    places = np.asarray(ranks)
    alone = {"drawn_ranks": places, "relevant_labels": np.asarray(others["relevant"]) > 0, "hits": first_hits(places)}
    return Outcomes(**{"ranks": places, **alone, **others})


def with_ranks(outcomes: Outcomes, ranks: npt.NDArray[np.int64]) -> Outcomes:
    """The same queries with other ranks of the drawn targets, which alone are right."""
    return replace(outcomes, ranks=ranks, drawn_ranks=ranks, hits=first_hits(ranks))


def first_hits(ranks: npt.NDArray[np.int64]) -> Mask:
    """(Q, DEPTH), true at the rank."""
    return np.asarray(ranks)[:, None] == 1 + np.arange(DEPTH)


def make_outcomes(*, hit_rate: float = 0.6, seed: int = 0, queries: int = 240, sources: int = 24) -> Outcomes:
    """Queries whose attributes depend on `queries` and `sources` alone, so that runs of other seeds are comparable."""
    rng = np.random.default_rng(seed)
    hits = rng.random(queries) < hit_rate
    rows = np.arange(queries)
    return answered(
        ranks=np.where(hits, 1, rng.integers(2, GALLERY, queries)),
        relevant=np.ones(queries, dtype=np.int64),
        candidates=np.full(queries, GALLERY - 1),
        top1=rng.integers(0, GALLERY, queries),
        sources=rows % sources,
        attributes={
            "selection": np.where(rows % 24 == 0, "everything", "content"),
            "changed": np.array(SLICES["changed"].values)[rows % 4],
            "answers": np.full(queries, "1"),
            "kind": np.array(SLICES["kind"].values)[rows % 4],
            "combination": np.where(rows % 24 == 0, "novel", "seen"),
            "objects": (1 + rows % 8).astype(np.str_),
        },
        part_ranks={"noun": np.ones(queries, dtype=np.int64)},
    )


def make_record(
    outcomes: Outcomes,
    *,
    composer: str = "tirg",
    title: str = "TIRG",
    protocol: str = "css",
    recipe: Recipe = PRESETS["quick"],
    seed: int = 0,
    fingerprint: str = "0123456789abcdef",
    queries_seen: int = 25_600,
    device: str = "Some CPU",
    threads: int = 2,
    jobs: int = 1,
    torch: str = "2.11.0",
    code_version: str = "c0de" * 16,
    composer_sha256: str = "c0" * 32,
    is_local: bool = False,
    other_cores: float | None = 0.0,
    url: str = "https://x.org/1",
) -> RunRecord:
    run = Run(protocol, composer, recipe, seed, fingerprint, True)
    finished = FinishedRun(
        run=run,
        preset=label(recipe),
        composer=ComposerCard(name=composer, title=title, paper="A. Author, A paper", year=2019, url=url),
        composer_sha256=composer_sha256,
        is_local=is_local,
        dataset=DatasetCard(name="css", fingerprint=fingerprint, gallery=GALLERY, queries=len(outcomes)),
        trained=Trained(100.0, 0.0, (2.5, 0.731), ((2, 55.0),)),
        parameters=(1_524_411, 141_414),
        checkpoint=StoredFile(path="runs/tirg.safetensors", sha256="ab" * 32),
        wall_seconds=185.2,
        scoring_seconds=7.5,
        peak_memory_mib=812.0,
        environment=Environment(
            python="3.11.7",
            torch=torch,
            numpy="2.4.0",
            cuda=None,
            device=device,
            cpu_count=2,
            platform="Linux x86_64",
            code_commit="c0ffee",
            dirty=False,
            code_version=code_version,
            runtime=Runtime(threads=threads, jobs=jobs),
            other_cores=other_cores,
        ),
    )
    record = new_record(finished, Evaluation(outcomes, np.zeros((len(outcomes), 8), dtype=np.int64)))
    return record.model_copy(
        update={
            "training": record.training.model_copy(
                update={"steps": 200, "queries_seen": queries_seen, "queries_per_second": 251.5 + seed}
            ),
            "curve": (CurvePoint(step=100, loss=2.5), CurvePoint(step=200, loss=0.731, recall_at_1=55.0)),
            "examples": (Example(query=0, why="sample", top=(5, 9)), Example(query=0, why="worst", top=())),
            "created": datetime.date(2026, 1, 31),
        }
    )


def version_that_equals(version: str, equals: str) -> EqualVersion:
    """A version of the code whose results were seen to be those of another one."""
    return EqualVersion(
        version=version, equals=equals, task="css", records=("css/tirg/quick",), checked=datetime.date(2026, 1, 2)
    )
