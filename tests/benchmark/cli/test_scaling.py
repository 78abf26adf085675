"""`tirg-bench scaling` with real renderings and runs of seconds."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

import css_gen
from benchmark.cli.main import main
from benchmark.explanation.rendered import Rendered
from benchmark.records.store import load_record
from benchmark.runs import grid
from css_gen.storage.configuration import Configuration
from tests.benchmark.tiny import TINY

SCALING = ["scaling", "--composer=tirg", "--composer=concat", "--images=24,90", "--test=60", "--size=32", *TINY]
RECORDS = Path("leaderboards/scaling/records")
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scaling")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        result = CliRunner().invoke(main, SCALING)
    assert result.exit_code == 0, result.output
    (root / "said.txt").write_text(result.output)
    return root


@pytest.fixture
def tirg_bench(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `tirg-bench` in a copy of the folder where the curve was made."""
    shutil.copytree(ran, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows() -> list[dict[str, str]]:
    with Path("leaderboards/scaling.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("tirg_bench")
def test_every_size_is_rendered_beside_one_test_split_and_trained_on() -> None:
    opened = {count: css_gen.open_dataset(f"data/css-train-{count}") for count in (24, 90)}
    assert {len(each.split("test")) for each in opened.values()} == {60}
    assert len({each.split("test").fingerprint for each in opened.values()}) == 1
    records = [load_record(path) for path in sorted(RECORDS.rglob("*.json"))]
    assert len(records) == 4
    for count, dataset in opened.items():
        theirs = [each for each in records if each.dataset.fingerprint == dataset.fingerprint]
        assert {each.composer.name for each in theirs} == {"tirg", "concat"}
        assert all(Configuration.from_json(each.dataset.rendering).images == count + 60 for each in theirs)
        for each in theirs:
            (row,) = [
                row for row in rows() if row["composer"] == each.composer.name and row["train_images"] == str(count)
            ]
            assert float(row["recall_1"]) == pytest.approx(each.metrics.recall[1])
            assert row["slope_low"] == ""
            drawn = Rendered(Configuration.from_json(each.dataset.rendering))
            assert [scene.key for scene in drawn.scenes] == dataset.split("test").keys
    assert Path("said.txt").read_text().count("per doubling") == 2


def test_no_board_shows_these_records(tirg_bench: Run, css_root: Path) -> None:
    assert not list(Path("leaderboards").glob("css*"))
    page = Path("leaderboards/scaling.md")
    before = page.read_bytes()
    result = tirg_bench("run", "--composer=tirg", "--dataset=css", f"--data=css={css_root}", "--no-fresh", *TINY)
    assert result.exit_code == 0, result.output
    with Path("leaderboards/css.csv").open(newline="") as file:
        assert {row["dataset"] for row in csv.DictReader(file)} == {css_gen.open_dataset(css_root).fingerprint}
    assert page.read_bytes() == before
    page.write_text(page.read_text() + "edited\n")
    assert "scaling.md: is out of date" in tirg_bench("verify", "--quick").stderr
    assert tirg_bench("leaderboard").exit_code == 0
    assert page.read_bytes() == before


def test_again_only_what_is_missing_is_made(tirg_bench: Run) -> None:
    page = Path("leaderboards/scaling.md")
    before = page.read_bytes()
    missing = next(RECORDS.glob("css/tirg/*.json"))
    missing.unlink()
    next(Path("data/css-train-90/train").glob("images-*")).unlink()
    page.unlink()
    result = tirg_bench(*SCALING)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("has a record") == 3
    assert "css-train-90: rendering 150 images (once)" in result.stderr
    assert "css-train-24: rendering" not in result.stderr
    assert missing.exists()
    assert page.read_bytes() == before


def test_an_interruption_keeps_what_is_finished(tirg_bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path("leaderboards/scaling.md")
    before = page.read_bytes()
    shutil.rmtree(RECORDS)
    page.unlink()
    make, made = grid.make_record, []

    def stopped(*arguments: Any) -> object:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(make(*arguments))
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(grid, "make_record", stopped)
        result = tirg_bench(*SCALING)
    assert result.exit_code == 130
    assert "interrupted; run the same command again to resume" in result.stderr
    assert len(rows()) == 3
    result = tirg_bench(*SCALING)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("has a record") == 3
    assert page.read_bytes() == before


@pytest.mark.slow
def test_two_runs_at_a_time_score_the_same(tirg_bench: Run) -> None:
    before = {(row["composer"], row["train_images"]): row["recall_1"] for row in rows()}
    shutil.rmtree(RECORDS)
    result = tirg_bench(*SCALING, "--jobs=2", "--threads=1")
    assert result.exit_code == 0, result.output
    assert {(row["composer"], row["train_images"]): row["recall_1"] for row in rows()} == before
    assert {load_record(path).environment.runtime.jobs for path in RECORDS.rglob("*.json")} == {2}


def test_another_test_split_in_a_folder_is_refused(tirg_bench: Run) -> None:
    arguments = [each.replace("--test=60", "--test=66") for each in SCALING]
    result = tirg_bench(*arguments)
    assert result.exit_code == 1
    assert (
        "data/css-train-24 holds another dataset: test is 60 there and 66 here; choose another folder" in result.stderr
    )
    manifest = Path("data/css-train-90/manifest.json")
    values = json.loads(manifest.read_text())
    values["files"]["test/queries.parquet"]["content"] = "0" * 64
    manifest.write_text(json.dumps(values))
    assert "was edited" in tirg_bench(*SCALING).stderr


def test_renderings_that_differ_in_the_test_split_are_refused(tirg_bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "css_gen.dataset.Split.fingerprint", property(lambda split: f"{split.root.name.rpartition('-')[2]:0>8}" * 8)
    )
    result = tirg_bench(*SCALING)
    assert result.exit_code == 1
    assert (
        "data/css-train-90 has the test split 00000090 and data/css-train-24 has 00000024: a curve needs one test split"
        in result.stderr
    )


def test_a_failure_is_named_and_the_others_are_made(tirg_bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("no more numbers")

    monkeypatch.setattr("benchmark.runs.grid.make_record", broken)
    next(RECORDS.glob("css/concat/*.json")).unlink()
    result = tirg_bench(*SCALING)
    assert result.exit_code == 1
    assert "training images: ArithmeticError: no more numbers" in result.stderr
    assert "failed: concat on css, seed 0, " in result.stderr
    assert len(rows()) == 3


@pytest.mark.parametrize(
    ("changes", "code", "expected"),
    [
        (["--images=24,x"], 2, "'24,x' is not a list of different numbers"),
        (["--images=24,24"], 2, "is not a list of different numbers"),
        (["--images=5,24"], 2, "--images must be at least 6 and --test at least 6, got 5 and 60"),
        (["--images=0"], 2, "--images and --test must be from 1 image each"),
        (["--test=0"], 2, "'--test'"),
        (["--size=8"], 2, "--size must be 16 to 4096 pixels, got 8"),
        (["--all"], 2, "say what to run: either --all, or --composer NAME"),
        (["--composer=trig"], 2, "unknown composer 'trig': did you mean tirg"),
        (["--dataset=fashion-iq"], 2, "--dataset fashion-iq: its data is not rendered"),
        (["--data=css=x"], 2, "name the folder around with --renderings"),
        (["--set=evaluation.split=validation"], 2, "the curve is of the test split"),
        (["--renderings=file"], 1, "file/css-train-24: cannot be written (Not a directory)"),
    ],
)
def test_bad_input_ends_in_one_line(
    changes: list[str], code: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, [*SCALING, *changes])
    assert result.exit_code == code, result.output
    assert expected in result.stderr
    assert result.stderr.splitlines()[-1].startswith("tirg-bench: error: ")
    assert not list(tmp_path.rglob("*.parquet"))


def test_too_small_a_disk_is_refused_before_anything_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("css_gen.storage.estimate.shutil.disk_usage", lambda _: SimpleNamespace(free=20_000))
    result = CliRunner().invoke(main, SCALING)
    assert result.exit_code == 1
    assert "the dataset needs about" in result.stderr
    assert "20.0 kB free; use fewer --images, a smaller --size, or another folder with --renderings" in result.stderr
    assert not Path("data").exists()
