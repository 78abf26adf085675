"""Curves over training images, from made-up records: slopes, their intervals, the page, and what never mixes."""

import csv
import datetime
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats

import models
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.files import load_scaling, write_scaling
from benchmark.leaderboard.scaling import NOVEL, sections, slope, usable
from benchmark.leaderboard.scaling_tables import scaling_tables, terminal_tables
from benchmark.recipe.presets import PRESETS
from benchmark.recipe.schema import Recipe
from benchmark.records.store import StoredRecord, save_record
from benchmark.runs.scaling import records_of_scaling
from css_gen.storage.configuration import Configuration
from tests.benchmark.made_up import make_outcomes, make_record

TEST = 200
QUERIES, SCENES = 240, 24
RATES = {2_000: 0.4, 10_000: 0.6, 50_000: 0.7}


def made(
    images: int,
    rate: float,
    *,
    seed: int = 0,
    composer: str = "tirg",
    data_seed: int = 0,
    recipe: Recipe = PRESETS["quick"],
    fingerprint: str | None = None,
    day: int = 1,
    code_version: str = "c0de" * 16,
) -> StoredRecord:
    outcomes = make_outcomes(hit_rate=rate, seed=images + 1_000_000 * seed, queries=QUERIES, sources=SCENES)
    record = make_record(
        outcomes, composer=composer, title=composer.upper(), seed=seed, recipe=recipe, code_version=code_version,
        fingerprint=fingerprint or 2 * f"{images:08d}",
    )  # fmt: skip
    rendering = Configuration(images=images + TEST, test_images=TEST, seed=data_seed).to_json()
    dataset = record.dataset.model_copy(update={"rendering": rendering})
    created = datetime.date(2026, 2, day)
    return StoredRecord(record.model_copy(update={"dataset": dataset, "created": created}), outcomes, Path("a.json"))


def curve(seeds: int = 1, composer: str = "tirg", better: float = 0.0) -> list[StoredRecord]:
    return [
        made(images, rate + better, seed=seed, composer=composer)
        for seed in range(seeds)
        for images, rate in RATES.items()
    ]


def fitted(recall: dict[int, float]) -> float:
    return float(np.polyfit(np.log2(list(recall)), list(recall.values()), 1)[0])


@given(st.dictionaries(st.integers(1, 10_000_000), st.floats(0, 100), min_size=2, max_size=8))
def test_the_slope_is_numpys(recall: dict[int, float]) -> None:
    doublings = np.log2(list(recall))
    centred = doublings - doublings.mean()
    expected = float((centred * np.array(list(recall.values()))).sum() / (centred**2).sum())
    assert slope(recall) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    if max(recall) > 2 * min(recall):  # nearer sizes are ill-conditioned for polyfit's intercept
        assert slope(recall) == pytest.approx(fitted(recall), rel=1e-6, abs=1e-6)


def test_the_slope_by_hand() -> None:
    assert slope({1_000: 40.0, 2_000: 44.0}) == 4
    assert slope({1_000: 40.0, 4_000: 44.0}) == 2
    assert slope({1_000: 50.0, 2_000: 40.0, 4_000: 50.0}) == 0
    assert slope({500: 60.0, 4_000: 30.0}) == -10


def test_points_and_slopes_are_those_of_the_records() -> None:
    runs = curve(seeds=2)
    (section,) = sections(runs)
    (line,) = section.lines
    assert section.test_images == TEST
    assert list(section.datasets) == [2_000, 10_000, 50_000]
    assert line.seeds == dict.fromkeys(RATES, (0, 1))
    for of, attribute in ((ALL, None), (NOVEL, ("combination", "novel"))):
        recall: dict[int, float] = {}
        for images in RATES:
            metrics = [run.record.metrics for run in runs if run.record.dataset.fingerprint.startswith(f"{images:08d}")]
            parts = [each.slices[attribute[0]][attribute[1]] if attribute else each for each in metrics]
            recall[images] = float(np.mean([part.recall[1] for part in parts]))
        assert line.curves[of].recall == pytest.approx(recall)
        its_slope = line.curves[of].slope
        assert its_slope is not None
        assert its_slope.value == pytest.approx(fitted(recall))


def slow_interval(runs: Sequence[StoredRecord], seeds: int) -> tuple[float, float]:
    """Loops over seeds, scenes and queries; by the textbook's formulas for one composer."""
    sizes = list(RATES)
    slopes = np.zeros((seeds, QUERIES))
    for seed in range(seeds):
        for query in range(QUERIES):
            hit = [run.outcomes.ranks[query] == 1 for run in runs if run.record.seed == seed]
            slopes[seed, query] = fitted(dict(zip(sizes, map(float, hit), strict=True)))
    between = float(np.var(slopes.mean(axis=1), ddof=1)) / seeds
    scenes = [slopes.mean(axis=0)[runs[0].outcomes.sources == scene].sum() for scene in range(SCENES)]
    mean = slopes.mean()
    within = SCENES / (SCENES - 1) * sum((t - mean * QUERIES / SCENES) ** 2 for t in scenes) / QUERIES**2
    freedom = (within + between) ** 2 / (within**2 / (SCENES - 1) + between**2 / (seeds - 1))
    half = float(stats.t.ppf(0.975, freedom)) * np.sqrt(within + between)
    return 100 * (mean - half), 100 * (mean + half)


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_interval_is_over_scenes_and_seeds(seeds: int) -> None:
    runs = curve(seeds)
    its_slope = sections(runs)[0].lines[0].curves[ALL].slope
    assert its_slope is not None
    assert its_slope.interval == pytest.approx(slow_interval(runs, seeds))


def test_there_is_no_interval_without_two_seeds_of_every_size() -> None:
    unbalanced = [*curve(2)[:-1], made(50_000, 0.7, seed=2)]
    for runs in (curve(1), curve(2)[:-1], unbalanced):
        its_slope = sections(runs)[0].lines[0].curves[ALL].slope
        assert its_slope is not None
        assert its_slope.interval is None
    # One composer's seeds tell how much those of another vary.
    pooled = sections([*curve(2), *curve(1, "film")])[0]
    assert all(line.curves[ALL].slope.interval for line in pooled.lines if line.curves[ALL].slope)


def test_one_size_has_no_slope_and_missing_sizes_are_marked() -> None:
    text = scaling_tables([*curve(), made(10_000, 0.5, composer="film")])["scaling.md"]
    row = next(line for line in text.splitlines() if line.startswith("| FILM"))
    _, _, fewest, middle, most, per_doubling, interval, seeds, _ = (cell.strip() for cell in row.split("|"))
    assert (fewest, most, per_doubling, interval, seeds) == ("-", "-", "-", "", "1")
    assert middle != "-"


def test_other_test_splits_recipes_and_tasks_never_share_a_table() -> None:
    longer = PRESETS["cpu-long"]
    found = sections([*curve(), made(2_000, 0.4, data_seed=7), made(2_000, 0.4, recipe=longer, fingerprint="f" * 16)])
    assert [(section.preset, list(section.datasets)) for section in found].count(("quick", list(RATES))) == 1
    assert len(found) == 3
    other = make_outcomes(hit_rate=0.4, queries=QUERIES, sources=SCENES - 1)
    run = made(4_000, 0.4)
    changed = run._replace(outcomes=other)
    assert len(sections([*curve(), run])) == 1
    assert len(sections([*curve(), changed])) == 2


def test_two_datasets_of_one_configuration_are_told_apart() -> None:
    old = made(2_000, 0.4, fingerprint="a" * 16, composer="film")
    new = made(2_000, 0.5, fingerprint="b" * 16, day=2)
    kept, problems = usable([old, new, made(10_000, 0.5)])
    assert old not in kept
    assert len(kept) == 2
    assert problems == ["a.json: newer records of the same configuration are on the dataset bbbbbbbb; remove it"]
    bare = old.record.model_copy(update={"dataset": old.record.dataset.model_copy(update={"rendering": None})})
    kept, problems = usable([old._replace(record=bare)])
    assert not kept
    assert "a.json: its dataset was not rendered by this css-gen" in problems[0]


def test_the_page_and_the_csv_file(tmp_path: Path) -> None:
    runs = [*curve(2), *curve(2, "film", better=0.1), made(10_000, 0.9, composer="mrn", code_version="0dd" * 21 + "0")]
    for run in runs:
        save_record(run.record, run.outcomes, records_of_scaling(tmp_path))
    assert write_scaling(tmp_path).problems == ()
    page = (tmp_path / "scaling.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    assert [row.split("|")[1].strip() for row in rows] == 2 * ["Composer", "FILM", "TIRG", "MRN"]
    assert "## css, preset quick, 200 test images" in page
    assert "2,000 training images `00002000`," in page
    assert "other code 0dd0dd0d" in rows[3]
    lines = list(csv.DictReader(io.StringIO((tmp_path / "scaling.csv").read_text())))
    assert [line["train_images"] for line in lines if line["composer"] == "tirg"] == ["2000", "10000", "50000"]
    tirg = next(line for line in lines if line["composer"] == "tirg")
    shown = f"{float(tirg['slope']):+.2f} | [{float(tirg['slope_low']):+.2f}, {float(tirg['slope_high']):+.2f}]"
    assert shown in " ".join(rows[2].split())
    assert tirg["seeds"] == "0 1"
    assert float(tirg["slope_low"]) < float(tirg["slope"]) < float(tirg["slope_high"])
    (section,) = sections(load_scaling(tmp_path)[0])
    assert [table.row_count for table in terminal_tables(section)] == [3, 3]


def test_tables_of_every_composer_are_narrow_and_best_first() -> None:
    """Three sizes, as `tirg-bench scaling --all` makes them: a page 120 characters wide, a terminal 100."""
    every = [run for place, name in enumerate(models.names()) for run in curve(1, name, better=place / 100 - 0.1)]
    page = scaling_tables(every)["scaling.md"]
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) == 2 * (1 + len(models.names()))
    assert max(map(len, rows)) <= 120
    (section,) = sections(every)
    largest = [float(line.split("|")[4]) for line in rows[1 : len(rows) // 2]]
    assert largest == sorted(largest, reverse=True)
    for table in terminal_tables(section):
        console = Console(width=200, file=io.StringIO(), record=True)
        console.print(table)
        assert max(len(line.rstrip()) for line in console.export_text().splitlines()[1:]) <= 100


def test_nothing_is_written_without_records(tmp_path: Path) -> None:
    assert write_scaling(tmp_path).files == ()
    assert not list(tmp_path.glob("scaling*"))
