"""`tirg-bench verify --retrain --equal-code`: two versions of the code count as one if all records come out equal."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmark.cli.main import main
from benchmark.records import equal_versions
from benchmark.records.store import load_record
from tests.benchmark.cli.test_verify import Verify, invent_the_ranks, rewritten, the_record


@pytest.fixture
def equal_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The list of equal versions, which does not exist yet, and another version for the records."""
    path = tmp_path / "equal_versions.json"
    monkeypatch.setattr(equal_versions, "FILE", path)
    return path


def made_by(code: str, composer: str = "tirg") -> None:
    record = load_record(the_record(composer))
    environment = record.environment.model_copy(update={"code_version": code})
    rewritten(record, the_record(composer), environment=environment)


def test_records_that_come_out_equal_make_two_versions_of_the_code_one(verify: Verify, equal_file: Path) -> None:
    now = load_record(the_record()).environment.code_version
    made_by("ab" * 32)
    assert "retrained: R@1" in verify("--retrain", the_record()).stdout
    assert not equal_file.exists()
    result = verify("--retrain", "--equal-code", the_record(), the_record("concat"))
    assert result.exit_code == 0, result.output
    assert f"css: code {now[:8]} gives the results of abababab" in result.stdout
    (found,) = equal_versions.read(equal_file)
    assert (found.version, found.equals, found.records) == (
        now,
        "ab" * 32,
        (load_record(the_record()).place.as_posix(),),
    )
    assert equal_versions.representative(now) == equal_versions.representative("ab" * 32)


def test_the_tables_are_those_of_the_new_list(verify: Verify, equal_file: Path) -> None:
    """With two versions a table notes rows of one of them; as soon as these count as one, it notes none."""
    made_by("ab" * 32)
    assert CliRunner().invoke(main, ["leaderboard"]).exit_code == 0
    table = Path("leaderboards/css.csv")
    assert "other code" in table.read_text()
    assert verify("--quick").exit_code == 0
    result = verify("--retrain", "--equal-code", "--note", the_record())
    assert result.exit_code == 0, result.output
    assert "other code" not in table.read_text()
    assert verify("--quick").exit_code == 0
    assert equal_file.exists()


def test_one_record_that_differs_and_versions_are_two(verify: Verify, equal_file: Path) -> None:
    invent_the_ranks()
    for composer in ("tirg", "concat"):
        made_by("ab" * 32, composer)
    result = verify("--retrain", "--equal-code", the_record(), the_record("concat"))
    assert result.exit_code == 1
    assert "is not what training gives on this equal machine: R@1 " in result.stderr
    assert not equal_file.exists()


def test_equality_shows_on_the_machine_of_the_record_alone(verify: Verify, equal_file: Path) -> None:
    record = load_record(the_record())
    rewritten(record, the_record(), environment=record.environment.model_copy(update={"torch": "2.0.0"}))
    made_by("ab" * 32)
    result = verify("--retrain", "--equal-code", the_record())
    assert result.exit_code == 0, result.output
    assert "self-reported: was made on another machine or by another version of the composer" in result.stdout
    assert not equal_file.exists()
