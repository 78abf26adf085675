"""A composer and batches to try it on, with the sizes of the preset `quick`; a few steps of training, and its cost."""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmark.device import kept_for_gradient, reproducible
from models.base import Composer, TextFeatures
from models.registry import get

CHANNELS, TEXT_WIDTH = 128, 64
ROWS = 12
STEPS = 6
"""Of an optimiser, before a composer is judged: a layer behind one that starts at zero learns from the second on."""

_SIDE, _WORDS = 4, 6
_TRAINED_ROWS, _LEARNING_RATE = 16, 1e-2
_TIMED_ROWS, _TIMES = 128, 5


class ContractError(Exception):
    """A point of the contract does not hold: what was expected, what came, what to change."""


def features(*, spatial: bool, rows: int = ROWS, seed: int = 0) -> tuple[Tensor, TextFeatures]:
    """Make a batch of random numbers, laid out as the encoders lay it out; texts have one to six words."""
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, CHANNELS, _SIDE, _SIDE) if spatial else (rows, CHANNELS)
    image = torch.randn(shape, generator=generator)
    if spatial:
        image = image.contiguous(memory_format=torch.channels_last)
    lengths = 1 + torch.arange(rows) % _WORDS
    return image, TextFeatures(
        pooled=torch.randn((rows, TEXT_WIDTH), generator=generator),
        tokens=torch.randn((rows, _WORDS, TEXT_WIDTH), generator=generator),
        mask=torch.arange(_WORDS) < lengths[:, None],
    )


def new_composer(kind: type[Composer], spatial: bool, seed: int = 0) -> Composer:
    """Make a composer whose weights depend on the seed alone; torch's own random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(CHANNELS, TEXT_WIDTH, spatial=spatial)


def learnable(composer: Composer) -> dict[str, nn.Parameter]:
    """Name the parameters that are trained; one that has several names has the first."""
    return {name: value for name, value in composer.named_parameters() if value.requires_grad and value.numel()}


def trained(kind: type[Composer], spatial: bool) -> Composer:
    """Make a composer and train it for a few steps; in eval mode.

    At the start a composer may be the identity by design, and then nothing can be seen of what it does.
    """
    composer = new_composer(kind, spatial)
    take_steps(composer)
    return composer.eval()


def take_steps(composer: Composer, see_gradients: Callable[[], None] = lambda: None) -> None:
    """Train a composer for STEPS steps on random batches, under the rules of a real training.

    Ends early where the output has no gradient, or one that is not finite or is sparse: the weights stay usable.

    Args:
        see_gradients: called in every step before the weights change.
    """
    parameters = list(learnable(composer).values())
    optimiser = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, weight_decay=0.0) if parameters else None
    composer.train()
    with reproducible("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for step in range(STEPS):
            image, text = features(spatial=composer.spatial, rows=_TRAINED_ROWS, seed=1_000 + step)
            composed, own = composed_and_own(composer, image.requires_grad_().clone(), text)
            if not composed.requires_grad:
                return
            composer.zero_grad(set_to_none=True)
            loss = (composed * torch.randn(composed.shape)).sum()
            loss = loss if own is None else loss + own
            loss.backward()  # type: ignore[no-untyped-call]
            see_gradients()
            if not all(map(_can_be_followed, parameters)):
                return
            if optimiser is not None:
                optimiser.step()
        composer.zero_grad(set_to_none=True)


def composed_and_own(composer: Composer, image: Tensor, text: TextFeatures) -> tuple[Tensor, Tensor | None]:
    """Have a batch composed, and the composer's own loss computed if it brings one, on random targets."""
    if not composer.has_auxiliary:
        return composer(image, text), None
    target, _ = features(spatial=composer.spatial, rows=len(image), seed=len(image))
    return composer.with_auxiliary(image, text, target.requires_grad_().clone())


def _can_be_followed(parameter: nn.Parameter) -> bool:
    gradient = parameter.grad
    return gradient is None or (not gradient.is_sparse and bool(gradient.isfinite().all()))


def asked(composer: Composer, image: Tensor, text: TextFeatures) -> Tensor:
    """Have a composer answer as it answers test queries: under `torch.inference_mode`.

    Raises:
        ContractError: it works without that mode alone.
    """
    try:
        with torch.inference_mode():
            composed: Tensor = composer(image, text)
    except Exception as error:
        composer(image, text)  # what fails there, too, has another cause, which its own error names
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ContractError(
            f"expected forward to work under torch.inference_mode(), got {why}; compute no gradients in forward"
        ) from error
    return composed


def cost(kind: type[Composer]) -> str:
    """Describe time and memory of a training step's part in the composer, on the map, as multiples of TIRG's."""
    mine, tirg = new_composer(kind, True), new_composer(get("tirg"), True)
    seconds = {"mine": 1e9, "tirg": 1e9}
    for _ in range(_TIMES):  # in turns: what else the machine does then falls on both
        for name, composer in (("mine", mine), ("tirg", tirg)):
            seconds[name] = min(seconds[name], _seconds(composer))
    own = sum(parameter.numel() for parameter in learnable(mine).values())
    memory = _kept_bytes(mine) / max(1, _kept_bytes(tirg))
    where = f", at the last of its {kind.levels} depths" if kind.levels > 1 else ""
    return f"{seconds['mine'] / seconds['tirg']:.2g} of its time, {memory:.2g} of its memory, {own:,} parameters{where}"


def _seconds(composer: Composer) -> float:
    image, text = features(spatial=True, rows=_TIMED_ROWS)
    image.requires_grad_()
    started = time.perf_counter()
    composed, own = composed_and_own(composer, image, text)
    loss: Tensor = composed.sum() if own is None else composed.sum() + own
    loss.backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - started


def _kept_bytes(composer: Composer) -> int:
    image, text = features(spatial=True, rows=_TIMED_ROWS)
    return sum(kept_for_gradient(lambda: composed_and_own(composer, image.requires_grad_(), text)).values())
