"""Mirrored batches, against scenes that are mirrored object by object."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.mirroring import mirrored_text
from benchmark.datasets.rendered_css import Css
from benchmark.device import make_accelerator
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import new_network
from benchmark.training.samplers import make_sampler
from benchmark.training.step import Session
from css_gen.scenes.factors import COMBINATIONS, Cell, Size
from css_gen.scenes.modification import parse
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import HeldOut, modification_queries
from css_gen.scenes.scene import Scene, SceneObject

COLUMNS = {0: 2, 1: 1, 2: 0}


def mirrored(scene: Scene) -> Scene:
    cells = list(Cell)
    return Scene(
        tuple(
            SceneObject(cells[3 * item.cell.row + COLUMNS[item.cell.column]], item.size, item.colour, item.shape)
            for item in scene
        )
    )


@given(index=st.integers(0, 5_000), names=st.sampled_from(["2d", "3d"]))
def test_a_mirrored_text_asks_for_the_mirrored_targets(index: int, names: str) -> None:
    held_out = HeldOut.sample(seed=0)
    for query in modification_queries(index, seed=0, split=SplitId.TRAIN, references=50, held_out=held_out):
        there = parse(mirrored_text(query.modification.text_with(names)))
        assert there.is_target(mirrored(query.source_scene), mirrored(query.target_scene))
        assert len(there.targets(mirrored(query.source_scene))) == len(query.modification.targets(query.source_scene))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("remove middle-left object", "remove middle-right object"),
        ("make bottom-center right", "make bottom-center left"),
        ("is upright, leftover and bright", "is upright, leftover and bright"),
        ("left to right", "right to left"),
    ],
)
def test_whole_words_alone_are_exchanged(text: str, expected: str) -> None:
    assert mirrored_text(text) == expected


def test_a_step_mirrors_images_and_texts_together_or_neither(
    css: Css, tiny_config: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, seen = css.train, []
    for changes in ([], ["training.mirror=true"]):
        planned = Run("css", "tirg", override(tiny_config, changes), 0, css.fingerprint, True)
        network = new_network(planned, split)
        sampler = make_sampler(split, groups=2, modifications=3, seed=0)
        session = Session(network, split, sampler, planned, make_accelerator("cpu", "fp32"))
        real = network.forward

        def noting(images: Any, group: Any, ids: Any, mask: Any, real: Any = real) -> Any:
            seen.append((images.clone(), ids.clone()))
            return real(images, group, ids, mask)

        monkeypatch.setattr(network, "forward", noting)
        for step in range(12):
            session.step(step)
    words = new_network(planned, split).text_encoder
    how = []
    for step in range(12):
        (images, _), (images_seen, ids_seen) = seen[step], seen[12 + step]
        texts = [split.texts[row] for row in sampler.batch(step).texts]
        is_mirrored = not torch.equal(images_seen, images)
        how.append(is_mirrored)
        assert torch.equal(images_seen, images.flip(3) if is_mirrored else images)
        expected = words.tokenize([mirrored_text(text) for text in texts] if is_mirrored else texts)[0]
        width = expected.shape[1]
        assert torch.equal(ids_seen[:, :width], expected)
    assert 2 < sum(how) < 10


def test_the_grid_is_mirrored_by_its_columns() -> None:
    shape, colour = COMBINATIONS[0]
    scene = Scene((SceneObject(Cell.TOP_LEFT, Size.SMALL, colour, shape),))
    assert [item.cell for item in mirrored(scene)] == [Cell.TOP_RIGHT]
