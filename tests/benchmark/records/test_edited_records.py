"""Whatever does not fit in a record or its table of outcomes is named."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from benchmark.errors import BenchmarkError
from benchmark.recipe.presets import PRESETS
from benchmark.records.outcomes_file import decode, encode
from benchmark.records.store import (
    RunRecord,
    read_stored,
    validate_record,
)
from benchmark.scoring.recall import Outcomes
from tests.benchmark.made_up import make_outcomes, make_record
from tests.benchmark.records.edited_record import SEED_1, STEM, changed, leaves, reseal, with_leaf


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
