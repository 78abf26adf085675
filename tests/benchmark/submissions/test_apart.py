"""Training with the composer in another process: the same as in one, bit for bit, and whatever its file does besides
composing has no effect."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import models
from benchmark.datasets.splits import hold_out
from benchmark.device import make_accelerator, reproducible
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.submissions import candidates, sandbox, sandboxed_run
from benchmark.submissions.composing import LAYERS
from benchmark.submissions.process import Child, LimitError, SubmissionError
from benchmark.submissions.sandbox import SandboxTier
from benchmark.submissions.sandboxed_run import Box, TrainedSubmission
from benchmark.tasks.css import Css
from benchmark.training.checkpoint import Checkpoint, Code, model_tensors
from benchmark.training.loop import train
from benchmark.training.model import new_network
from benchmark.training.optimisers.groups import MULTIPLYING_LAYERS
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler
from css_gen.termination import Terminated
from models.network import MakeComposer
from tests.benchmark.submissions.sources import residual, source
from tests.benchmark.submissions.test_contract import class_of

pytestmark = pytest.mark.usefixtures("forked_submissions")

TIRG = (Path(models.__file__).parent / "composers/tirg.py").read_text()
TIRG = TIRG.replace("@register\n", "").replace("class Tirg(", "class Mine(").replace('name="tirg"', 'name="mine"')
MANY_PARTS = residual(
    """
    self.drop = nn.Dropout(0.3)
    self.norm = nn.BatchNorm1d(joint)
    self.words = nn.GRU(text_width, 8, batch_first=True)
    self.heads = nn.MultiheadAttention(8, 2, batch_first=True)
    self.inner, self.outer = nn.Linear(joint, joint), nn.Linear(joint, joint)
    self.outer.weight = self.inner.weight
    self.last, self.rate = nn.Linear(joint + 8, image_channels), nn.Parameter(torch.ones(()))
    self.fixed = nn.Parameter(torch.ones(3), requires_grad=False)
    self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
    """,
    """
    if self.training: self.seen = self.seen + len(joint)
    words, _ = self.words(text.tokens)
    words, _ = self.heads(words, words, words, key_padding_mask=~text.mask)
    joint = self.outer(torch.tanh(self.drop(self.inner(self.norm(joint)))))
    change = self.rate * self.last(torch.cat([joint, self.drop(words[:, 0])], 1))
    """,
)
"""Dropout, batch norm, many kinds of layers, two with one weight, a fixed weight, and a buffer that is replaced."""
OF_ITS_OWN = residual(
    """
    self.drop, self.change = nn.Dropout(0.3), nn.Linear(joint, image_channels)
    self.decode = nn.Linear(image_channels, text_width)
    """,
    "change = self.drop(self.change(joint))",
    auxiliary="""
    words = (text.tokens * text.mask[:, :, None]).sum(1) / 7
    composed, image, target = (part.mean((2, 3)) if self.spatial else part for part in (composed, image, target))
    of_text = (self.decode(self.drop(composed)) - text.pooled - words).square().mean()
    back = self.change(torch.cat([target, text.pooled], 1))
    return of_text + 0.3 * (target - back - image).square().mean() + 0.1 * (composed - target).abs().mean()
    """,
)
"""A loss of its own that uses everything several times, has a layer for itself, and draws numbers."""
SEVERAL_LEVELS = OF_ITS_OWN.replace("class Mine(Composer):", "class Mine(Composer):\n    levels = 3\n")
"""The same at three depths of the encoder."""
STATISTICS_FIRST = residual(
    """
    self.plain, self.norm = nn.BatchNorm1d(joint, affine=False), nn.BatchNorm1d(joint)
    self.last = nn.Linear(joint, image_channels)
    """,
    "change = self.last(self.norm(3 * self.plain(joint) + 1))",
)
"""A layer of buffers alone before others."""

Train = Callable[..., TrainedSubmission]
CODE = Code("shared", "own")


def planned(css: Css, config: Recipe, *, spatial: bool = True) -> Run:
    return Run("css", "mine", config, 3, css.fingerprint, spatial)


@pytest.fixture
def apart(css: Css, tiny_config: Recipe, tmp_path: Path) -> Train:
    """Train a source's composer in a process of its own; the model is in `tmp_path`."""

    def run(
        text: str, run: Run | None = None, *, tier: SandboxTier = SandboxTier.PROCESS, **card: Any
    ) -> TrainedSubmission:
        (tmp_path / "mine.py").write_text(text)
        box = Box(
            candidate=candidates.find(str(tmp_path / "mine.py")), tier=tier,
            runtime=Runtime(checkpoint_seconds=0), reporter=SilentRuns(), seconds=60, memory_mib=4_096,
        )  # fmt: skip
        split, _ = hold_out(css.train, 0.25)
        run = run or planned(css, tiny_config)
        return sandboxed_run.train(box, split, css.test, run, folder=tmp_path, title="mine", code=CODE, **card)

    return run


def in_this_process(kind: MakeComposer, css: Css, run: Run, folder: Path) -> tuple[tuple[float, ...], bytes]:
    """Losses and the model's file of an ordinary training."""
    split, _ = hold_out(css.train, 0.25)
    config = run.recipe.training
    with reproducible("cpu"):
        network = new_network(kind, run.recipe.model, split.texts, spatial=run.spatial, seed=run.seed)
        trained = train(
            network, split,
            make_sampler(split, groups=config.sources, modifications=config.modifications, seed=run.seed),
            run, accelerator=make_accelerator("cpu", "fp32"), checkpoint_path=folder / "here.safetensors",
            report=lambda progress: None,  # noqa: ARG005
        )  # fmt: skip
    tokenizer = network.text_encoder.tokenizer
    return trained.losses, Checkpoint(run, tokenizer, config.steps, 0.0, model_tensors(network)).content()


@pytest.mark.parametrize(
    ("text", "optimiser", "spatial"),
    [
        (TIRG, "muon", True),
        (TIRG, "muon", False),
        (MANY_PARTS, "muon", True),
        (MANY_PARTS, "adamw", False),
        (STATISTICS_FIRST, "adamw", True),
        (OF_ITS_OWN, "muon", True),
        (OF_ITS_OWN, "adamw", False),
        (SEVERAL_LEVELS, "muon", True),
        (SEVERAL_LEVELS, "adamw", False),
    ],
    ids=[
        "TIRG",
        "TIRG, pooled",
        "many parts",
        "many parts, pooled",
        "statistics first",
        "a loss of its own",
        "a loss of its own, pooled",
        "several levels",
        "several levels, pooled",
    ],
)
def test_it_is_the_same_training(
    text: str, optimiser: str, spatial: bool, apart: Train, css: Css, tiny_config: Recipe, tmp_path: Path
) -> None:
    """Every loss, weight and statistic, to the last bit."""
    run = planned(css, override(tiny_config, [f"training.optimiser={optimiser}"]), spatial=spatial)
    losses, model = in_this_process(class_of(text, tmp_path), css, run, tmp_path)
    found = apart(text, run, auxiliary="def auxiliary" in text, levels=3 if "levels = 3" in text else 1)
    assert found.trained.losses == losses
    assert (tmp_path / "model.safetensors").read_bytes() == model


def test_a_loss_of_its_own_that_its_card_does_not_say_does_not_count(
    apart: Train, css: Css, tiny_config: Recipe, tmp_path: Path
) -> None:
    without = planned(css, override(tiny_config, ["training.auxiliary=0"]))
    losses, _ = in_this_process(class_of(OF_ITS_OWN, tmp_path), css, without, tmp_path)
    assert apart(OF_ITS_OWN).trained.losses == losses
    with_it, _ = in_this_process(class_of(OF_ITS_OWN, tmp_path), css, planned(css, tiny_config), tmp_path)
    assert with_it != losses


BROKEN_LOSSES = {
    "another shape": ("return composed.mean((1, 2, 3))", "expected a scalar of floating point or None from auxiliary"),
    "NaN": ("return composed.mean() * float('nan')", "gave NaN or infinity for its own loss"),
}


@pytest.mark.parametrize("name", BROKEN_LOSSES)
def test_a_broken_loss_of_its_own_is_one_line(name: str, apart: Train) -> None:
    body, expected = BROKEN_LOSSES[name]
    with pytest.raises(SubmissionError, match=expected) as found:
        apart(source(auxiliary=body), auxiliary=True)
    assert "\n" not in str(found.value)


def test_bubblewrap_trains_alike(apart: Train, tmp_path: Path) -> None:
    if sandbox.best_tier() is not SandboxTier.BUBBLEWRAP:
        pytest.skip("bubblewrap does not work here")
    apart(MANY_PARTS)
    first = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "training.safetensors").unlink()
    apart(MANY_PARTS, tier=SandboxTier.BUBBLEWRAP)
    assert (tmp_path / "model.safetensors").read_bytes() == first


@pytest.mark.parametrize("how", [KeyboardInterrupt, Terminated, LimitError])
def test_an_interrupted_training_resumes_as_if_it_was_not(
    how: type, apart: Train, css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = planned(css, override(tiny_config, ["training.steps=20"]))
    _, model = in_this_process(class_of(MANY_PARTS, tmp_path), css, run, tmp_path)
    children, steps, real_started, real_reported = list[Child](), [0], sandbox.started, sandboxed_run.reported

    @contextlib.contextmanager
    def started(*arguments: Any, **options: Any) -> Iterator[Any]:
        with real_started(*arguments, **options) as (child, loaded):
            children.append(child)
            yield child, loaded

    @contextlib.contextmanager
    def interrupting(*arguments: Any) -> Iterator[Any]:
        with real_reported(*arguments) as show:

            def interrupt(progress: Any) -> None:
                show(progress)
                steps.append(progress.step)
                if progress.step == 10 and how is LimitError:
                    os.killpg(children[-1]._process.pid, signal.SIGKILL)
                elif progress.step == 10 and how is KeyboardInterrupt:
                    raise how

            yield interrupt

    with monkeypatch.context() as patch:
        patch.setattr(sandboxed_run.sandbox, "started", started)
        patch.setattr(sandboxed_run, "reported", interrupting)
        patch.setattr(sandboxed_run, "is_asked", lambda: how is Terminated and steps[-1] >= 10)
        with pytest.raises(how):
            apart(MANY_PARTS, run)
    assert 0 < Checkpoint.read(tmp_path / "training.safetensors").steps < 20
    apart(MANY_PARTS, run)
    assert (tmp_path / "model.safetensors").read_bytes() == model


NO_EFFECT = {
    "another loss": {"before": "from torch.nn import functional\nfunctional.cross_entropy = lambda *a, **k: 0"},
    "another optimiser": {"before": "torch.optim.AdamW.step = torch.optim.Optimizer.step = lambda *a, **k: None"},
    "another clock": {"before": "import time\ntime.perf_counter = time.monotonic = lambda: 0.0"},
    "steps of its own": {"in_forward": "self.change.bias.data.sub_(1.0)"},
}


@pytest.fixture(scope="module")
def plain(css: Css, tiny_config: Recipe, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("plain")
    return in_this_process(class_of(source(), folder), css, planned(css, tiny_config), folder)[1]


@pytest.mark.parametrize("name", NO_EFFECT)
def test_what_it_does_to_training_has_no_effect(name: str, apart: Train, plain: bytes, tmp_path: Path) -> None:
    found = apart(source(**NO_EFFECT[name]))
    assert (tmp_path / "model.safetensors").read_bytes() == plain
    assert found.parameters[1] == 128 * 8 + 128
    assert found.trained.seconds > 0
    assert found.peak_memory_mib > 100


IN_TRAINING = "if self.training and len(image) == 6:"
BROKEN = {
    "NaN": (f"{IN_TRAINING} composed = composed * float('nan')", "gave NaN or infinity for its composed features"),
    "another shape": (
        f"{IN_TRAINING} composed = composed[:, :1]",
        "expected features of shape (6, 128, 2, 2), got (6, 1,",
    ),
    "no tensor": (f"{IN_TRAINING} composed = None", "expected features of shape (6, 128, 2, 2), got NoneType"),
    "a gradient of NaN": (
        f"{IN_TRAINING} composed.register_hook(lambda gradient: gradient * float('nan'))",
        "gave NaN or infinity for a gradient",
    ),
    "a crash": (f"import os\n{IN_TRAINING} os.abort()", "its process crashed (SIGABRT)"),
    "an end": (f"{IN_TRAINING} raise SystemExit(0)", "it called sys.exit(0)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_in_training_is_one_line(name: str, apart: Train) -> None:
    in_forward, expected = BROKEN[name]
    with pytest.raises(SubmissionError) as found:
        apart(source(in_forward=in_forward))
    assert str(found.value).startswith("mine.py: ")
    assert expected in str(found.value)
    assert "\n" not in str(found.value)


def test_an_error_in_this_process_names_the_submission(apart: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise ValueError("not finite")

    monkeypatch.setattr(sandboxed_run, "train_network", failing)
    with pytest.raises(SubmissionError, match=r"^mine\.py: it cannot be trained \(ValueError: not finite\)$"):
        apart(source())


def test_optimisers_tell_layers_apart_by_kinds_that_a_process_reports() -> None:
    assert set(MULTIPLYING_LAYERS) <= set(LAYERS.values())
