"""A row whose composer uses an optional part of the contract says so in every table; other boards have no note."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.leaderboard.files import print_table
from benchmark.leaderboard.optional_parts import notes_on_parts, title_of
from benchmark.leaderboard.site import write_site
from benchmark.recipe.changes import override
from benchmark.recipe.presets import PRESETS
from benchmark.records.store import read_stored, save_record
from tests.benchmark.leaderboard.made_up_tables import boards_of, page, save, shown, tables
from tests.benchmark.made_up import make_outcomes, make_record
from tests.benchmark.records.edited_record import reseal


def save_with(root: Path, changes: dict[str, Any], **about: Any) -> Path:
    """Save a run whose card has these changes."""
    outcomes = make_outcomes()
    record = make_record(outcomes, **about)
    changed = record.model_copy(update={"composer": record.composer.model_copy(update=changes)})
    return save_record(changed, outcomes, root / "records")


LOSS = "§ was trained with a loss of its composer's own, beside the recipe's loss."


DEPTHS = "¶ composes at several depths of the image encoder, of which the last ones then run once a query."


@pytest.mark.parametrize(
    ("changes", "title", "note"),
    [
        ({"auxiliary": True}, "Decoding §", LOSS),
        ({"levels": 3}, "Decoding ¶", DEPTHS),
        ({"auxiliary": True, "levels": 2}, "Decoding § ¶", DEPTHS),
    ],
)
def test_every_table_says_so(changes: dict[str, Any], title: str, note: str, tmp_path: Path) -> None:
    save_with(tmp_path, changes, composer="film", title="Decoding")
    save(tmp_path, composer="tirg", title="Plain")
    (board,) = boards_of(tmp_path)
    assert {title_of(row) for row in board.rows} == {title, "Plain"}
    text = page(tmp_path)
    assert {line[1] for line in tables(text)[0][1:3]} == {title, "Plain"}
    assert f"\n\n{note}\n" in text
    assert note in " ".join(shown(print_table([board]), width=80).split())
    write_site(tmp_path / "records", tmp_path)
    assert f">{title}<" in (tmp_path / "site/board/css.html").read_text()
    assert note.replace("'", "&#39;") in (tmp_path / "site/board/css.html").read_text()
    assert note.replace("'", "&#39;") in (tmp_path / "site/composer/css/film.html").read_text()
    assert note.replace("'", "&#39;") not in (tmp_path / "site/composer/css/tirg.html").read_text()


def test_a_loss_that_the_recipe_switches_off_is_not_marked(tmp_path: Path) -> None:
    recipe = override(PRESETS["quick"], ["training.auxiliary=0"])
    save_with(tmp_path, {"auxiliary": True}, recipe=recipe)
    (board,) = boards_of(tmp_path)
    assert not notes_on_parts(board.rows)


def test_a_record_from_before_these_parts_is_read_and_not_marked(tmp_path: Path) -> None:
    path = save(tmp_path)
    values = json.loads(path.read_text())
    del values["composer"]["auxiliary"], values["composer"]["levels"]
    reseal(path, values)
    card = read_stored(path).record.composer
    assert (card.auxiliary, card.levels) == (False, 1)
    (board,) = boards_of(tmp_path)
    assert not notes_on_parts(board.rows)
