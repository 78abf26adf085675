"""A composer and a batch to try it on, as the preset `quick` has them; and what the composer costs there."""

import time

import torch
from torch import Tensor

from benchmark.device import kept_for_gradient
from models.base import Composer, TextFeatures
from models.registry import get

CHANNELS, TEXT_WIDTH = 128, 64
ROWS = 12
_SIDE, _WORDS = 4, 6
_TIMED_ROWS, _TIMES = 128, 15


def features(*, spatial: bool, rows: int = ROWS, seed: int = 0) -> tuple[Tensor, TextFeatures]:
    """A batch as the encoders give it, of random numbers; texts have one to six words."""
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
    """With weights that depend on the seed alone; torch's own random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(CHANNELS, TEXT_WIDTH, spatial=spatial)


def cost(kind: type[Composer]) -> str:
    """Time and memory of a training step's part in the composer, as multiples of TIRG's, on the map."""
    ours, theirs = new_composer(kind, True), new_composer(get("tirg"), True)
    seconds = {"ours": 1e9, "theirs": 1e9}
    for _ in range(_TIMES):  # in turns: what else the machine does then falls on both
        for name, composer in (("ours", ours), ("theirs", theirs)):
            seconds[name] = min(seconds[name], _seconds(composer))
    own = sum(parameter.numel() for parameter in ours.parameters())
    memory = _kept_bytes(ours) / max(1, _kept_bytes(theirs))
    return f"{seconds['ours'] / seconds['theirs']:.1f} of its time, {memory:.1f} of its memory, {own:,} parameters"


def _seconds(composer: Composer) -> float:
    image, text = features(spatial=True, rows=_TIMED_ROWS)
    image.requires_grad_()
    started = time.perf_counter()
    composer(image, text).sum().backward()
    return time.perf_counter() - started


def _kept_bytes(composer: Composer) -> int:
    image, text = features(spatial=True, rows=_TIMED_ROWS)
    return sum(kept_for_gradient(lambda: composer(image.requires_grad_(), text)).values())
