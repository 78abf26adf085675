"""Made-up runs: outcomes and records that are valid and cheap."""

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.records.environment import Environment
from benchmark.records.store import (
    ComposerCard,
    CurvePoint,
    DatasetCard,
    Example,
    ParameterCounts,
    RunRecord,
    StoredFile,
    TrainingFacts,
    new_record,
)
from benchmark.scoring.recall import Outcomes
from benchmark.tasks.css import SLICES

GALLERY = 200


def make_outcomes(*, hit_rate: float = 0.6, seed: int = 0, queries: int = 240, sources: int = 24) -> Outcomes:
    """Queries whose attributes depend on `queries` and `sources` alone, so that runs of other seeds are comparable."""
    rng = np.random.default_rng(seed)
    hits = rng.random(queries) < hit_rate
    rows = np.arange(queries)
    return Outcomes(
        ranks=np.where(hits, 1, rng.integers(2, GALLERY, queries)),
        relevant=np.ones(queries, dtype=np.int64),
        candidates=np.full(queries, GALLERY - 1),
        top1=rng.integers(0, GALLERY, queries),
        sources=rows % sources,
        attributes={
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
    preset: str = "quick",
    seed: int = 0,
    configuration: Mapping[str, Any] | None = None,
    fingerprint: str = "0123456789abcdef",
    queries_seen: int = 25_600,
    device: str = "Some CPU",
    url: str = "https://x.org/1",
) -> RunRecord:
    return new_record(
        outcomes,
        protocol=protocol,
        composer=ComposerCard(name=composer, title=title, paper="A. Author, A paper", year=2019, url=url),
        preset=preset,
        seed=seed,
        configuration=dict(configuration or {"training": {"steps": 200, "learning_rate": 2e-3}, "model": None}),
        dataset=DatasetCard(name="css", fingerprint=fingerprint, gallery=GALLERY, queries=len(outcomes)),
        training=TrainingFacts(
            steps=200,
            queries_seen=queries_seen,
            queries_per_second=251.5 + seed,
            wall_seconds=185.2,
            evaluation_seconds=7.5,
            peak_memory_mib=812.0,
            final_loss=0.731,
        ),
        parameters=ParameterCounts(total=1_524_411, composer=141_414),
        examples=(Example(query=0, why="sample", top=(5, 9)), Example(query=0, why="worst", top=())),
        curve=(CurvePoint(step=100, loss=2.5), CurvePoint(step=200, loss=0.731, recall_at_1=55.0)),
        environment=Environment(
            python="3.11.7",
            torch="2.11.0",
            numpy="2.4.0",
            cuda=None,
            device=device,
            cpu_count=2,
            platform="Linux x86_64",
            code_commit="c0ffee",
            dirty=False,
        ),
        checkpoint=StoredFile(path="runs/tirg.safetensors", sha256="ab" * 32),
        created=datetime.date(2026, 1, 31),
    )
