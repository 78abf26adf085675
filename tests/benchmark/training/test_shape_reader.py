"""Shapes that are read off the features of targets, against scenes and a slow reference."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import css_gen.dataset
from benchmark.datasets.rendered_css import Css
from benchmark.device import make_accelerator, reproducible
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import new_network
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import Progress
from benchmark.training.samplers import make_sampler
from benchmark.training.shape_reader import mirrored_shapes, new_reader, shape_loss
from benchmark.training.step import Session
from css_gen.scenes.factors import CELLS, Shape
from tests.benchmark.training.test_training import StoppedError, run


@given(seed=st.integers(0, 1000), rows=st.integers(1, 4), size=st.floats(0, 50))
def test_the_loss_is_the_mean_over_cells_of_what_the_right_shape_costs(seed: int, rows: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    logits, shapes = size * rng.standard_normal((rows, 9, 4)), rng.integers(0, 4, (rows, 9))
    costs = []
    for row in range(rows):
        for cell in range(9):
            largest = max(logits[row, cell])
            total = sum(math.exp(each - largest) for each in logits[row, cell])
            costs.append(largest + math.log(total) - logits[row, cell, shapes[row, cell]])
    found = shape_loss(torch.tensor(logits), torch.from_numpy(shapes))
    assert float(found) == pytest.approx(sum(costs) / len(costs), rel=1e-4, abs=1e-5)


def test_mirrored_shapes_are_in_the_cells_of_the_other_side() -> None:
    side = {"left": "right", "right": "left", "center": "center"}
    shapes = torch.arange(18).view(2, 9)
    for cell in CELLS:
        row, column = cell.split("-")
        other = CELLS[[str(each) for each in CELLS].index(f"{row}-{side[column]}")]
        assert torch.equal(mirrored_shapes(shapes)[:, cell.index], shapes[:, other.index])


def test_a_split_knows_the_shapes_of_its_scenes(css: Css, css_root: Path) -> None:
    stored = css_gen.dataset.open(css_root).split("train")
    assert css.train.shapes is not None
    for image in range(len(stored)):
        scene = {item.cell: item.shape for item in stored.scene(image)}
        expected = [1 + list(Shape).index(scene[cell]) if cell in scene else 0 for cell in CELLS]
        assert css.train.shapes[image].tolist() == expected


def session_of(css: Css, config: Recipe, *, spatial: bool = True) -> Session:
    run = Run("css", "tirg", config, 0, css.fingerprint, spatial)
    training = config.training
    sampler = make_sampler(css.train, groups=training.sources, modifications=training.modifications, seed=0)
    return Session(new_network(run, css.train), css.train, sampler, run, make_accelerator("cpu", "fp32"))


@pytest.mark.parametrize("spatial", [True, False])
def test_it_is_added_to_the_loss_with_its_weight(spatial: bool, css: Css, tiny_config: Recipe) -> None:
    with reproducible("cpu"):
        plain = float(session_of(css, tiny_config, spatial=spatial).step(0))
        once, twice = (
            float(session_of(css, override(tiny_config, [f"training.read_shapes={weight}"]), spatial=spatial).step(0))
            for weight in (1, 2)
        )
    assert twice - plain == pytest.approx(2 * (once - plain), rel=1e-4)
    assert once - plain == pytest.approx(math.log(4), rel=0.3), "before training every answer is as likely"


@pytest.mark.parametrize("changes", [(), ("training.mirror=true", "training.exchange_channels=true")])
def test_training_teaches_the_features_to_tell_shapes(changes: tuple[str, ...], css: Css, tiny_config: Recipe) -> None:
    config = override(
        tiny_config, ["training.read_shapes=5", "training.steps=200", "training.learning_rate=0.01", *changes]
    )
    session = session_of(css, config)
    assert css.train.shapes is not None
    shapes = torch.from_numpy(css.train.shapes)

    def cost() -> float:
        images = session._gallery.batch(torch.arange(len(shapes)))
        network = session.network.eval()
        assert network.reader is not None
        with torch.no_grad():
            found = float(shape_loss(network.reader(network.encode_images(images)), shapes))
        network.train()
        return found

    with reproducible("cpu"):
        before = cost()
        for step in range(200):
            session.step(step)
        assert cost() < 0.6 * before


def test_a_readers_weights_are_the_seeds_and_nothing_else_changes(css: Css, tiny_config: Recipe) -> None:
    network = session_of(css, tiny_config).network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    size = tiny_config.data.image_size
    one, again, other = (new_reader(network, image_size=size, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(one.logits.weight, again.logits.weight)
    assert not torch.equal(one.logits.weight, other.logits.weight)
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_checkpoint_of_a_training_that_reads_shapes_is_a_model(
    css: Css, tiny_config: Recipe, tmp_path: Path
) -> None:
    def stopping(progress: Progress) -> None:
        if progress.step == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(css, override(tiny_config, ["training.read_shapes=0.5"]), tmp_path, report=stopping)
    checkpoint = Checkpoint.read(tmp_path / "training.safetensors")
    assert {name for name in checkpoint.tensors if name.startswith("reader.")}
    network = checkpoint.network()
    assert network.reader is None
    for name, value in network.state_dict().items():
        assert torch.equal(value, checkpoint.tensors[f"model.{name}"])
