from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.image_store import ImageStore, mirrored_text
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

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)


def normalised(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (3, H, W) by the definition, in float64."""
    scaled = (image / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    return np.moveaxis(scaled, 2, 0)


def test_batch_holds_the_rows_normalised_and_channels_last(pixels: np.ndarray) -> None:
    batch = ImageStore(pixels, CPU).batch(torch.tensor([3, 0, 3]))
    expected = np.stack([normalised(pixels[row]) for row in (3, 0, 3)])
    np.testing.assert_allclose(batch.numpy(), expected, atol=1e-5)
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_without_changes_augmented_is_batch(pixels: np.ndarray) -> None:
    store, rows = ImageStore(pixels, CPU), torch.arange(5)
    augmented = store.augmented(rows, shift=0, brightness=0.0, generator=torch.Generator().manual_seed(0))
    assert torch.equal(augmented, store.batch(rows))


def test_a_shifted_image_is_the_image_moved_with_its_edge_repeated(pixels: np.ndarray) -> None:
    store = ImageStore(pixels, CPU)
    moved = store.augmented(torch.tensor([2] * 60), shift=2, brightness=0.0, generator=torch.Generator().manual_seed(0))
    padded = np.pad(pixels[2], ((2, 2), (2, 2), (0, 0)), mode="edge")
    possible = [normalised(padded[y : y + 6, x : x + 7]) for y in range(5) for x in range(5)]
    found = {min(range(25), key=lambda k: np.abs(possible[k] - image.numpy()).max()) for image in moved}
    for image in moved:
        assert min(np.abs(each - image.numpy()).max() for each in possible) < 1e-5
    assert len(found) > 15


def test_brightness_multiplies_each_image_by_one_factor(pixels: np.ndarray) -> None:
    store = ImageStore(pixels, CPU)
    lit = store.augmented(torch.arange(5), shift=0, brightness=0.3, generator=torch.Generator().manual_seed(1))
    deviation, mean = np.array([0.229, 0.224, 0.225]), np.array([0.485, 0.456, 0.406])
    light = (np.moveaxis(lit.numpy(), 1, 3) * deviation + mean) * 255
    factors = [(light[row][pixels[row] > 40] / pixels[row][pixels[row] > 40]) for row in range(5)]
    for factor in factors:
        assert np.ptp(factor) < 1e-4
        assert 0.7 <= factor.mean() <= 1.3
    assert len({round(float(factor.mean()), 3) for factor in factors}) == 5


def test_noise_is_the_generators(pixels: np.ndarray) -> None:
    store, rows = ImageStore(pixels, CPU), torch.arange(5)
    twice = [
        store.augmented(rows, shift=2, brightness=0.2, generator=torch.Generator().manual_seed(7)) for _ in range(2)
    ]
    assert torch.equal(*twice)


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

        def noting(images: Any, group: Any, ids: Any, mask: Any, real: Any = real, **others: Any) -> Any:
            seen.append((images.clone(), ids.clone()))
            return real(images, group, ids, mask, **others)

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
