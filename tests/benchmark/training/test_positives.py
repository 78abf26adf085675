"""What a step's loss may push apart: never a query and a target that answers it."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import css_gen.dataset
from benchmark.datasets.relevance import Relevance
from benchmark.datasets.splits import Split, hold_out
from benchmark.device import make_accelerator
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import new_network
from benchmark.tasks.css import Css
from benchmark.training import step as module
from benchmark.training.memory import TargetMemory
from benchmark.training.samplers import Sampler, make_sampler
from benchmark.training.step import Session
from tests.css_gen.scenes.reading import fits


@pytest.fixture
def masks(monkeypatch: pytest.MonkeyPatch) -> list[list[list[bool]]]:
    """What the loss was told, step by step."""
    seen: list[list[list[bool]]] = []
    real = module.batch_loss

    def noting(*arguments: Any, positive_mask: torch.Tensor, **options: Any) -> torch.Tensor:
        seen.append(positive_mask.tolist())
        return real(*arguments, positive_mask=positive_mask, **options)

    monkeypatch.setattr(module, "batch_loss", noting)
    return seen


def take_steps(split: Split, sampler: Sampler, planned: Run, steps: int) -> None:
    session = Session(new_network(planned, split), split, sampler, planned, make_accelerator("cpu", "fp32"))
    for step in range(steps):
        session.step(step)


def test_no_target_that_answers_a_query_is_its_negative(
    css: Css, css_root: Path, tiny_config: Recipe, masks: list[list[list[bool]]]
) -> None:
    """Every query of the training part meets every other: against the text read word by word."""
    stored = css_gen.dataset.open(css_root).split("train")
    split, _ = hold_out(css.train, 0.25)
    sources = len(np.unique(split.queries.sources))
    config = override(tiny_config, [f"training.sources={sources}", "training.modifications=30", "training.steps=2"])
    planned = Run("css", "tirg", config, 0, css.fingerprint, True)
    sampler = make_sampler(split, groups=sources, modifications=30, seed=0)
    take_steps(split, sampler, planned, 2)
    another_scene = 0
    for step, mask in enumerate(masks):
        batch = sampler.batch(step)
        assert [split.queries.texts[row] for row in batch.queries] == [split.texts[row] for row in batch.texts]
        assert split.queries.sources[batch.queries].tolist() == batch.sources[batch.group].tolist()
        scenes = {image: stored.scene(image) for image in {*batch.sources.tolist(), *batch.targets.tolist()}}
        own = [scenes[image] for image in batch.targets.tolist()]
        for query, target in product(range(len(own)), repeat=2):
            text = split.queries.texts[batch.queries[query]]
            expected = fits(text, scenes[int(batch.sources[batch.group[query]])], own[target])
            assert mask[query][target] == expected
            another_scene += expected and own[query] != own[target]
    assert another_scene, "some answer is of another scene than the drawn target"


def test_where_no_more_is_known_equal_labels_are_positives(
    css: Css, tiny_config: Recipe, masks: list[list[list[bool]]]
) -> None:
    split = replace(css.train, relevant=None)
    sampler = make_sampler(split, groups=2, modifications=3, seed=0)
    planned = Run("css", "tirg", tiny_config, 0, css.fingerprint, True)
    take_steps(split, sampler, planned, 1)
    labels = split.labels[sampler.batch(0).targets].tolist()
    assert masks[0] == [[one == other for other in labels] for one in labels]
    everything = Relevance.of_sets([set(split.labels.tolist())] * len(split.queries))
    take_steps(replace(split, relevant=everything), sampler, planned, 1)
    assert np.all(masks[1])


@pytest.mark.parametrize("start", [0.0, 0.25, 0.75])
def test_targets_of_earlier_steps_are_negatives_unless_they_answer(
    start: float, css: Css, css_root: Path, tiny_config: Recipe, masks: list[list[list[bool]]]
) -> None:
    """The two batches before, the last one first; places that hold no target yet are no negatives."""
    stored = css_gen.dataset.open(css_root).split("train")
    split = css.train
    changes = ["training.memory=2", f"training.memory_start={start}", "training.steps=4"]
    planned = Run("css", "tirg", override(tiny_config, changes), 0, css.fingerprint, True)
    sampler = make_sampler(split, groups=2, modifications=3, seed=0)
    take_steps(split, sampler, planned, 4)
    for step, mask in enumerate(masks):
        if step < 4 * start:
            assert all(row[6:] == [True] * 12 for row in mask)
            continue
        batch = sampler.batch(step)
        earlier = [image for back in (1, 2) if step >= back for image in sampler.batch(step - back).targets.tolist()]
        for query, source in enumerate(batch.sources[batch.group].tolist()):
            text = split.queries.texts[batch.queries[query]]
            own = stored.scene(int(batch.targets[query])).key
            scenes = [stored.scene(image) for image in earlier]
            expected = [fits(text, stored.scene(source), scene) or scene.key == own for scene in scenes]
            assert mask[query][6:] == expected + [True] * (12 - len(expected))


def test_the_memory_keeps_the_last_targets_at_length_one() -> None:
    memory = TargetMemory(3, 2, torch.device("cpu"))
    first, second = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[-5.0, 0.0], [8.0, 6.0]])
    memory.add(first, torch.tensor([7, 8]))
    memory.add(second, torch.tensor([9, 7]))
    target = torch.tensor([[0.0, 1.0]])
    joined, labels = memory.joined(target, torch.tensor([1]), torch.tensor(10.0))
    torch.testing.assert_close(joined, torch.tensor([[0.0, 1.0], [-10.0, 0.0], [8.0, 6.0], [6.0, 8.0]]))
    assert labels.tolist() == [1, 9, 7, 7]
    other = TargetMemory(3, 2, torch.device("cpu"))
    other.load({name: value.clone() for name, value in memory.tensors().items()})
    assert torch.equal(other.joined(target, labels[:1], torch.tensor(10.0))[0], joined)
