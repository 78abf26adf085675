"""`tirg-bench queries` and `score` from end to end, with the examples of docs/ranking.md as the models."""

import csv
import json
import re
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from benchmark import tasks
from benchmark.cli.main import main
from benchmark.leaderboard.comparison import compare
from benchmark.leaderboard.files import load_rankings
from benchmark.leaderboard.statistics import estimate
from benchmark.records.rankings import Model, StoredRanking, new_ranking, read_ranking, save_ranking
from benchmark.scoring.evaluation import Evaluation
from css_gen.render import render
from css_gen.storage.configuration import Configuration

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
CSS_TASKS = [task.name for task in tasks.on_folder("css")]
ABOUT = ("--author", "Me", "--url", "https://example.org")

RunExample = Callable[[str, str, Path], Path]


def tirg_bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that texts leave something open, and that a list of 50 is not the whole gallery."""
    root = tmp_path_factory.mktemp("any-model") / "css"
    render(root, Configuration(images=300, size=24, seed=5), jobs=1)
    return root


@pytest.fixture
def run_example(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunExample:
    """Rank the queries of a task with an example, and return the file of its ranking."""

    def run(example: str, task: str, out: Path) -> Path:
        queries = tmp_path / f"{task}.parquet"
        written = tirg_bench("queries", task, "--out", queries, "--data", f"css={root}")
        assert written.exit_code == 0, written.output
        monkeypatch.setattr("sys.argv", [example, str(root), str(queries), str(out)])
        runpy.run_path(str(ROOT / "examples" / f"{example}.py"))
        return out

    return run


@pytest.fixture(scope="module")
def scored(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Leaderboards with the record of a random ranking."""
    out = tmp_path_factory.mktemp("scored")
    queries = out / "queries.parquet"
    assert tirg_bench("queries", "css", "--out", queries, "--data", f"css={root}").exit_code == 0
    rng = np.random.default_rng(0)
    for name, rows in (("q", pq.read_metadata(queries).num_rows), ("g", 150)):
        np.save(out / f"{name}.npy", rng.normal(size=(rows, 16)))
    given = ("--queries", out / "q.npy", "--gallery", out / "g.npy", "--name", "random", "--title", "Random | model")
    result = tirg_bench(
        "score",
        "--task",
        "css",
        *given,
        *ABOUT,
        "--about",
        "draws lots",
        "--data",
        f"css={root}",
        "--out",
        out / "boards",
    )
    assert result.exit_code == 0, result.output
    return out


def only(out: Path, name: str) -> StoredRanking:
    (path,) = (out / "records").glob(f"*/{name}/ranking-*.json")
    return read_ranking(path)


@pytest.mark.parametrize("task", CSS_TASKS)
def test_the_symbolic_example_reaches_the_ceiling(
    task: str, root: Path, tmp_path: Path, run_example: RunExample
) -> None:
    ranking = run_example("rank_by_parsing", task, tmp_path / "ranking.parquet")
    result = tirg_bench(
        "score", ranking, "--task", task, "--name", "symbolic", *ABOUT, "--data", f"css={root}", "--out", tmp_path
    )
    assert result.exit_code == 0, result.output
    found = only(tmp_path, "symbolic")
    scores, outcomes = found.record.metrics.scores, found.outcomes
    assert scores["recall@1"] == scores["map@10"] == 100.0
    found_drawn = estimate((outcomes.drawn_ranks == 1).astype(np.float64), outcomes.sources)
    assert found_drawn is not None
    interval = found_drawn.interval()
    assert interval is not None
    assert interval.low <= scores["ceiling"] <= interval.high
    assert scores["ceiling"] < 99
    (line,) = (line for line in (tmp_path / f"{task}.md").read_text().splitlines() if "| symbolic |" in line)
    assert f" {scores['ceiling']:.1f} |" in line


def test_the_colour_example_finds_more_than_chance_and_ignores_the_text(
    root: Path, tmp_path: Path, run_example: RunExample
) -> None:
    ranking = run_example("rank_by_colour", "css", tmp_path / "ranking.parquet")
    asked = pq.read_table(tmp_path / "css.parquet")
    of_source: dict[int, list[int]] = {}
    for source, images in zip(
        asked["source_id"].to_pylist(), pq.read_table(ranking)["image_ids"].to_pylist(), strict=True
    ):
        assert of_source.setdefault(source, images) == images
    out = tmp_path / "boards"
    scored = tirg_bench("score", ranking, "--task", "css", "--name", "c", *ABOUT, "--data", f"css={root}", "--out", out)
    assert scored.exit_code == 0, scored.output
    record = only(out, "c").record
    assert record.metrics.scores["recall@10"] > 2 * record.metrics.scores["chance@10"]
    assert (record.given, record.depth, record.files[0].path) == ("ranking", 50, "ranking.parquet")


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "ranking.md").read_text()
    shown, *_ = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = (ROOT / "examples" / "rank_by_colour.py").read_text()
    assert code.endswith(f'"""\n\n{shown}')
    assert len([line for line in shown.splitlines() if line]) <= 20
    assert all(f"../examples/{path.name}" in page for path in EXAMPLES)


def test_the_tables_show_a_model_apart_from_composers(scored: Path) -> None:
    boards = scored / "boards"
    page = (boards / "css.md").read_text()
    assert page.index("There are no results yet") < page.index("## Any model")
    assert r"| Random \| model |" in page
    assert r"[Random \| model](https://example.org), by Me: draws lots" in page
    lines = list(csv.DictReader((boards / "css.csv").read_text().splitlines()))
    scores = only(boards, "random").record.metrics.scores
    assert lines[0]["slice"] == "all"
    assert float(lines[0]["recall_1"]) == scores["recall@1"]
    for line in lines:
        assert (line["preset"], line["composer"], line["tier"]) == ("any model", "random", "self-reported")
        assert {line[name] for name in ("rank", "group", "recipe", "seeds", "parameters", "device")} == {""}


def test_a_record_is_replaced_only_if_asked(scored: Path, root: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(scored / "boards", tmp_path / "boards"))
    given = ("--queries", scored / "g.npy", "--gallery", scored / "g.npy")
    again = ("score", "--task", "css", "--name", "random", *ABOUT, "--data", f"css={root}", "--out", out)
    result = tirg_bench(*again, *given)
    assert result.exit_code == 1
    assert "random/ranking-" in result.stderr
    assert "there is a record of this model already; --replace replaces it" in result.stderr
    np.save(tmp_path / "q.npy", np.ones((pq.read_metadata(scored / "queries.parquet").num_rows, 16)))
    given = ("--queries", tmp_path / "q.npy", "--gallery", scored / "g.npy")
    assert tirg_bench(*again, *given, "--replace", "--title", "New").exit_code == 0
    assert only(out, "random").record.title == "New"
    assert only(out, "random").record.metrics != only(scored / "boards", "random").record.metrics


def test_names_that_do_not_fit_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    given = ("score", "no-such-file.parquet", "--task", "css", "--data", "css=nowhere", "--out", tmp_path)
    said = {"--name": "model", "--author": "Me", "--url": "https://example.org"}
    for option, value, message in (
        ("--name", "a b", "--name 'a b': expected letters, digits"),
        ("--title", "=1+1", "--title '=1+1': expected one line"),
        ("--author", "", "--author '': expected one line"),
        ("--url", "ftp://x", "--url 'ftp://x': expected an address"),
        ("--about", "two\nlines", "--about 'two\\nlines': expected one line"),
    ):
        result = tirg_bench(*given, *(word for pair in ({**said, option: value}).items() for word in pair))
        assert result.exit_code == 2
        assert message in result.stderr


def test_the_name_of_a_composer_is_refused(scored: Path, root: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(scored / "boards", tmp_path / "boards"))
    (out / "submissions" / "mine").mkdir(parents=True)
    (out / "records" / "css" / "theirs").mkdir()
    (out / "records" / "css" / "theirs" / "quick-01234567-s0-01234567.json").write_text("{}")
    for name in ("tirg", "mine", "theirs"):
        result = tirg_bench(
            "score", "none.parquet", "--task", "css", "--name", name, *ABOUT, "--data", f"css={root}", "--out", out
        )
        assert result.exit_code == 2
        assert f"--name {name}: this is the name of a composer; choose another" in result.stderr


@pytest.mark.parametrize("given", [(), ("r.parquet", "--queries", "q.npy"), ("--gallery", "g.npy")])
def test_lists_or_embeddings(given: tuple[str, ...]) -> None:
    result = tirg_bench("score", *given, "--task", "css", "--name", "m", *ABOUT)
    assert result.exit_code == 2
    assert "RANKING" in result.stderr


def test_verify_checks_scores_against_ranks_and_leaves_the_record_self_reported(scored: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(scored / "boards", tmp_path / "boards"))
    path = only(out, "random").path
    for arguments in (("--quick",), (), (path,), ("--note",)):
        result = tirg_bench("verify", *arguments, "--out", out)
        assert result.exit_code == 0, result.output
        assert "1 record is sound, 1 self-reported" in result.stdout
    assert not list(out.rglob("*.verified"))
    values = json.loads(path.read_text())
    values["metrics"]["scores"]["recall@1"] = 99.0
    path.write_text(json.dumps(values))
    result = tirg_bench("verify", "--quick", "--out", out)
    assert result.exit_code == 1
    assert "was edited, its checksum no longer fits" in result.stderr
    path.with_suffix(".parquet").unlink()
    assert tirg_bench("verify", path, "--quick", "--out", out).exit_code == 1


def test_compare_pairs_a_model_with_any_row_on_the_same_data(
    scored: Path, root: Path, tmp_path: Path, run_example: RunExample
) -> None:
    out = Path(shutil.copytree(scored / "boards", tmp_path / "boards"))
    ranking = run_example("rank_by_parsing", "css", tmp_path / "r.parquet")
    assert tirg_bench(
        "score", ranking, "--task", "css", "--name", "symbolic", *ABOUT, "--data", f"css={root}", "--out", out
    ).exit_code == 0  # fmt: skip
    result = tirg_bench("compare", "symbolic", "random", "--out", out)
    assert result.exit_code == 0, result.output
    assert "symbolic (its ranking) minus random (its ranking) on css" in " ".join(result.stdout.split())
    expected = compare([only(out, "symbolic").outcomes], [only(out, "random").outcomes])["all"]
    line = next(line for line in result.stdout.splitlines() if line.split()[:1] == ["all"])
    assert line.split()[2] == f"{expected.points:+.1f}"
    for arguments, message in (
        (("symbolic", "tirgg"), "unknown composer or model 'tirgg'"),
        (("symbolic@quick", "random"), "symbolic@quick: a model that was scored by its ranking has no recipe"),
    ):
        refused = tirg_bench("compare", *arguments, "--out", out)
        assert refused.exit_code == 2
        assert message in refused.stderr


def test_a_ranking_of_other_queries_is_left_out(scored: Path, tmp_path: Path) -> None:
    """Two records that name one dataset must hold the same queries; here the second one's ranks are of fewer."""
    out = Path(shutil.copytree(scored / "boards", tmp_path / "boards"))
    found = only(out, "random")
    outcomes = found.outcomes.rows(np.arange(40))
    record = new_ranking(
        Model("second", "Second", "Me", "https://example.org"),
        Evaluation(outcomes, np.zeros((40, 8), dtype=np.int64)),
        task="css",
        dataset=found.record.dataset.model_copy(update={"queries": 40}),
        given="ranking",
        depth=50,
        files=found.record.files[:1],
    )
    path = save_ranking(record, outcomes, out / "records")
    rankings, problems = load_rankings(out / "records")
    assert [ranking.record.name for ranking in rankings] == ["random"]
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}: holds 40 in queries where its dataset has ")
