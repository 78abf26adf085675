"""A validation part with shape-colour combinations of its own, against the scenes and words of a rendered split."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import css_gen.dataset
from benchmark.datasets.combinations import Combinations
from benchmark.datasets.rendered_css import Css
from benchmark.datasets.splits import hold_out, with_own_images
from benchmark.errors import UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import by_combination, parts_of
from css_gen.scenes.factors import COMBINATIONS, Combination
from css_gen.scenes.scene import Scene


def in_scene(scene: Scene) -> set[Combination]:
    return {(item.shape, item.colour) for item in scene}


def in_text(text: str) -> set[Combination]:
    """The combinations that a text names outright: "add small red circle to top-left" names a red circle."""
    return {(shape, colour) for shape, colour in COMBINATIONS if f"{colour} {shape}" in text}


@pytest.mark.parametrize("count", [1, 2])
def test_training_never_meets_a_held_out_combination(css: Css, css_root: Path, count: int) -> None:
    stored = css_gen.dataset.open(css_root).split("train")
    training, validation = hold_out(css.train, 0.2, combinations=count)
    assert validation is not None
    assert css.train.combinations is not None
    held = {COMBINATIONS[number] for number in css.train.combinations.spread(count)}
    assert len(held) == count
    for image in {*training.queries.sources.tolist(), *training.queries.targets.tolist()}:
        assert not in_scene(stored.scene(image)) & held
    assert not any(in_text(text) & held for text in training.texts)
    assert not set(training.queries.ids) & set(validation.queries.ids)

    rows = {str(row.query_id): row for row in stored.queries}
    for name, word in zip(validation.queries.ids, validation.queries.attributes["combination"], strict=True):
        before, after = (set(stored.scene(image)) for image in (rows[name].source_id, rows[name].target_id))
        changed = {(item.shape, item.colour) for item in (before | after) - (before & after)}
        assert (word == "novel") == bool(changed & held)


def test_a_quarter_of_the_validation_queries_is_novel(css: Css) -> None:
    _, validation = hold_out(css.train, 0.2, combinations=3)
    assert validation is not None
    share = (validation.queries.attributes["combination"] == "novel").mean()
    assert 0.2 <= share <= 0.3
    assert with_own_images(validation).queries.attributes["combination"].tolist() == (
        validation.queries.attributes["combination"].tolist()
    )


def test_nothing_held_out_leaves_both_parts_as_they_were(css: Css) -> None:
    for part, same in zip(hold_out(css.train, 0.2), hold_out(css.train, 0.2, combinations=0), strict=True):
        assert part is not None
        assert same is not None
        assert part.queries.ids == same.queries.ids


def test_the_held_out_combinations_are_spread_over_those_that_are_shown() -> None:
    shown = np.zeros((2, 6), dtype=bool)
    shown[0, [0, 1, 3]] = shown[1, [3, 5]] = True
    nobody = np.zeros(0, dtype=np.int64)
    found = Combinations(shown, np.zeros((0, 6), dtype=bool), nobody, nobody)
    assert found.spread(1).tolist() == [3]
    assert found.spread(2).tolist() == [1, 5]
    with pytest.raises(ValueError, match="the images show 4 combinations; lower it"):
        found.spread(4)


def test_the_test_split_is_trained_for_with_every_combination(css: Css, tiny_config: Recipe) -> None:
    chosen = override(tiny_config, ["evaluation.held_out_combinations=2"])
    assert chosen.hash == tiny_config.hash
    training, _, scored = parts_of(css, chosen)
    assert training.queries.ids == parts_of(css, tiny_config)[0].queries.ids
    assert scored is css.test


def test_data_without_known_combinations_is_a_usage_error(
    css: Css, tiny_config: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = override(tiny_config, ["evaluation.split=validation", "evaluation.held_out_combinations=2"])
    monkeypatch.setitem(css.__dict__, "train", replace(css.train, combinations=None))
    with pytest.raises(UsageError, match=r"evaluation.held_out_combinations=2: .* is not known; set it to 0 \(css\)"):
        parts_of(css, chosen)


def test_the_last_line_of_a_run_names_both_kinds_of_query() -> None:
    def having(**recalls: float) -> Any:
        found = {word: SimpleNamespace(recall={1: recall}) for word, recall in recalls.items()}
        return SimpleNamespace(slices={"kind": {}, "combination": found})

    assert by_combination(having(novel=59.26, seen=75.5)) == " (seen 75.5, novel 59.3)"
    assert by_combination(having(seen=75.5)) == ""
    assert by_combination(SimpleNamespace(slices={})) == ""
