"""`tirg-bench run` makes records, tables and curves; `leaderboard` makes the tables of the records."""

from pathlib import Path

import pytest

import models
from benchmark import tasks as datasets
from benchmark.recipe.identity import Run
from benchmark.runs import grid as runner
from css_gen.storage.configuration import Configuration
from tests.benchmark.cli.invoking import TirgBench
from tests.benchmark.tiny import TINY


def test_run_leaves_records_tables_and_curves(tirg_bench: TirgBench, css_root: Path) -> None:
    arguments = ["run", "--composer=tirg", "--composer=concat", "--dataset=css", "--seeds=2", f"--data=css={css_root}"]
    result = tirg_bench(*arguments, *TINY)
    assert result.exit_code == 0, result.output
    records = sorted(Path("leaderboards/records").rglob("*.json"))
    assert [record.parent.name for record in records] == ["concat", "concat", "tirg", "tirg"]
    assert sorted(record.stem.split("-")[-2] for record in records) == ["s0", "s0", "s1", "s1"]
    page = Path("leaderboards/css.md").read_text()
    assert "TIRG" in page
    assert len(Path("leaderboards/css.csv").read_text().splitlines()) >= 3
    assert "TIRG" in result.stdout
    assert "the tables are in leaderboards" in result.stdout
    assert len(list(Path("runs/css/tirg").rglob("events.*"))) == 2
    assert len(list(Path("runs").rglob("model.safetensors"))) == 4
    again = tirg_bench(*arguments, *TINY)
    assert again.exit_code == 0
    assert again.stderr.count("has a record") == 4
    assert Path("leaderboards/css.md").read_text() == page


def test_run_all_is_every_composer_on_every_dataset(
    tirg_bench: TirgBench, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Run] = []
    monkeypatch.setattr(runner, "run_all", lambda planned, _: asked.extend(planned.runs) or ())
    given = [f"--data={name}={root}" for name, root in places.items()]
    assert tirg_bench("run", "--all", "--seed=5", *given).exit_code == 0
    assert {(run.composer, run.task, run.seed) for run in asked} == {
        (composer, dataset, 5) for composer in models.names() for dataset in datasets.names()
    }


def test_absent_css_is_rendered_first(tirg_bench: TirgBench, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.tasks import css

    monkeypatch.setattr(css, "IMAGES", 60)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    monkeypatch.setattr(css, "Configuration", lambda images: Configuration(images=images, size=16))
    result = tirg_bench("run", "--composer=image_only", "--dataset=css", *TINY)
    assert result.exit_code == 0, result.output
    assert "holds no CSS dataset yet: rendering 60 images" in result.stderr
    assert Path("data/css/manifest.json").exists()


def test_leaderboard_writes_the_tables_from_the_records(tirg_bench: TirgBench, css_root: Path) -> None:
    assert tirg_bench("run", "--composer=film", "--dataset=css", f"--data=css={css_root}", *TINY).exit_code == 0
    page = Path("leaderboards/css.md")
    before = page.read_text()
    page.unlink()
    result = tirg_bench("leaderboard")
    assert result.exit_code == 0
    assert page.read_text() == before
    assert "FiLM" in result.stdout


def test_an_edited_record_is_named_and_left_out(tirg_bench: TirgBench, css_root: Path) -> None:
    arguments = ["run", "--composer=film", "--composer=concat", "--dataset=css", f"--data=css={css_root}", *TINY]
    assert tirg_bench(*arguments).exit_code == 0
    (record,) = Path("leaderboards/records/css/film").glob("*.json")
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    pages = [Path("page.md"), Path("another.md")]
    for page in pages:
        page.write_text("<!-- composers css quick -->\n<!-- end -->\n")
    result = tirg_bench("leaderboard", *(part for page in pages for part in ("--page", page)))
    assert result.exit_code == 1
    assert f"left out: {record}" in result.stderr
    assert "FiLM" not in result.stdout
    assert "Concat" in result.stdout
    for page in pages:
        assert " 73.7 |" in page.read_text()
