"""Questions about function: what a composer learns, and what its output depends on.

All but the first are asked after a few steps of training. Each raises ContractError if the composer does not keep that
point; `spatial` is the mode it is asked in.
"""

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.submissions.trial import (
    ROWS,
    STEPS,
    ContractError,
    asked,
    features,
    learnable,
    new_composer,
    take_steps,
    trained,
)
from models.base import Composer, TextFeatures


def has_gradients(kind: type[Composer], spatial: bool) -> None:
    """Within a few steps every parameter has had a gradient, and none was NaN or infinite.

    One step would not do: behind a layer, gate or low-rank factor that starts at zero nothing has a gradient in the
    first.
    """
    composer = new_composer(kind, spatial)
    if not composer.train()(*_with_gradient(spatial)).requires_grad:
        raise ContractError("expected an output with a gradient, got none; leave out detach() and no_grad()")
    waiting = learnable(composer)

    def see_gradients() -> None:
        for name, parameter in learnable(composer).items():
            gradient = parameter.grad
            if gradient is None:
                continue
            if gradient.is_sparse:
                raise ContractError(f"expected a dense gradient for {name}, got a sparse one; leave out sparse=True")
            if not gradient.isfinite().all():
                what = "NaN" if gradient.isnan().any() else "infinity"
                raise ContractError(
                    f"expected finite gradients, got {what} for {name}; look for roots and divisions at 0"
                )
            if gradient.any():
                waiting.pop(name, None)

    take_steps(composer, see_gradients)
    if waiting:
        raise ContractError(
            f"expected a gradient for {next(iter(waiting))}, got none in {STEPS} steps of training; use it in forward "
            "or auxiliary in both modes, or do not make it (where two factors start at zero, neither learns)"
        )
    if not asked(composer.eval(), *features(spatial=spatial)).isfinite().all():
        raise ContractError(f"expected finite numbers after {STEPS} steps of training, got NaN or infinity")


def keeps_rows_apart(kind: type[Composer], spatial: bool) -> None:
    """In eval mode the answer to a query does not depend on the queries in the same batch."""
    composer = trained(kind, spatial)
    image, text = features(spatial=spatial)
    whole = asked(composer, image, text)
    order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(0))
    for rows in (order, torch.tensor([2]), torch.arange(ROWS)[::3]):
        some = asked(composer, image[rows], TextFeatures(*(part[rows] for part in text)))
        if not _close(some, whole[rows]):
            raise ContractError(
                "expected the same output for a query whatever else is in its batch, in eval mode, got another; use no "
                "statistics of the batch (BatchNorm is fine: it has its own in eval mode) and no state"
            )


def is_deterministic(kind: type[Composer], spatial: bool) -> None:
    """In eval mode nothing is drawn or remembered, and weights depend on torch's seed alone."""
    composer = trained(kind, spatial)
    image, text = features(spatial=spatial)
    first = asked(composer, image, text)
    if not torch.equal(asked(composer, image, text), first):
        raise ContractError(
            "expected the same output for the same input in eval mode, got another; draw nothing in eval mode "
            "(nn.Dropout does it right), keep no state between calls"
        )
    asked(composer, *features(spatial=spatial, seed=1))
    if not torch.equal(asked(composer, image, text), first):
        raise ContractError(
            "expected an output that earlier batches do not change, got one that they do; keep no state between calls"
        )
    if not torch.equal(asked(trained(kind, spatial), image, text), first):
        raise ContractError(
            "expected equal composers from equal seeds, got different ones; draw with torch alone, from its own "
            "generator (torch.rand, not random or numpy)"
        )


def ignores_padding(kind: type[Composer], spatial: bool) -> None:
    """The padding after a text's last word in `text.tokens` changes nothing: neither its values nor its length."""
    composer = trained(kind, spatial)
    image, text = features(spatial=spatial)
    filled = text.tokens.masked_fill(~text.mask[:, :, None], 1e3)
    longer = TextFeatures(
        text.pooled, functional.pad(filled, (0, 0, 0, 2), value=-1e3), functional.pad(text.mask, (0, 2), value=False)
    )
    if not _close(asked(composer, image, longer), asked(composer, image, text)):
        raise ContractError(
            "expected an output that does not depend on text.tokens where text.mask is False, got one that does; "
            "mask the tokens"
        )


def uses_both(kind: type[Composer], spatial: bool) -> None:
    """The output depends on the image and the text, each if and only if the composer's info says so."""
    composer = trained(kind, spatial)
    (image, text), (other_image, other_text) = (features(spatial=spatial, seed=seed) for seed in (0, 1))
    composed, info = asked(composer, image, text), kind.info
    other_words = TextFeatures(other_text.pooled, other_text.tokens, text.mask)
    for name, is_used, other in (
        ("image", info.uses_image, asked(composer, other_image, text)),
        ("text", info.uses_text, asked(composer, image, other_words)),
    ):
        if torch.allclose(other, composed, rtol=0, atol=1e-6) == is_used:
            expected, got = ("depends", "does not") if is_used else ("does not depend", "does")
            raise ContractError(
                f"expected an output that {expected} on the {name}, as uses_{name}={is_used} says, got one that {got} "
                f"after {STEPS} steps of training; {'use it' if is_used else 'do not use it'}, or set "
                f"uses_{name}={not is_used} in its ComposerInfo"
            )


def brings_sound_loss(kind: type[Composer], spatial: bool) -> None:
    """`auxiliary` gives a finite scalar with finite gradients, and changes neither its arguments nor later answers.

    Several queries of the batch start from one image, as in training. A loss may be one of the batch as a whole.
    """
    composer = new_composer(kind, spatial).train()
    image, text = features(spatial=spatial)
    image = image[torch.arange(ROWS) // 4]
    given = (image.requires_grad_(), features(spatial=spatial, seed=1)[0].requires_grad_(), text.pooled, text.tokens)
    before = [part.detach().clone() for part in given]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, own = composer.with_auxiliary(image, text, given[1])
        _require_scalar(own)
        if own is None:
            return
        found = torch.autograd.grad(own, [*given[:2], *learnable(composer).values()], allow_unused=True)
        with torch.autocast("cpu", torch.bfloat16):
            _require_scalar(composer.with_auxiliary(image, text, given[1])[1])
    if not all(gradient is None or gradient.isfinite().all() for gradient in found):
        raise ContractError(
            "expected finite gradients of its own loss where several queries start from one image, got NaN or "
            "infinity; look for roots and divisions at 0"
        )
    if not all(map(torch.equal, given, before)):
        raise ContractError(
            "expected auxiliary to leave its arguments alone, got them changed; leave out operations in place (`+=`, "
            "`_`)"
        )
    composer = trained(kind, spatial)
    answers = asked(composer, image.detach(), text)
    composer.auxiliary(answers.clone(), image.detach(), text, given[1].detach())
    if not torch.equal(asked(composer, image.detach(), text), answers):
        raise ContractError("expected auxiliary to change no later output, got another; keep no state in it")


def _require_scalar(own: object) -> None:
    if own is None:
        return
    if not isinstance(own, Tensor) or own.ndim or not own.is_floating_point():
        got = f"{own.dtype} {tuple(own.shape)}" if isinstance(own, Tensor) else type(own).__name__
        raise ContractError(
            f"expected a scalar of floating point from auxiliary, or None, got {got}; return a mean over the batch"
        )
    if not own.isfinite():
        raise ContractError(
            "expected a finite number from auxiliary, got NaN or infinity; look for a division by zero or a log"
        )
    if not own.requires_grad:
        raise ContractError(
            "expected a loss with a gradient from auxiliary, got none; leave out detach() and no_grad() around what it "
            "should teach"
        )


def _with_gradient(spatial: bool) -> tuple[Tensor, TextFeatures]:
    image, text = features(spatial=spatial)
    return image.requires_grad_().clone(), text


def _close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4)
