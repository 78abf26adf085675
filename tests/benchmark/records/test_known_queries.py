"""The file of datasets: what it holds, and how a record is compared with it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmark.cli.main import main
from benchmark.errors import BenchmarkError
from benchmark.records import known_queries
from benchmark.records.known_queries import Key, difference, queries_of
from benchmark.records.store import save_record
from benchmark.scoring.recall import Outcomes
from tests.benchmark.made_up import make_outcomes, make_record, with_ranks
from tests.benchmark.tiny import TINY

CARD = make_record(make_outcomes()).dataset


def changed(column: str) -> Outcomes:
    """Other values in one query."""
    outcomes = make_outcomes(hit_rate=0)
    if column in outcomes.attributes:
        words = outcomes.attributes[column].copy()
        words[5] = words[6]
        return replace(outcomes, attributes={**outcomes.attributes, column: words})
    numbers = getattr(outcomes, column).copy()
    numbers[5] += 1
    further = {"relevant": numbers} if column == "relevant_labels" else {}
    return replace(outcomes, **{column: numbers, **further})


def test_ranks_are_not_part_of_the_queries() -> None:
    outcomes = make_outcomes()
    other = with_ranks(outcomes, np.full(len(outcomes), 7))
    assert queries_of(outcomes, CARD) == queries_of(other, CARD)


@pytest.mark.parametrize("column", ["relevant", "relevant_labels", "candidates", "sources", "kind", "objects"])
def test_one_other_value_is_found(column: str) -> None:
    known = queries_of(make_outcomes(hit_rate=0), CARD)
    found = difference(queries_of(changed(column), CARD), known)
    assert found.startswith("other values of ")
    assert column in found or column == "relevant_labels"


def test_more_and_fewer_columns_and_another_gallery_are_found() -> None:
    outcomes = make_outcomes()
    known = queries_of(outcomes, CARD)
    attributes = dict(outcomes.attributes)
    more = replace(outcomes, attributes={**attributes, "luck": attributes["kind"]})
    assert difference(queries_of(more, CARD), known) == "luck, which its dataset does not have"
    del attributes["kind"]
    assert difference(queries_of(replace(outcomes, attributes=attributes), CARD), known) == "no kind"
    larger = CARD.model_copy(update={"gallery": 201})
    assert difference(queries_of(outcomes, larger), known) == "201 in gallery where its dataset has 200"
    rendered = CARD.model_copy(update={"rendering": {"n": 20}})
    assert difference(queries_of(outcomes, rendered), known) == "rendering, which its dataset does not have"
    assert difference(known, queries_of(outcomes, rendered)) == ""


def test_the_first_record_adds_its_dataset_and_no_later_one_changes_it(tmp_path: Path) -> None:
    root, file = tmp_path / "records", tmp_path / "datasets.json"
    outcomes = make_outcomes()
    save_record(make_record(outcomes), outcomes, root)
    before = file.read_bytes()
    assert list(known_queries.read(file)) == [Key("css", "0123456789abcdef")]
    other = make_outcomes(queries=120)
    save_record(make_record(other, seed=1), other, root)
    assert file.read_bytes() == before
    save_record(make_record(other, protocol="css-2d3d"), other, root)
    assert [key.task for key in known_queries.read(file)] == ["css", "css-2d3d"]


def test_an_entry_gets_the_columns_that_older_records_lack(tmp_path: Path) -> None:
    file, key = tmp_path / "datasets.json", Key("css", "0123")
    old = make_outcomes()
    new = replace(old, source_oracle_ranks=old.ranks * 0 + 1)
    assert known_queries.add(file, key, queries_of(old, CARD))
    assert known_queries.add(file, key, queries_of(new, CARD))
    assert known_queries.read(file)[key] == queries_of(new, CARD)
    assert not known_queries.add(file, key, queries_of(old, CARD))
    assert not known_queries.add(file, key, queries_of(replace(old, source_oracle_ranks=old.ranks * 0 + 2), CARD))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "datasets.json"
    for text in ("", "[]", '{"css": {"0123": {"test": {"queries": 0, "gallery": 1, "columns": {}}}}}'):
        file.write_text(text)
        with pytest.raises(BenchmarkError, match=r"datasets\.json: not a list of datasets"):
            known_queries.read(file)


def test_a_validation_part_has_an_entry_of_its_own() -> None:
    recipe = {"recipe_version": 2, "evaluation.split": "validation", "evaluation.held_out": 0.3}
    record = make_record(make_outcomes()).model_copy(update={"configuration": recipe})
    assert known_queries.key_of(record).split == "validation, held_out=0.3"
    assert known_queries.key_of(make_record(make_outcomes())).split == "test"


def test_register_computes_what_a_run_added(css_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = ["run", "--composer=concat", "--dataset=css", f"--data=css={css_root}", "--device=cpu", *TINY]
    assert CliRunner().invoke(main, run).exit_code == 0
    file = Path("leaderboards/datasets.json")
    (entry,) = known_queries.read(file).items()
    values = json.loads(file.read_text())
    values["css"][entry[0].fingerprint]["test"]["columns"]["sources"] = "0" * 64
    file.write_text(json.dumps(values))
    refused = CliRunner().invoke(main, ["verify", "--quick"])
    assert "holds other values of sources than its dataset" in refused.stderr
    said = CliRunner().invoke(main, ["data", "register", "css", str(css_root)])
    assert said.exit_code == 0, said.output
    assert f"written to {file}" in said.stdout
    assert known_queries.read(file)[entry[0]] == entry[1]
    assert {key.task for key in known_queries.read(file)} == {"css", "css-2d3d", "css-pooled"}
    assert "as they are in" in CliRunner().invoke(main, ["data", "register", "css", str(css_root)]).stdout
    assert CliRunner().invoke(main, ["verify", "--quick"]).exit_code == 0
