"""`tirg-bench compare`: the figures of `comparison.compare` on the records of one board."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from benchmark.leaderboard.comparison import ALL, compare, compare_all
from benchmark.recipe.changes import override
from benchmark.recipe.presets import PRESETS
from benchmark.records.rankings import Model, new_ranking, save_ranking
from benchmark.records.store import StoredFile, save_record
from benchmark.scoring.evaluation import Evaluation
from tests.benchmark.made_up import make_outcomes, make_record


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Strong and weak differ on `quick`, which both have; `cpu-long` has strong and another one."""
    for composer, preset, hit_rate, seeds in (
        ("strong", "quick", 0.9, (0, 1)),
        ("weak", "quick", 0.3, (0,)),
        ("strong", "cpu-long", 0.9, (0,)),
        ("third", "cpu-long", 0.5, (0,)),
        ("weak", "quick, training.steps=9", 0.1, (0,)),
    ):
        for seed in seeds:
            outcomes = make_outcomes(hit_rate=hit_rate, seed=seed)
            seen = 99_999 if preset == "cpu-long" else 25_600
            name, *changes = preset.split(", ")
            recipe = override(PRESETS[name], changes)
            record = make_record(outcomes, composer=composer, recipe=recipe, seed=seed, queries_seen=seen)
            save_record(record, outcomes, tmp_path / "records")
    return tmp_path


def tirg_bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_it_prints_the_difference_of_every_slice(out: Path) -> None:
    result = tirg_bench("compare", "strong", "weak", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "strong (seeds 0, 1) minus weak (seeds 0) on css, preset quick" in " ".join(result.stdout.split())
    strong = [make_outcomes(hit_rate=0.9, seed=seed) for seed in (0, 1)]
    expected = compare(strong, [make_outcomes(hit_rate=0.3, seed=0)])
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    for name, each in expected.items():
        assert lines[name][1] == str(each.queries)
        assert lines[name][2] == ("-" if each.points is None else f"{each.points:+.1f}")
        assert (lines[name][-1] == "<0.001") == (each.p is not None and each.p < 1e-3)
    assert expected["all"].points == pytest.approx(60, abs=8)
    assert lines["all"][-1] == f"{expected['all'].p:.2g}"
    assert "weak: one seed. The variance between seeds is that of the 1 composer(s) with more." in result.stdout
    result = tirg_bench("compare", "strong", "third", "--out", out)
    assert "No composer has two seeds here: the test ignores" in result.stdout


def test_swapped_it_prints_the_opposite(out: Path) -> None:
    forth, back = (
        next(line for line in tirg_bench("compare", *pair, "--out", out).stdout.splitlines() if "all " in line).split()
        for pair in (("strong", "weak"), ("weak", "strong"))
    )
    assert forth[2] == back[2].replace("-", "+")
    assert forth[2].startswith("+")


def test_without_a_preset_it_takes_the_board_that_has_both(out: Path) -> None:
    assert "preset cpu-long" in " ".join(tirg_bench("compare", "strong", "third", "--out", out).stdout.split())


def test_of_three_or_more_it_prints_every_pair(out: Path) -> None:
    """Row minus column, the best first, with a star where p is below 5% for the three pairs together."""
    rates = {"strong": (0.9, range(6)), "weak": (0.3, (0,)), "fourth": (0.88, (0,))}
    for composer, rate, seed in (("fourth", 0.88, 0), *(("strong", 0.9, seed) for seed in range(2, 6))):
        outcomes = make_outcomes(hit_rate=rate, seed=seed)
        save_record(make_record(outcomes, composer=composer, seed=seed), outcomes, out / "records")
    result = tirg_bench("compare", "weak", "strong", "fourth", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "Recall@1 on css, preset quick: row minus column" in " ".join(result.stdout.split())
    sides = {name: [make_outcomes(hit_rate=rate, seed=seed) for seed in seeds] for name, (rate, seeds) in rates.items()}
    recall = {name: 100 * np.mean([run.ranks == 1 for run in runs]) for name, runs in sides.items()}
    order = sorted(sides, key=lambda name: -recall[name])
    pairs = compare_all([sides[name] for name in order])
    assert {bool(each.p is not None and each.p < 0.05) for each in pairs.values()} == {True, False}
    for row, name in enumerate(order):
        line = next(line for line in result.stdout.splitlines() if f" {name} (seeds" in line)
        cells = line.split(")")[1].split()
        expected = [f"{recall[name]:.1f}"]
        for column in range(3):
            if column != row:
                each = pairs[min(row, column), max(row, column)]
                assert each.points is not None
                star = "*" if each.p is not None and each.p < 0.05 else ""
                expected.append(f"{each.points if row < column else -each.points:+.1f}{star}")
        assert cells == expected
        assert line.split()[0] == str(row + 1)
    assert "Holm-corrected over 3 pairs" in result.stdout
    assert "weak and fourth: one seed. The variance" in result.stdout


def test_a_matrix_that_is_wider_than_a_terminal_is_not_cut(out: Path) -> None:
    outcomes = make_outcomes()
    names = [f"composer_with_a_long_name_{number}" for number in range(12)]
    for name in names:
        save_record(make_record(outcomes, composer=name), outcomes, out / "records")
    result = tirg_bench("compare", *names, "--out", out)
    assert "…" not in result.stdout
    assert all(f"{name} (seeds 0)" in result.stdout for name in names)
    assert result.stdout.count("+0.0") == 12 * 11


CHANGED = override(PRESETS["quick"], ["training.steps=9"])


@pytest.mark.parametrize(
    "recipe", ["quick, training.steps=9", "quick,  training.steps=9", CHANGED.hash[:8], CHANGED.hash]
)
def test_two_recipes_of_one_composer_are_compared(recipe: str, out: Path) -> None:
    result = tirg_bench("compare", "weak@quick", f"weak@{recipe}", "--out", out)
    assert result.exit_code == 0, result.stderr
    said = " ".join(result.stdout.split())
    assert "weak with quick (seeds 0) minus weak with quick, training.steps=9 (seeds 0) on css: Recall@1" in said
    expected = compare([make_outcomes(hit_rate=0.3)], [make_outcomes(hit_rate=0.1)])["all"]
    line = next(line for line in result.stdout.splitlines() if line.strip().startswith("all")).split()
    assert line[2] == f"{expected.points:+.1f}"


def test_two_composers_with_recipes_of_their_own_are_compared(out: Path) -> None:
    result = tirg_bench("compare", "third@cpu-long", "weak@quick", "--out", out)
    assert "third with cpu-long (seeds 0) minus weak with quick (seeds 0)" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["strong", "wek"], 2, "unknown composer 'wek': did you mean weak?"),
        (["strong"], 2, "strong is alone: name two composers or more"),
        (["strong", "weak", "strong"], 2, "strong is named twice: name two composers, or two recipes"),
        (["strong", "weak", "wek"], 2, "unknown composer 'wek': did you mean weak?"),
        (["strong", "weak", "third"], 1, "strong, weak and third have no records of the same recipe and data on css"),
        (["strong@quick", "weak@quick", f"weak@{PRESETS['quick'].hash}"], 2, "two sides are the same runs of weak"),
        (["strong", "strong"], 2, "name two composers, or two recipes"),
        (["weak@quick", "weak@quick"], 2, "A and B are both weak@quick"),
        (["weak@quik", "weak@quick"], 2, "unknown recipe 'quik': did you mean quick"),
        (["weak@quick", "weak@cpu-long"], 1, "weak has no records with recipe cpu-long on css; run it"),
        (["weak@quick", f"weak@{PRESETS['quick'].hash}"], 2, "A and B are the same runs of weak: name two"),
        (["strong", "weak", "--dataset", "cs"], 2, "unknown dataset 'cs': did you mean css?"),
        (["strong", "weak", "--preset", "quik"], 2, "unknown preset 'quik': did you mean quick?"),
        (["strong", "third", "--preset", "quick"], 1, "the same recipe and data on css with preset quick"),
        (["weak", "third"], 1, "no records of the same recipe and data on css; run both"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(out: Path, arguments: list[str], code: int, expected: str) -> None:
    result = tirg_bench("compare", *arguments, "--out", out)
    assert result.exit_code == code
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.fixture
def with_models(out: Path) -> Path:
    """The composers of `out` and two models that were scored by their rankings."""
    for name, hit_rate in (("lists", 0.6), ("others", 0.5)):
        outcomes = make_outcomes(hit_rate=hit_rate)
        record = new_ranking(
            Model(name, name, "Me", "https://example.org"),
            Evaluation(outcomes, np.zeros((len(outcomes), 8), dtype=np.int64)),
            task="css",
            dataset=make_record(outcomes).dataset,
            given="ranking",
            depth=50,
            files=[StoredFile(path="r.parquet", sha256="ab" * 32)],
        )
        save_ranking(record, outcomes, out / "records")
    return out


def test_a_model_has_no_seeds(with_models: Path) -> None:
    def said(*sides: str) -> str:
        result = tirg_bench("compare", *sides, "--out", with_models)
        assert result.exit_code == 0, result.stderr
        return " ".join(result.stdout.split())

    assert "lists (its ranking) minus others (its ranking) on css: Recall@1" in said("lists", "others")
    assert "seed" not in said("lists", "others")
    assert "seed" not in said("strong@quick", "lists").replace("(seeds 0, 1)", "")
    assert " weak: one seed. The variance between seeds is that of the 1 composer(s)" in said("lists", "weak@quick")
    assert "Run with --seeds 3" in said("third", "lists")
    lists, weak = [make_outcomes(hit_rate=0.6)], [make_outcomes(hit_rate=0.3)]
    board = [[make_outcomes(hit_rate=0.9, seed=seed) for seed in (0, 1)], weak]
    interval = compare(lists, weak, board=board, trained=(False, True))[ALL].interval
    assert interval is not None
    assert interval != compare(lists, weak, board=board)[ALL].interval
    assert f"[{interval.low:+.1f}, {interval.high:+.1f}]" in said("lists", "weak@quick")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["lists", "strong", "--preset", "quik"], 2, "unknown preset 'quik': did you mean quick?"),
        (["strong@quik", "lists"], 2, "unknown recipe 'quik': did you mean quick"),
        (["lists", "third@quick"], 1, "third has no records with recipe quick on css; run it"),
        (["lists@quick", "strong"], 2, "lists@quick: a model that was scored by its ranking has no recipe"),
        (["lists", "others", "--preset", "quick"], 2, "--preset quick: models that were scored by their rankings have"),
        (["list", "strong"], 2, "unknown composer or model 'list': did you mean lists?"),
        (["lists", "third", "--preset", "quick"], 1, "no records of the same data on css with preset quick; run or"),
    ],
)
def test_what_cannot_be_compared_with_a_model_is_said_as_for_composers(
    with_models: Path, arguments: list[str], code: int, expected: str
) -> None:
    test_what_cannot_be_compared_is_said_in_one_line(with_models, arguments, code, expected)


def test_a_record_that_was_edited_is_named(out: Path) -> None:
    (path,) = (out / "records" / "css" / "third").glob("*.json")
    path.write_text(path.read_text().replace("TIRG", "BEST"))
    result = tirg_bench("compare", "strong", "weak", "--out", out)
    assert result.exit_code == 1
    assert f"{path.name}: was edited" in result.stderr
    assert "<0.001" in result.stdout
