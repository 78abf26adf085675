"""The device's part of a step can be captured: it reads nothing back, and no number in it changes between steps."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import models
from benchmark.device import make_accelerator, reproducible
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import new_network
from benchmark.tasks.css import Css
from benchmark.training import optimisers
from benchmark.training.samplers import make_sampler
from benchmark.training.step import UPLOADED, Session

READS_BACK = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "is_nonzero", "equal"}
"""Operations that wait for the device: their result decides a Python number or a shape."""

UPLOADS = {"lift_fresh"}
"""A tensor made of Python numbers: a copy to the device, which a CUDA graph cannot hold."""


class Recorded(TorchDispatchMode):
    """Note every operation with its numbers, and the shapes of its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[object, ...]]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        leaves = tree_leaves((args, dict(kwargs or {})))
        noted = tuple(
            (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, Tensor) else repr(leaf)
            for leaf in leaves
            if isinstance(leaf, Tensor | int | float | str)
        )
        name = function.overloadpacket.__name__
        if name.startswith("index") and any(isinstance(x, Tensor) and x.dtype == torch.bool for x in leaves[1:]):
            name = "nonzero"
        self.calls.append((name, noted))
        return function(*args, **(kwargs or {}))


def session_of(css: Css, config: Recipe, composer: str = "tirg") -> Session:
    run = Run("css", composer, config, 0, css.fingerprint, True)
    sampler = make_sampler(
        css.train, groups=config.training.sources, modifications=config.training.modifications, seed=0
    )
    return Session(new_network(run, css.train), css.train, sampler, run, make_accelerator("cpu", "fp32"))


@pytest.fixture(autouse=True)
def _reproducible() -> Iterator[None]:
    with reproducible("cpu"):
        yield


def recorded(session: Session, step: int) -> list[tuple[str, tuple[object, ...]]]:
    session.host_part(step)
    with Recorded() as record:
        session.device_part()
    return record.calls


DRAWN = ("training.shift=1", "training.brightness=0.1", "training.group_size=3", "training.repeats=2")


@pytest.mark.parametrize("composer", models.names())
def test_no_composers_step_reads_back_or_changes_a_number(composer: str, css: Css, tiny_config: Recipe) -> None:
    changes = ["training.optimiser=muon", "training.schedule=cosine", "training.weight_decay=0.1", *DRAWN]
    session = session_of(css, override(tiny_config, changes), composer)
    session.step(0)  # makes the optimiser's state
    one, other = recorded(session, 2), recorded(session, 5)
    assert not {name for name, _ in one} & (READS_BACK | UPLOADS)
    assert one == other


@pytest.mark.parametrize("optimiser", optimisers.names())
@pytest.mark.parametrize(
    "loss",
    [
        DRAWN,
        ("training.group_size=2", "training.repeats=all"),
        ("training.mirror=true", "training.exchange_channels=true", "training.read_shapes=0.5"),
        ("training.memory=2", "training.exchange_channels=true"),
    ],
)
def test_no_optimiser_and_no_loss_does(optimiser: str, loss: tuple[str, ...], css: Css, tiny_config: Recipe) -> None:
    changes = [f"training.optimiser={optimiser}", "training.schedule=cosine", "training.weight_decay=0.1", *loss]
    session = session_of(css, override(tiny_config, changes))
    session.step(0)
    one, other = recorded(session, 2), recorded(session, 5)
    assert not {name for name, _ in one} & (READS_BACK | UPLOADS)
    assert one == other


def test_the_recorder_sees_what_reads_back_and_what_changes() -> None:
    with Recorded() as record:
        values = torch.arange(3.0) + torch.tensor([1.0])
        values[values > values.mean().item()].mul_(2.5)
    names = [name for name, _ in record.calls]
    assert "_local_scalar_dense" in names
    assert "lift_fresh" in names
    assert "nonzero" in names
    assert any("2.5" in noted for _, noted in record.calls)


def test_rates_are_the_schedules_and_each_group_has_a_tensor_of_its_own(css: Css, tiny_config: Recipe) -> None:
    changes = ["training.optimiser=muon", "training.schedule=cosine", "training.scale_factor=30"]
    session = session_of(css, override(tiny_config, changes))
    groups = session.optimiser.param_groups
    assert len({group["lr"].data_ptr() for group in groups}) == len(groups) > 2
    for step in (0, 3):
        session.host_part(step)
        for group in groups:
            assert float(group["lr"]) == pytest.approx(session.learning_rate(step) * group["factor"])


def test_rows_stay_in_place_and_are_the_samplers_also_after_a_jump(css: Css, tiny_config: Recipe) -> None:
    config = override(tiny_config, [f"training.steps={3 * UPLOADED}"])
    session = session_of(css, config)
    rows, sampler = session._rows, make_sampler(css.train, groups=2, modifications=3, seed=0)
    place = rows.sources.data_ptr()
    for step in (0, 1, UPLOADED - 1, UPLOADED, 2 * UPLOADED + 5, 3, 3 * UPLOADED - 1):
        rows.fill(step)
        expected = sampler.batch(step)
        for name in ("sources", "group", "texts", "targets", "queries"):
            assert getattr(rows, name).tolist() == getattr(expected, name).tolist()
    assert rows.sources.data_ptr() == place
