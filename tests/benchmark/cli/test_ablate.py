"""`tirg-bench ablate` with real runs of seconds: what is trained, where its records are, and what knows of them."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from benchmark.records.store import load_record
from tests.benchmark.tiny import TINY

Ablate = Callable[..., Result]
OWN = Path("leaderboards/ablations/records")
BOARDS = Path("leaderboards/records")


@pytest.fixture(scope="module")
def ran(css_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the full TIRG, made by `run`, and then with its ablations."""
    root = tmp_path_factory.mktemp("ablate")
    data = [f"--data=css={css_root}", *TINY]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for arguments in (["run", "--composer=tirg", "--dataset=css"], ["ablate", "tirg", "--dataset=css"]):
            result = CliRunner().invoke(main, [*arguments, *data])
            assert result.exit_code == 0, result.output
    (root / "said.txt").write_text(result.output)
    return root


@pytest.fixture
def tirg_bench(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ablate:
    """Run `tirg-bench` in a copy of that folder, which is the current one."""
    shutil.copytree(ran, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")

    def run(command: str, *arguments: object) -> Result:
        return CliRunner().invoke(main, [command, *map(str, arguments)])

    return run


def rows() -> dict[str, dict[str, str]]:
    with Path("leaderboards/tirg-ablations.csv").open(newline="") as file:
        return {row["setting"]: row for row in csv.DictReader(file)}


def test_each_run_is_made_once_and_kept_where_it_belongs(tirg_bench: Ablate) -> None:
    assert sorted(path.parent.relative_to(OWN).as_posix() for path in OWN.rglob("*.json")) == [
        "css/tirg", "css/tirg", "css/tirg_gate_only", "css/tirg_residual_only",
    ]  # fmt: skip
    assert sorted(path.parent.relative_to(BOARDS).as_posix() for path in BOARDS.rglob("*.json")) == [
        "css-pooled/tirg", "css/tirg",
    ]  # fmt: skip
    changed = [load_record(path).configuration for path in OWN.glob("css/tirg/*.json")]
    assert {each.get("training.repeats") for each in changed} == {None, "all"}
    assert "tirg on css, seed 0: has a record" in Path("said.txt").read_text()
    assert len(list(Path("runs/ablations").rglob("model.safetensors"))) == 4
    assert tirg_bench("leaderboard").exit_code == 0


def test_the_table_shows_the_records(tirg_bench: Ablate) -> None:
    found = rows()
    assert list(found) == [
        "full", "gate only", "residual only", "last linear layer", "last convolution", "K = 2", "K = B",
    ]  # fmt: skip
    (gate_only,) = OWN.glob("css/tirg_gate_only/*.json")
    (pooled,) = BOARDS.glob("css-pooled/tirg/*.json")
    for setting, record in (("gate only", gate_only), ("last linear layer", pooled)):
        scores = load_record(record).metrics.scores
        assert float(found[setting]["drawn_recall_1"]) == pytest.approx(scores["drawn_recall@1"])
        assert float(found[setting]["recall_1"]) == pytest.approx(scores["recall@1"])
    assert {key for key in found["full"] if found["full"][key] != found["last convolution"][key]} == {"setting"}
    assert found["K = 2"]["published_recall_1"] == "73.7"
    assert tirg_bench("list").stdout.count("gate only") == 1


def test_no_board_lists_a_variant_or_an_own_recipe(tirg_bench: Ablate) -> None:
    result = tirg_bench("leaderboard")
    assert result.exit_code == 0, result.output
    with Path("leaderboards/css.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {(line["composer"], "group_size" in line["preset"]) for line in lines} == {("tirg", False)}
    assert "gate only" not in result.stdout


def test_a_variant_cannot_be_run_as_a_composer(tirg_bench: Ablate, css_root: Path) -> None:
    result = tirg_bench("run", "--composer=tirg_gate_only", "--dataset=css", f"--data=css={css_root}", *TINY)
    assert result.exit_code == 2
    assert "unknown composer 'tirg_gate_only'" in result.stderr


def test_again_everything_is_skipped_and_the_page_is_the_same(tirg_bench: Ablate, css_root: Path) -> None:
    page = Path("leaderboards/tirg-ablations.md")
    before = page.read_bytes()
    page.unlink()
    result = tirg_bench("ablate", "tirg", "--dataset=css", f"--data=css={css_root}", *TINY)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("has a record") == 6
    assert page.read_bytes() == before


def test_verify_knows_records_and_table(tirg_bench: Ablate, css_root: Path) -> None:
    result = tirg_bench("verify", f"--data=css={css_root}", "--device=cpu")
    assert result.exit_code == 0, result.output
    assert "6 records are sound, 6 re-scored" in result.stdout
    page = Path("leaderboards/tirg-ablations.md")
    page.write_text(page.read_text().replace("| gate only", "| gate alone"))
    result = tirg_bench("verify", "--quick")
    assert result.exit_code == 1
    assert f"{page}: is out of date" in result.stderr


def test_verify_names_a_broken_record_of_an_ablation(tirg_bench: Ablate) -> None:
    (record,) = OWN.glob("css/tirg_gate_only/*.json")
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    result = tirg_bench("verify", "--quick")
    assert result.exit_code == 1
    assert f"{record}: was edited" in result.stderr
    result = tirg_bench("leaderboard")
    assert result.exit_code == 1
    assert f"left out: {record}" in result.stderr


def test_a_failure_is_named_and_the_code_is_1(
    tirg_bench: Ablate, css_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("no more numbers")

    monkeypatch.setattr("benchmark.runs.grid.make_record", broken)
    shutil.rmtree(OWN / "css" / "tirg_gate_only")
    result = tirg_bench("ablate", "tirg", "--dataset=css", f"--data=css={css_root}", *TINY)
    assert result.exit_code == 1
    assert "failed: gate only (tirg_gate_only on css, seed 0): ArithmeticError: no more numbers" in result.stderr
    assert rows()["gate only"]["recall_1"] == ""
    assert rows()["residual only"]["recall_1"] != ""


def test_failed_settings_are_told_apart_and_no_table_is_announced_that_was_not_written(
    tirg_bench: Ablate, css_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ArithmeticError("no more numbers")

    monkeypatch.setattr("benchmark.runs.grid.make_record", broken)
    shutil.rmtree(OWN)
    ablate = ["ablate", "tirg", "--dataset=css", f"--data=css={css_root}", *TINY]
    result = tirg_bench(*ablate)
    assert result.exit_code == 1
    assert "failed: K = 2 (tirg on css, seed 0): ArithmeticError: no more numbers" in result.stderr
    assert "the table is" not in result.stdout
    assert not Path("leaderboards/tirg-ablations.md").exists()
    name = "css/tirg/quick-00000000-s0-00000000.json"
    damaged = [Path("runs/records", name), Path("runs/ablations/records", name)]
    for path in damaged:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    on_validation = tirg_bench(*ablate, "--set=evaluation.split=validation")
    assert "failed: full, last convolution (tirg on css, seed 0): " in on_validation.stderr
    assert all(f"left out: {path}: not a record" in on_validation.stderr for path in damaged)


def test_unknown_names_are_wrong_usage(tirg_bench: Ablate) -> None:
    result = tirg_bench("ablate", "film")
    assert result.exit_code == 2
    assert "unknown ablation 'film'" in result.stderr
