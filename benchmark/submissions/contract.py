"""What a composer must do to be ranked, as questions that are asked of a class in seconds, on a CPU, without a dataset.

Each problem says what was expected, what came, and what to change.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.submissions.trial import CHANNELS, ROWS, TEXT_WIDTH, cost, features, new_composer
from models.base import Composer, TextFeatures

_MODES = (True, False)


class ContractError(Exception):
    """What was expected, what came, what to change."""


@dataclass(frozen=True)
class Answer:
    """What became of one question: `problem` is empty where the composer does as it must."""

    what: str
    problem: str = ""
    remark: str = ""


def examine(kind: type[Composer], describe: Callable[[Exception], str] = repr) -> Iterator[Answer]:
    """Ask all questions, and what it costs if it answers them all as it must.

    The first problem of a question ends it, and one of the first three ends them all.

    Args:
        describe: an error of the composer's own code in words.
    """
    questions: tuple[tuple[str, Callable[[type[Composer], bool], None]], ...] = (
        ("is made from (image_channels, text_width, spatial)", _is_made),
        ("gives the shape and type that it got", _keeps_shape),
        ("leaves its input alone", _leaves_input),
        ("gradients are finite and reach every parameter", _has_gradients),
        ("a row depends on its own query alone", _keeps_rows_apart),
        ("the same input gives the same output", _is_deterministic),
        ("padding of the text does not matter", _ignores_padding),
        ("saved and loaded it is the same", _survives_saving),
        ("is finite in bf16", _is_finite_in_bf16),
        ("uses the image and the text as declared", _uses_both),
    )
    is_sound = True
    for place, (what, question) in enumerate(questions):
        problem = ""
        for spatial in _MODES:
            try:
                question(kind, spatial)
            except Exception as error:
                why = str(error) if isinstance(error, ContractError) else describe(error)
                problem = f"{'on the map' if spatial else 'on the pooled vector'}: {why}"
                break
        yield Answer(what, problem)
        if problem and place < 3:
            return
        is_sound &= not problem
    if is_sound:
        yield Answer("its cost beside TIRG's", remark=cost(kind))


def _is_made(kind: type[Composer], spatial: bool) -> None:
    try:
        composer = new_composer(kind, spatial)
    except TypeError as error:
        raise ContractError(
            f"expected {kind.__name__}({CHANNELS}, {TEXT_WIDTH}, spatial={spatial}) to work, got {error}; "
            "take `image_channels, text_width, *, spatial` in __init__ and pass them to super().__init__"
        ) from error
    if composer.spatial is not spatial or composer.image_channels != CHANNELS or composer.text_width != TEXT_WIDTH:
        raise ContractError(
            "expected spatial, image_channels and text_width as they were given, got others; "
            "call super().__init__(image_channels, text_width, spatial=spatial)"
        )


def _keeps_shape(kind: type[Composer], spatial: bool) -> None:
    composer = _settled(kind, spatial)
    image, text = features(spatial=spatial)
    batches = [image, image[:1]]
    if spatial:
        batches += [image[:, :, :1, :1], image[:, :, :3, :2], functional.interpolate(image, size=(7, 7))]
    for batch in batches:
        composed = composer(batch, _rows(text, slice(len(batch))))
        if not isinstance(composed, Tensor):
            raise ContractError(f"expected a tensor, got {type(composed).__name__}; return one from forward")
        if composed.shape != batch.shape:
            raise ContractError(
                f"expected {tuple(batch.shape)} for an image of that shape, got {tuple(composed.shape)}; "
                "return features of the image's own shape"
            )
        if composed.dtype != batch.dtype:
            raise ContractError(
                f"expected {batch.dtype} as the image has it, got {composed.dtype}; leave out conversions such as "
                ".double() or .half()"
            )
        if not composed.isfinite().all():
            raise ContractError("expected finite numbers, got NaN or infinity; look for a division by zero or a log")


def _has_gradients(kind: type[Composer], spatial: bool) -> None:
    composer = new_composer(kind, spatial)
    image, text = features(spatial=spatial)
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    composed = composer(image.requires_grad_(), text)
    if not composed.requires_grad:
        raise ContractError("expected an output with a gradient, got none; leave out detach() and no_grad()")
    (composed * weights).sum().backward()
    for name, parameter in composer.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.grad is None or not parameter.grad.abs().max() > 0:
            if parameter.grad is not None and not parameter.grad.isfinite().all():
                raise ContractError(f"expected finite gradients, got NaN for {name}; look for roots and divisions at 0")
            raise ContractError(
                f"expected a gradient for {name}, got none; use it in forward in both modes, or do not make it"
            )
        if not parameter.grad.isfinite().all():
            raise ContractError(
                f"expected finite gradients, got infinity for {name}; look for roots and divisions at 0"
            )


def _keeps_rows_apart(kind: type[Composer], spatial: bool) -> None:
    composer = _settled(kind, spatial)
    image, text = features(spatial=spatial)
    whole = composer(image, text)
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(0))
    for rows in (order, torch.tensor([2]), torch.arange(ROWS)[::3]):
        if not _close(composer(image[rows], _rows(text, rows)), whole[rows]):
            raise ContractError(
                "expected the same output for a query whatever stands beside it, in eval mode, got another; use no "
                "statistics of the batch (BatchNorm is fine: it has its own in eval mode) and no state"
            )


def _is_deterministic(kind: type[Composer], spatial: bool) -> None:
    composer = _settled(kind, spatial)
    image, text = features(spatial=spatial)
    first = composer(image, text)
    if not torch.equal(composer(image, text), first):
        raise ContractError(
            "expected the same output for the same input in eval mode, got another; draw nothing in eval mode "
            "(nn.Dropout does it right), keep no state between calls"
        )
    composer(*features(spatial=spatial, seed=1))
    if not torch.equal(composer(image, text), first):
        raise ContractError(
            "expected an output that earlier batches do not change, got one that they do; keep no state between calls"
        )
    again = _settled(kind, spatial)(image, text)
    if not torch.equal(again, first):
        raise ContractError(
            "expected equal composers from equal seeds, got different ones; draw weights with torch alone, in __init__"
        )


def _leaves_input(kind: type[Composer], spatial: bool) -> None:
    composer = _settled(kind, spatial)
    image, text = features(spatial=spatial)
    composer(image, text)
    same_image, same_text = features(spatial=spatial)
    if not torch.equal(image, same_image) or any(map(_differ, text, same_text)):
        raise ContractError("expected its input unchanged, got it changed; leave out operations in place (`+=`, `_`)")


def _ignores_padding(kind: type[Composer], spatial: bool) -> None:
    composer = _settled(kind, spatial)
    image, text = features(spatial=spatial)
    filled = text.tokens.masked_fill(~text.mask[:, :, None], 1e3)
    longer = TextFeatures(
        text.pooled, functional.pad(filled, (0, 0, 0, 2), value=-1e3), functional.pad(text.mask, (0, 2), value=False)
    )
    if not _close(composer(image, longer), composer(image, text)):
        raise ContractError(
            "expected an output that does not depend on text.tokens where text.mask is False, got one that does; "
            "mask the tokens"
        )


def _survives_saving(kind: type[Composer], spatial: bool) -> None:
    from safetensors.torch import load, save

    composer = _settled(kind, spatial)
    image, text = features(spatial=spatial)
    try:
        stored = load(save({name: value.contiguous() for name, value in composer.state_dict().items()}))
        loaded = new_composer(kind, spatial, seed=1).eval()
        loaded.load_state_dict(stored)
    except (RuntimeError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ContractError(
            f"expected a state_dict that can be stored and loaded, got: {why}; keep parameters and buffers alone in it"
        ) from error
    if not torch.equal(loaded(image, text), composer(image, text)):
        raise ContractError(
            "expected the same output after saving and loading, got another; make what it needs a parameter or a "
            "buffer (self.register_buffer)"
        )


def _is_finite_in_bf16(kind: type[Composer], spatial: bool) -> None:
    composer = _settled(kind, spatial)
    image, text = features(spatial=spatial)
    with torch.autocast("cpu", torch.bfloat16):
        composed = composer(image.bfloat16(), TextFeatures(text.pooled.bfloat16(), text.tokens.bfloat16(), text.mask))
    if not composed.isfinite().all():
        raise ContractError(
            "expected finite numbers under bf16 autocast, got NaN or infinity; mask with -1e4, not -inf"
        )


def _uses_both(kind: type[Composer], spatial: bool) -> None:
    composer = _settled(kind, spatial)
    (image, text), (other_image, other_text) = (features(spatial=spatial, seed=seed) for seed in (0, 1))
    composed, info = composer(image, text), kind.info
    lengthened = TextFeatures(other_text.pooled, other_text.tokens, text.mask)
    for name, is_used, other in (
        ("image", info.uses_image, composer(other_image, text)),
        ("text", info.uses_text, composer(image, lengthened)),
    ):
        if torch.allclose(other, composed, rtol=0, atol=1e-6) == is_used:
            expected, got = ("depends", "does not") if is_used else ("does not depend", "does")
            raise ContractError(
                f"expected an output that {expected} on the {name}, as uses_{name}={is_used} says, got one that {got}; "
                f"{'use it' if is_used else 'do not use it'}, or set uses_{name}={not is_used} in its ComposerInfo"
            )


def _settled(kind: type[Composer], spatial: bool) -> Composer:
    """In eval mode after a batch in train mode, so that normalisation layers hold statistics worth keeping."""
    composer = new_composer(kind, spatial)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        composer(*features(spatial=spatial, rows=16, seed=99))
    return composer.eval()


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def _rows(text: TextFeatures, rows: Tensor | slice) -> TextFeatures:
    return TextFeatures(*(part[rows] for part in text))


def _differ(one: Tensor, other: Tensor) -> bool:
    return not torch.equal(one, other)
