"""Versions of the code that are known to give equal results count as one."""

from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError
from benchmark.records import equal_versions
from benchmark.records.equal_versions import representative
from benchmark.records.store import load_record
from tests.benchmark.made_up import version_that_equals

COMMITTED = equal_versions.FILE
A, B, C, D, E = (letter * 64 for letter in "abcde")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "equal_versions.json"
    monkeypatch.setattr(equal_versions, "FILE", path)
    return path


def test_without_a_file_a_version_is_equal_to_itself_alone() -> None:
    assert [representative(version) for version in (A, B)] == [A, B]


@pytest.mark.parametrize("pairs", [[(B, A), (C, B)], [(C, B), (B, A)], [(C, A), (C, B)], [(A, B), (B, C), (C, A)]])
def test_equality_is_transitive_in_any_order_and_with_circles(pairs: list[tuple[str, str]]) -> None:
    for version, equals in pairs:
        equal_versions.add([version_that_equals(version, equals)])
    equal_versions.add([version_that_equals(E, D)])
    assert [representative(version) for version in (A, B, C, D, E)] == [A, A, A, D, D]


def test_what_was_known_of_a_pair_is_replaced(file: Path) -> None:
    equal_versions.add([version_that_equals(B, A), version_that_equals(D, C)])
    again = version_that_equals(B, A).model_copy(update={"records": ("css/tirg/other",)})
    equal_versions.add([again])
    assert equal_versions.read(file) == (again, version_that_equals(D, C))


@pytest.mark.parametrize("content", ["", "[", "{}", '[{"version": "a"}]', "[1]"])
def test_a_damaged_file_is_named(content: str, file: Path) -> None:
    file.write_text(content)
    with pytest.raises(BenchmarkError, match=r"equal_versions\.json: is not a list of equal versions"):
        representative(A)
    equal_versions.read.cache_clear()


def test_what_another_task_showed_of_the_same_pair_stays(file: Path) -> None:
    pooled = version_that_equals(B, A).model_copy(update={"task": "css-pooled"})
    equal_versions.add([version_that_equals(B, A)])
    equal_versions.add([pooled])
    assert equal_versions.read(file) == (version_that_equals(B, A), pooled)


def test_the_committed_list_is_of_runs_on_the_boards() -> None:
    records = Path(__file__).parents[3] / "leaderboards" / "records"
    listed = equal_versions.read(COMMITTED)
    assert listed
    for each in listed:
        for place in each.records:
            assert load_record(records / f"{place}.json").environment.code_version == each.equals
