"""Ranks before and after, ties, intervals and notes of a ranking on a revealed seed, against slower computations."""

import csv
import datetime
import io
import random
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from scipy import stats

from benchmark.leaderboard.reranked_tables import Row, sections, tables_of, write_reranking
from benchmark.records.rerankings import RerankedRun, Reranking
from benchmark.scoring.fresh import FreshScore

QUERIES = 400
DAY = datetime.date(2026, 11, 28)


def score(*hits: int, seed: int, error: float = 2.0) -> FreshScore:
    """Of R@1, R@5, R@10 and R@50, in queries; the last of `hits` counts for the larger K, too."""
    counts = [*hits, *[hits[-1]] * (4 - len(hits))]
    recall = {k: 100 * count / QUERIES for k, count in zip((1, 5, 10, 50), counts, strict=True)}
    return FreshScore(
        seed=seed, fingerprint="f" * 64, queries=QUERIES, sources=100, recall=recall, drawn_recall=recall, error=error
    )


def run(composer: str, own: tuple[int, ...], revealed: tuple[int, ...] | None, **changes: Any) -> RerankedRun:
    values = {
        "composer": composer, "title": composer.title(), "preset": "quick", "recipe": "e4" * 32, "dataset": "d" * 64,
        "seed": 0, "created": DAY, "checkpoint_sha256": "c" * 64, "own": score(*own, seed=0),
        "revealed": score(*revealed, seed=7) if revealed else None, "unscored": "" if revealed else "no checkpoint",
    }  # fmt: skip
    return RerankedRun(**{**values, **changes})


def reranking(*runs: RerankedRun, **changes: Any) -> Reranking:
    ordered = tuple(sorted(runs, key=lambda run: run.key))
    return Reranking(task="css", commitment="ab" * 32, seed=7, revealed=DAY, runs=ordered, **changes)


def rows(*runs: RerankedRun) -> dict[str, Row]:
    (section,) = sections(reranking(*runs))
    return {row.composer: row for row in section.rows}


def test_rows_swap_their_ranks() -> None:
    found = rows(run("a", (300,), (200,)), run("b", (200,), (300,)), run("c", (100,), (100,)))
    assert {name: (row.rank, row.revealed_rank) for name, row in found.items()} == {
        "b": (2, 1), "a": (1, 2), "c": (3, 3),
    }  # fmt: skip
    assert [*found] == ["b", "a", "c"]


def test_ties_are_broken_by_larger_k_and_else_share_a_rank() -> None:
    found = rows(
        run("a", (100, 200), (50, 60)), run("b", (100, 210), (50, 60)), run("c", (100, 200), (50, 60)),
        run("d", (99, 400), (49, 400)),
    )  # fmt: skip
    assert {name: (row.rank, row.revealed_rank) for name, row in found.items()} == {
        "a": (2, 1), "b": (1, 1), "c": (2, 1), "d": (4, 4),
    }  # fmt: skip


def test_ranks_equal_those_of_a_sorted_list() -> None:
    rng = random.Random(0)
    for _ in range(50):
        names = [f"c{place}" for place in range(rng.randrange(1, 8))]
        drawn = {name: ((rng.randrange(3),), (rng.randrange(3),)) for name in names}
        found = rows(*(run(name, *pair) for name, pair in drawn.items()))
        for place, attribute in ((0, "rank"), (1, "revealed_rank")):
            best_first = sorted((pair[place][0] for pair in drawn.values()), reverse=True)
            expected = {name: 1 + best_first.index(pair[place][0]) for name, pair in drawn.items()}
            assert {name: getattr(row, attribute) for name, row in found.items()} == expected


def test_rows_without_a_checkpoint_have_no_rank_and_take_none() -> None:
    found = rows(run("best", (390,), None), run("b", (200,), (300,)), run("a", (300,), (200,)))
    assert (found["best"].rank, found["best"].revealed_rank, found["best"].own) == (0, 0, None)
    assert found["best"].notes == ("seed 0: no checkpoint",)
    assert (found["a"].rank, found["b"].rank) == (1, 2)
    assert [*found] == ["b", "a", "best"]


def test_seeds_are_averaged_over_the_runs_that_were_scored() -> None:
    found = rows(run("a", (100,), (120,)), run("a", (200,), (140,), seed=1), run("a", (400,), None, seed=2))["a"]
    assert (found.scored, found.runs) == (2, 3)
    assert found.own is not None
    assert found.revealed is not None
    assert (found.own[1], found.revealed[1]) == (37.5, 32.5)


def test_the_interval_is_student_s_and_stays_in_range() -> None:
    middle, edge = rows(run("a", (100,), (200,)), run("b", (100,), (396,)))["a"], rows(run("b", (1,), (396,)))["b"]
    half = 2.0 * float(stats.t.ppf(0.975, 99))
    assert middle.interval == pytest.approx((50 - half, 50 + half))
    assert edge.interval == pytest.approx((99 - half, 100))


def test_what_sampling_does_not_explain_is_marked() -> None:
    found = rows(run("a", (200,), (204,)), run("b", (380,), (200,)))
    assert (found["a"].differs, found["b"].differs) == (False, True)
    page = tables_of(reranking(run("b", (380,), (200,))))["css-abababab.md"]
    assert "50.0 ‡" in page


def test_what_was_made_after_the_seed_was_public_is_noted() -> None:
    found = rows(run("a", (1,), (1,), created=DAY + datetime.timedelta(1)), run("b", (1,), (1,)))
    assert found["a"].notes == ("made after the seed was revealed (seed 0)",)
    assert found["b"].notes == ()


def test_the_order_of_scoring_does_not_matter(tmp_path: Path) -> None:
    scored = [run(name, (place,), (2 * place,)) for place, name in enumerate("abc", start=5)]
    unscored = [run(each.composer, (place,), None) for place, each in enumerate(scored, start=5)]
    written = set()
    for place, order in enumerate(permutations(range(3))):
        out = tmp_path / str(place)
        for chosen in order:
            write_reranking(out, reranking(*(scored[i] if i == chosen else unscored[i] for i in range(3))))
        written.add(tuple(path.read_bytes() for path in sorted((out / "reranked").iterdir())))
    assert len(written) == 1
    assert b"no checkpoint" not in next(iter(written))[0]


def test_a_score_is_final(tmp_path: Path) -> None:
    first = write_reranking(tmp_path, reranking(run("a", (5,), (6,))))
    assert write_reranking(tmp_path, reranking(run("a", (5,), (390,)))) == first
    assert write_reranking(tmp_path, reranking(run("a", (5,), None))) == first


def test_the_page_and_the_csv_file_say_the_same() -> None:
    tables = tables_of(
        reranking(run("a", (300,), (200,)), run("b", (200,), (300,)), run("c", (1,), None), rankings=("A | model",))
    )
    lines = list(csv.DictReader(io.StringIO(tables["css-abababab.csv"])))
    said = [(line["composer"], line["rank"], line["revealed_rank"], line["revealed_recall_1"]) for line in lines]
    assert said == [("b", "2", "1", "75.0"), ("a", "1", "2", "50.0"), ("c", "", "", "")]
    page = tables["css-abababab.md"]
    assert r"A \| model" in page
    assert "Kendall's tau of the two orders: -1.00." in page
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    assert cells[2] == ["1", "B", "75.0 ‡", "[71.0, 79.0]", "50.0", "+25.0", "2", "1 of 1", ""]


@pytest.mark.parametrize(
    "changes",
    [{"unscored": "no checkpoint"}, {"revealed": None}, {"revealed": score(1, seed=8)}],
    ids=["both", "neither", "other seed"],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        reranking(RerankedRun(**{**dict(run("a", (5,), (6,))), **changes}))
