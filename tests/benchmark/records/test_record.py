"""Records: what is written is read again, and whatever does not fit is named."""

import hashlib
import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from benchmark.errors import BenchmarkError
from benchmark.recipe.changes import override
from benchmark.recipe.presets import PRESETS
from benchmark.recipe.runtime import Runtime
from benchmark.records.environment import checkout, current_environment
from benchmark.records.outcomes_file import decode, encode
from benchmark.records.store import (
    RunRecord,
    load_outcomes,
    load_record,
    read_stored,
    save_record,
    validate_record,
)
from benchmark.scoring.metrics import metrics_of
from benchmark.scoring.recall import DEPTH, NO_RANK, Outcomes, recall_at_k
from tests.benchmark.made_up import answered, make_outcomes, make_record

STEM = f"quick-{PRESETS['quick'].hash[:8]}-s0-01234567"
SEED_1 = f"quick-{PRESETS['quick'].hash[:8]}-s1-01234567"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    outcomes = make_outcomes()
    return save_record(make_record(outcomes), outcomes, tmp_path)


def reseal(path: Path, values: dict[str, Any]) -> None:
    """What somebody does who edits a record and knows about the checksum."""
    without = {key: value for key, value in values.items() if key != "sha256"}
    canonical = json.dumps(without, sort_keys=True, separators=(",", ":")).encode()
    path.write_text(json.dumps(without | {"sha256": hashlib.sha256(canonical).hexdigest()}))


def leaves(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    children = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else None
    if children is None:
        yield path, values
    else:
        for key, value in children:
            yield from leaves(value, (*path, key))


def changed(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "0"
        case _:
            return 1


def with_leaf(values: Any, path: tuple[Any, ...], leaf: Any) -> Any:
    copy = json.loads(json.dumps(values))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = leaf
    return copy


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    outcomes = make_outcomes()
    record = make_record(outcomes)
    path = save_record(record, outcomes, tmp_path)
    assert path == tmp_path / "css" / "tirg" / f"{STEM}.json"
    assert path == record.identity.find(tmp_path)
    assert load_record(path) == record
    back = read_stored(path).outcomes
    for name in ("ranks", "relevant", "candidates", "top1", "sources"):
        np.testing.assert_array_equal(getattr(back, name), getattr(outcomes, name))
    assert {name: column.tolist() for name, column in back.attributes.items()} == {
        name: column.tolist() for name, column in outcomes.attributes.items()
    }
    assert validate_record(path) == []
    assert sorted(file.name for file in path.parent.iterdir()) == [f"{STEM}.json", f"{STEM}.parquet"]


def test_saving_again_writes_the_same_bytes(stored: Path) -> None:
    before = stored.read_bytes(), stored.with_suffix(".parquet").read_bytes()
    record = load_record(stored)
    save_record(record, load_outcomes(stored, record), stored.parents[2])
    assert (stored.read_bytes(), stored.with_suffix(".parquet").read_bytes()) == before


def test_scores_are_computed_from_the_outcomes() -> None:
    outcomes = make_outcomes()
    record = make_record(outcomes)
    assert record.metrics.recall == recall_at_k(outcomes.ranks)
    assert record.metrics.chance[1] == pytest.approx(100 / 199)


def test_unanswered_queries_are_counted_and_never_hit(tmp_path: Path) -> None:
    outcomes = answered(
        ranks=np.array([1, NO_RANK]),
        relevant=np.array([1, 0]),
        candidates=np.array([9, 9]),
        top1=np.array([3, 4]),
        sources=np.array([0, 0]),
    )
    path = save_record(make_record(outcomes), outcomes, tmp_path)
    stored = read_stored(path)
    assert stored.record.metrics.unanswered == 1
    assert stored.record.metrics.recall[50] == 50.0
    assert stored.outcomes.ranks.tolist() == [1, NO_RANK]


def test_what_became_of_every_relevant_image_is_kept() -> None:
    """Query 0 has its drawn target fourth and answers at 2, 4 and 50; query 1 at 1; query 2 none; query 3 beyond 50."""
    hits = np.zeros((4, DEPTH), dtype=bool)
    hits[0, [1, 3, 49]] = hits[1, 0] = True
    outcomes = Outcomes(
        ranks=np.array([2, 1, NO_RANK, 70]),
        drawn_ranks=np.array([4, NO_RANK, NO_RANK, 71]),
        relevant=np.array([4, 1, 0, 2]),
        relevant_labels=np.array([3, 1, 0, 2]),
        candidates=np.full(4, 80),
        hits=hits,
        top1=np.arange(4),
        sources=np.arange(4),
    )
    again = decode(encode(outcomes), 4)
    for name in ("ranks", "drawn_ranks", "relevant", "relevant_labels", "candidates", "hits", "top1", "sources"):
        np.testing.assert_array_equal(getattr(again, name), getattr(outcomes, name))
    assert metrics_of(again) == metrics_of(outcomes)


def test_ten_thousand_queries_take_less_than_100_kb(tmp_path: Path) -> None:
    outcomes = make_outcomes(queries=9_500, sources=500, hit_rate=0.5)
    path = save_record(make_record(outcomes), outcomes, tmp_path)
    assert path.with_suffix(".parquet").stat().st_size < 100_000
    assert pq.read_table(path.with_suffix(".parquet")).column_names[:8] == [
        "rank",
        "relevant",
        "relevant_labels",
        "candidates",
        "top1",
        "source",
        "drawn_rank",
        "further_hits",
    ]


def test_every_edited_value_is_noticed(stored: Path) -> None:
    values = json.loads(stored.read_text())
    found = list(leaves(values))
    assert len(found) > 150
    for path, leaf in found:
        stored.write_text(json.dumps(with_leaf(values, path, changed(leaf))))
        (problem,) = validate_record(stored)
        assert problem.startswith(f"{stored}: "), path


@pytest.mark.parametrize(
    ("path", "leaf", "message"),
    [
        (("metrics", "scores", "recall@1"), 99.0, "metrics.scores.recall@1 says 99.0, its ranks give"),
        (("metrics", "scores", "chance@10"), 0.0, "metrics.scores.chance@10 says 0.0"),
        (("metrics", "unanswered"), 3, "metrics.unanswered says 3, its ranks give 0"),
        (("metrics", "slices", "kind", "add", "scores", "recall@5"), 100.0, "kind.add.scores.recall@5 says 100.0"),
        (("metrics", "slices", "objects", "1", "queries"), 7, "metrics.slices.objects.1.queries says 7"),
        (("metrics", "slices", "kind"), {}, r"metrics.slices.kind has \[\], its ranks give \['add'"),
        (("metrics", "scores", "recall@1"), 101.0, "metrics.scores.recall@1 says 101.0, its ranks give"),
        (("configuration", "training.steps"), 10**6, "ranks.path is not quick-"),
        (("configuration", "recipe_version"), 1, "ranks.path is not quick-"),
        (("dataset", "fingerprint"), "fedcba", f"ranks.path is not {STEM[:-8]}fedcba.parquet"),
        (("protocol",), "css-2d3d", f"is the record of another run; its place is css-2d3d/tirg/{STEM}.json"),
        (("preset",), "paper", f"ranks.path is not {STEM.replace('quick', 'paper')}.parquet"),
        (("composer_sha256",), "c0", "composer_sha256"),
        (("dataset", "queries"), 24, "holds no outcomes of 24 queries"),
        (("dataset", "gallery"), 150, "from a gallery of more than 150 images"),
        (("composer", "name"), "../tirg", "composer.name"),
        (("composer", "title"), "=SUM(A1)", "composer.title"),
        (("composer", "title"), "a\nb", "composer.title"),
        (("composer", "url"), "javascript:alert(1)", "composer.url"),
        (("seed",), 1, f"ranks.path is not {SEED_1}.parquet"),
        (("seed",), -1, "seed: "),
        (("seed",), "0", "seed: "),
        (("training", "final_loss"), None, "training.final_loss"),
        (("format_version",), 4, "format version 4 is newer than 3; update css-bench"),
        (("format_version",), 2, "format_version"),
        (("fame",), 1, "fame: Extra inputs are not permitted"),
        (("ranks", "sha256"), "0" * 64, f"is not the file that {STEM}.json was made from"),
        (("ranks", "path"), f"../{STEM}.parquet", "ranks.path is not"),
        (("created",), "yesterday", "created"),
    ],
)
def test_a_forger_who_mends_the_checksum_is_noticed(
    stored: Path, path: tuple[Any, ...], leaf: Any, message: str
) -> None:
    reseal(stored, with_leaf(json.loads(stored.read_text()), path, leaf))
    with pytest.raises(BenchmarkError, match=message):
        read_stored(stored)
    assert len(validate_record(stored)) == 1


def test_mending_the_checksum_alone_changes_nothing(stored: Path) -> None:
    reseal(stored, json.loads(stored.read_text()))
    assert validate_record(stored) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b"{}", b'{"format_version": 3}', b"[" * 100_000]
)
def test_a_foreign_file_is_named(stored: Path, content: bytes) -> None:
    stored.write_bytes(content)
    assert validate_record(stored) == [f"{stored}: not a record of tirg-bench; remove it from the records"]


def test_numbers_that_are_none_are_refused(stored: Path) -> None:
    text = stored.read_text()
    assert '"final_loss": 0.731' in text
    for number in ("NaN", "-Infinity", "1e999"):
        stored.write_text(text.replace('"final_loss": 0.731', f'"final_loss": {number}'))
        assert validate_record(stored) == [f"{stored}: not a record of tirg-bench; remove it from the records"]
    outcomes = make_outcomes()
    endless = PRESETS["quick"].model_copy(
        update={"data": PRESETS["quick"].data.model_copy(update={"image_size": math.inf})}
    )
    with pytest.raises(ValueError, match="Out of range float"):
        make_record(outcomes, recipe=endless)
    with pytest.raises(ValidationError, match="finite"):
        RunRecord.model_validate(make_record(outcomes).model_dump() | {"curve": ({"step": 1, "loss": math.nan},)})


def test_a_truncated_record_is_named(stored: Path) -> None:
    stored.write_bytes(stored.read_bytes()[:-40])
    assert "not a record" in validate_record(stored)[0]


def test_lost_and_damaged_ranks_are_named(stored: Path) -> None:
    ranks = stored.with_suffix(".parquet")
    content = ranks.read_bytes()
    for damaged in (content[:-1], content[:50] + b"\x00" + content[51:], b""):
        ranks.write_bytes(damaged)
        assert f"{ranks}: is not the file" in validate_record(stored)[0]
    ranks.unlink()
    assert validate_record(stored) == [f"{ranks}: cannot be read (No such file or directory)"]


def test_a_forger_who_also_replaces_the_ranks_still_needs_a_table_of_outcomes(stored: Path) -> None:
    values = json.loads(stored.read_text())
    for content in (b"PAR1 or not", b""):
        stored.with_suffix(".parquet").write_bytes(content)
        reseal(stored, with_leaf(values, ("ranks", "sha256"), hashlib.sha256(content).hexdigest()))
        with pytest.raises(BenchmarkError, match="holds no outcomes of 240 queries"):
            read_stored(stored)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("rank", ["one", "two"]),
        ("rank", [0, 1]),
        ("drawn_rank", ["one", "two"]),
        ("drawn_rank", [-1, 1]),
        ("further_hits", pa.array([[0], []], pa.list_(pa.int32()))),
        ("further_hits", pa.array([[51], []], pa.list_(pa.int32()))),
        ("further_hits", pa.array([[2, 3], []], pa.list_(pa.int32()))),
        ("further_hits", pa.array([None, []], pa.list_(pa.int32()))),
        ("further_hits", pa.array([[None], []], pa.list_(pa.int32()))),
        ("further_hits", [2, 3]),
        ("kind", [None, "add"]),
        ("kind", [1, 2]),
    ],
)
def test_a_table_of_other_things_is_no_outcomes(column: str, words: list[Any]) -> None:
    numbers = ("rank", "relevant", "relevant_labels", "candidates", "top1", "source", "drawn_rank")
    columns: dict[str, Any] = {name: [1, 1] for name in numbers}
    columns |= {"kind": ["add", "add"], "further_hits": pa.array([[], []], pa.list_(pa.int32()))}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    assert len(decode(bytes(sink.getvalue()), 2)) == 2
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns | {column: words}), sink)
    said = "not whole|not made of words|cannot have rank 0|its drawn rank contra|its hits contra|further_hits are not"
    with pytest.raises(ValueError, match=said):
        decode(bytes(sink.getvalue()), 2)


def test_an_attribute_cannot_take_a_columns_name() -> None:
    outcomes = make_outcomes()
    with pytest.raises(ValueError, match="an attribute cannot be called 'rank'"):
        encode(Outcomes(**{**vars(outcomes), "attributes": {"rank": outcomes.attributes["kind"]}}))


def test_a_record_in_another_runs_place_is_named(stored: Path) -> None:
    elsewhere = stored.parents[1] / "film" / stored.name
    shutil.copytree(stored.parent, elsewhere.parent)
    assert validate_record(elsewhere) == [
        f"{elsewhere}: is the record of another run; its place is css/tirg/{STEM}.json among the records"
    ]


def test_outcomes_of_another_run_are_not_saved(tmp_path: Path) -> None:
    record = make_record(make_outcomes(seed=0))
    with pytest.raises(ValueError, match="not the outcomes that the record was made from"):
        save_record(record, make_outcomes(seed=1), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file where the folder should be")
    outcomes = make_outcomes()
    with pytest.raises(BenchmarkError, match="the record cannot be written"):
        save_record(make_record(outcomes), outcomes, tmp_path / "records")


def test_reproducible_leaves_out_time_and_place_and_nothing_else() -> None:
    outcomes = make_outcomes()
    record = make_record(outcomes)
    again = make_record(outcomes, device="Another CPU")
    timing = {"queries_per_second": 9.0, "wall_seconds": 9.0, "evaluation_seconds": 9.0, "peak_memory_mib": 9.0}
    again = RunRecord.model_validate(
        again.model_dump()
        | {"training": again.training.model_dump() | timing, "created": record.created.replace(year=2030)}
        | {"checkpoint": {"path": "/elsewhere", "sha256": "ab" * 32}}
    )
    assert again != record
    assert again.reproducible() == record.reproducible()
    json.dumps(record.reproducible(), allow_nan=False)
    other = RunRecord.model_validate(record.model_dump() | {"checkpoint": {"path": "/x", "sha256": "cd" * 32}})
    assert other.reproducible() != record.reproducible()
    assert make_record(make_outcomes(seed=1)).reproducible() != record.reproducible()
    assert make_record(outcomes, seed=1).reproducible() != record.reproducible()


def test_another_record_of_the_same_run_needs_a_flag(stored: Path) -> None:
    """What is said of a run may change; what came out of it may not."""
    root, before = stored.parents[2], stored.read_bytes()
    outcomes = make_outcomes()
    later = make_record(outcomes, device="Another CPU")
    assert save_record(later, outcomes, root) == stored
    other = make_outcomes(seed=1)
    with pytest.raises(BenchmarkError, match=f"{STEM}.json: there is a record of this run already; --replace"):
        save_record(make_record(other), other, root)
    assert load_record(stored) == later
    assert save_record(make_record(other), other, root, replace=True) == stored
    assert load_record(stored) == make_record(other)
    assert stored.read_bytes() != before


def test_runs_that_differ_in_one_thing_have_records_of_their_own(stored: Path) -> None:
    root, outcomes = stored.parents[2], make_outcomes()
    changes: list[dict[str, Any]] = [
        {"protocol": "css-2d3d"},
        {"composer": "film"},
        {"recipe": override(PRESETS["quick"], ["training.steps=9"])},
        {"seed": 1},
        {"fingerprint": "fedcba9876543210"},
    ]
    paths = {stored, *(save_record(make_record(outcomes, **change), outcomes, root) for change in changes)}
    assert len(paths) == 6
    assert all(validate_record(path) == [] for path in paths)


def test_a_record_under_an_old_name_of_its_recipe_is_replaced_as_a_whole(stored: Path) -> None:
    root, outcomes = stored.parents[2], make_outcomes()
    old = make_record(outcomes).model_copy(update={"preset": "fast"})
    old = old.model_copy(update={"ranks": old.ranks.model_copy(update={"path": f"{old.place.name}.parquet"})})
    assert save_record(old, outcomes, root).name == STEM.replace("quick", "fast") + ".json"
    assert len(list(stored.parent.iterdir())) == 2


def test_the_environment_describes_this_machine() -> None:
    runtime = Runtime(threads=3)
    environment = current_environment(runtime, code_version="ab" * 32, other_cores=0.5)
    assert (environment.runtime, environment.code_version, environment.other_cores) == (runtime, "ab" * 32, 0.5)
    assert environment.cuda is None
    assert environment.device
    assert environment.cpu_count >= 1
    assert (environment.code_commit is None) == (environment.dirty is None)


@pytest.mark.parametrize(
    ("said", "expected"), [("", (None, None)), ("c0ffee", ("c0ffee", False)), ("c0ffee+", ("c0ffee", True))]
)
def test_a_copy_without_git_has_the_commit_that_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, expected: tuple[str | None, bool | None]
) -> None:
    monkeypatch.setenv("CSS_BENCH_COMMIT", said)
    assert checkout(tmp_path / "environment.py") == expected


def test_git_knows_better_than_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSS_BENCH_COMMIT", "c0ffee")
    file = tmp_path / "environment.py"
    for name in ("environment.py", "table.md"):
        (tmp_path / name).touch()
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        subprocess.run([*git, *arguments], check=True)
    commit, dirty = checkout(file)
    assert commit is not None
    assert len(commit) == 40
    assert dirty is False
    (tmp_path / "table.md").write_text("a run writes tables")
    assert checkout(file) == (commit, False)
    file.write_text("changed")
    assert checkout(file) == (commit, True)
