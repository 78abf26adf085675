"""`run --composer my_file.py`: trained here, marked on the board, and not in the leaderboards by accident."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from benchmark.errors import BenchmarkError, UsageError
from benchmark.runs import local_composer
from models import registry
from tests.benchmark.tiny import TINY

SOURCE = """
from models import Composer, ComposerInfo

class Mine(Composer):
    info = ComposerInfo(name="{name}", title="Mine", paper="Nobody", year=2026, url="https://example.org")

    def forward(self, image, text):
        return image + text.pooled.mean()
"""


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.registry._composers", dict(registry._composers))


def run(css_root: Path, *arguments: str) -> Result:
    command = ["run", "--composer=mine.py", "--dataset=css", f"--data=css={css_root}", "--device=cpu", *TINY]
    return CliRunner().invoke(main, [*command, *arguments])


def test_its_row_is_marked_and_a_changed_file_is_another_version(
    css_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SOURCE.format(name="mine"))
    result = run(css_root, "--out=boards")
    assert result.exit_code == 0, result.output
    (path,) = Path("boards/records/css/mine").glob("*.json")
    record = json.loads(path.read_text())
    assert record["is_local"] is True
    assert f"local file {record['composer_sha256'][:8]}" in Path("boards/css.md").read_text()
    Path("mine.py").write_text(SOURCE.format(name="mine") + "\n# better\n")
    monkeypatch.setattr("models.registry._composers", dict(registry._composers))
    registry._composers.pop("mine")
    again = run(css_root, "--out=boards")
    assert "has a record of another version of the composer" in again.stderr
    assert json.loads(path.read_text()) == record


def test_it_is_not_added_to_the_leaderboards_by_default(
    css_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SOURCE.format(name="mine"))
    result = run(css_root)
    assert result.exit_code == 2
    assert "`tirg-bench submit`" in result.stderr
    assert not Path("leaderboards").exists()


def test_the_name_of_a_model_with_a_ranking_is_refused(
    css_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SOURCE.format(name="mine"))
    ranking = Path("boards/records/css/mine/ranking-01234567.json")
    ranking.parent.mkdir(parents=True)
    ranking.write_text("{}")
    result = run(css_root, "--out=boards")
    assert result.exit_code == 2
    assert "--composer mine.py: the name 'mine' belongs to a model scored by its ranking" in result.stderr
    assert list(Path("boards").rglob("*.*")) == [ranking]


def test_a_registered_composer_is_not_registered_twice(tmp_path: Path) -> None:
    text = SOURCE.replace("class Mine", "@register\nclass Mine").replace(
        "ComposerInfo\n", "ComposerInfo, register\n", 1
    )
    (tmp_path / "mine.py").write_text(text.format(name="mine"))
    assert local_composer.load(tmp_path / "mine.py") == "mine"
    assert "mine" in registry.names()


@pytest.mark.parametrize(
    ("source", "kind", "expected"),
    [
        ("x = 1", UsageError, "expected one subclass of models.Composer with an info of its own, found none"),
        ("x = ", BenchmarkError, "cannot be loaded (SyntaxError"),
        ("1 / 0", BenchmarkError, "cannot be loaded (ZeroDivisionError"),
        (SOURCE.format(name="tirg"), UsageError, "the name 'tirg' belongs to models.composers.tirg.Tirg"),
        (SOURCE.format(name="a") + SOURCE.format(name="b").replace("Mine", "Yours"), UsageError, "found Mine, Yours"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(
    source: str, kind: type[BenchmarkError], expected: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(kind) as found:
        local_composer.load(tmp_path / "mine.py")
    assert expected in str(found.value)
    assert str(found.value).startswith(str(tmp_path / "mine.py"))
