"""`css-gen info` knows the data that the published leaderboards are made on."""

import json
from pathlib import Path

import pytest

from css_gen.description import print_description
from css_gen.storage.configuration import LEADERBOARD_FINGERPRINT, Configuration

RECORDS = sorted((Path(__file__).parents[2] / "leaderboards" / "records").glob("css*/*/*.json"))


def test_it_is_the_data_of_every_published_record() -> None:
    cards = [json.loads(path.read_text())["dataset"] for path in RECORDS]
    assert {card["fingerprint"] for card in cards} == {LEADERBOARD_FINGERPRINT}
    assert all(card["rendering"] == Configuration(images=20_000).to_json() for card in cards)


def test_info_says_whether_a_dataset_is_that_one(
    tiny_dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_description(tiny_dataset)
    words = " ".join(capsys.readouterr().out.split())
    assert "leaderboard │ other data; the leaderboard's is `css-gen render --n 20000`" in words
    fingerprint = json.loads((tiny_dataset / "manifest.json").read_text())["fingerprint"]
    monkeypatch.setattr("css_gen.description.LEADERBOARD_FINGERPRINT", fingerprint)
    print_description(tiny_dataset)
    assert "leaderboard │ this is the leaderboard's data" in " ".join(capsys.readouterr().out.split())
