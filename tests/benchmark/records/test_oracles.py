"""What outcomes, their files and records hold of the searchers that lack one modality, where it is known."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import BenchmarkError
from benchmark.records.outcomes_file import decode, encode
from benchmark.records.store import load_record, read_stored, save_record
from benchmark.scoring.recall import NO_RANK, Outcomes
from tests.benchmark.made_up import make_outcomes, make_record


def with_oracles(outcomes: Outcomes) -> Outcomes:
    count = len(outcomes)
    return Outcomes(
        **{
            **vars(outcomes),
            "source_oracle_ranks": 1 + np.arange(count) % 20,
            "text_candidates": 1 + np.arange(count) % 90,
        }
    )


def test_outcomes_refuse_impossible_oracles() -> None:
    outcomes = with_oracles(make_outcomes())
    for name, values, told in (
        ("source_oracle_ranks", np.zeros(len(outcomes)), "query 0: its source oracle's rank contradict"),
        ("source_oracle_ranks", np.full(len(outcomes), NO_RANK), "query 0: its source oracle's rank contradict"),
        ("source_oracle_ranks", outcomes.candidates + 1, "query 0: its source oracle's rank contradict"),
        ("source_oracle_ranks", np.ones(3), "source_oracle_ranks has shape"),
        ("text_candidates", outcomes.relevant - 1, "query 0: its text's candidates contradict"),
        ("text_candidates", outcomes.candidates + 1, "query 0: its text's candidates contradict"),
    ):
        with pytest.raises(ValueError, match=told):
            Outcomes(**{**vars(outcomes), name: values})


@pytest.mark.parametrize("missing", [(), ("text_candidates",), ("source_oracle_ranks", "text_candidates")])
def test_files_hold_what_is_known(missing: tuple[str, ...]) -> None:
    outcomes = Outcomes(**{**vars(with_oracles(make_outcomes())), **dict.fromkeys(missing)})
    again = decode(encode(outcomes), len(outcomes))
    assert again.optional.keys() == {"source_oracle_ranks", "text_candidates"} - {*missing}
    for name, column in outcomes.optional.items():
        np.testing.assert_array_equal(again.optional[name], column)
    assert again.attributes.keys() == outcomes.attributes.keys()
    kept = outcomes.rows(np.array([3, 1]))
    assert {name: column.tolist() for name, column in kept.optional.items()} == {
        name: column[[3, 1]].tolist() for name, column in outcomes.optional.items()
    }


def test_no_attribute_takes_the_name_of_an_oracle() -> None:
    outcomes = make_outcomes()
    words = outcomes.attributes["kind"]
    for name in ("source_oracle_rank", "text_candidates"):
        with pytest.raises(ValueError, match=f"cannot be called '{name}'"):
            encode(Outcomes(**{**vars(outcomes), "attributes": {name: words}}))


def test_a_record_is_checked_against_its_oracles_and_an_older_one_has_none(tmp_path: Path) -> None:
    old, new = make_outcomes(), with_oracles(make_outcomes())
    before = read_stored(save_record(make_record(old, seed=1), old, tmp_path / "records"))
    assert not [name for name in before.record.metrics.scores if "oracle" in name]
    path = save_record(make_record(new, seed=2), new, tmp_path / "records")
    after = read_stored(path).record.metrics.scores
    assert after["source_oracle@5"] == 25.0
    assert after["text_oracle@1"] == pytest.approx(100 * np.mean(1 / (1 + np.arange(240) % 90)))
    record = load_record(path)
    forged = record.model_copy(
        update={"metrics": record.metrics.model_copy(update={"scores": after | {"source_oracle@5": 1.0}})}
    )
    path = save_record(forged, new, tmp_path / "records")
    with pytest.raises(BenchmarkError, match=r"source_oracle@5 says 1\.0, its ranks give 25\.0"):
        read_stored(path)
