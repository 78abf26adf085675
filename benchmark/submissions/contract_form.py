"""Questions about form: how a composer is made, what goes in and comes out, how it is stored.

Each raises ContractError if the composer does not keep that point; `spatial` is the mode it is asked in.
"""

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional
from torch.nn.parameter import is_lazy

from benchmark.submissions.trial import CHANNELS, TEXT_WIDTH, ContractError, asked, features, new_composer, trained
from models.base import MOST_LEVELS, Composer, TextFeatures


def is_made(kind: type[Composer], spatial: bool) -> None:
    """The constructor takes the contract's arguments, and all weights are there when it returns."""
    try:
        composer = new_composer(kind, spatial)
    except TypeError as error:
        raise ContractError(
            f"expected {kind.__name__}({CHANNELS}, {TEXT_WIDTH}, spatial={spatial}) to work, got {error}; "
            "take `image_channels, text_width, *, spatial` in __init__ and pass them to super().__init__"
        ) from error
    if not (type(kind.levels) is int and 1 <= kind.levels <= MOST_LEVELS):
        raise ContractError(f"expected levels from 1 to {MOST_LEVELS}, got {kind.levels!r}; leave it out for one level")
    if spatial and kind.levels > 1:
        _composes_earlier(kind)
    if composer.spatial is not spatial or composer.image_channels != CHANNELS or composer.text_width != TEXT_WIDTH:
        raise ContractError(
            "expected spatial, image_channels and text_width as they were given, got others; "
            "call super().__init__(image_channels, text_width, spatial=spatial)"
        )
    for name, value in (*composer.named_parameters(), *composer.named_buffers()):
        if is_lazy(value):
            raise ContractError(
                f"expected every weight to have its shape after __init__, got the lazy {name}; use the layer that is "
                "not lazy (nn.Linear for nn.LazyLinear), with widths made from image_channels and text_width"
            )


def _composes_earlier(kind: type[Composer]) -> None:
    """A composer of several levels works on the larger maps of fewer channels that earlier depths have."""
    image, text = features(spatial=True)
    image = functional.interpolate(image[:, : CHANNELS // 4], scale_factor=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        composed = kind(image.shape[1], TEXT_WIDTH, spatial=True)(image, text)
    if composed.shape != image.shape:
        raise ContractError(
            f"expected {tuple(image.shape)} for an image of that shape, got {tuple(composed.shape)}; with levels="
            f"{kind.levels} it is made for the channels of each depth, so take image_channels from the constructor"
        )


def keeps_shape(kind: type[Composer], spatial: bool) -> None:
    """The output has the image's shape and type, for maps and batches of other sizes, too."""
    composer = _warm(kind, spatial)
    image, text = features(spatial=spatial)
    batches = [image, image[:1]]
    if spatial:
        batches += [image[:, :, :1, :1], image[:, :, :3, :2], functional.interpolate(image, size=(7, 7))]
    for batch in batches:
        try:
            composed = asked(composer, batch, TextFeatures(*(part[: len(batch)] for part in text)))
        except Exception as error:
            error.add_note(f"for an image of shape {tuple(batch.shape)}")
            raise
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


def leaves_input(kind: type[Composer], spatial: bool) -> None:
    """The caller's tensors are not written to."""
    composer = trained(kind, spatial)
    image, text = features(spatial=spatial)
    asked(composer, image, text)
    same_image, same_text = features(spatial=spatial)
    if not all(map(torch.equal, (image, *text), (same_image, *same_text))):
        raise ContractError("expected its input unchanged, got it changed; leave out operations in place (`+=`, `_`)")


def survives_saving(kind: type[Composer], spatial: bool) -> None:
    """A composer of another seed that loads the weights gives the same output. Stored as checkpoints store them."""
    composer = trained(kind, spatial)
    image, text = features(spatial=spatial)
    try:
        loaded = new_composer(kind, spatial, seed=1).eval()
        state = {name: value.detach().clone().contiguous() for name, value in composer.state_dict().items()}
        loaded.load_state_dict(load(save(state)))
    except (RuntimeError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ContractError(
            f"expected a state_dict that can be stored and loaded, got: {why}; keep parameters and buffers alone in it"
        ) from error
    if not torch.equal(asked(loaded, image, text), asked(composer, image, text)):
        raise ContractError(
            "expected the same output after saving and loading, got another; make what it needs a parameter or a "
            "buffer (self.register_buffer)"
        )


def is_finite_in_bf16(kind: type[Composer], spatial: bool) -> None:
    """Under autocast, as on a GPU, no number overflows."""
    composer = trained(kind, spatial)
    image, text = features(spatial=spatial)
    with torch.autocast("cpu", torch.bfloat16):
        # Not in inference mode: there torch 2.14 takes a short cut through nn.TransformerEncoder that knows autocast on
        # a GPU, where bf16 is used, but not on a CPU.
        composed = composer(image.bfloat16(), TextFeatures(text.pooled.bfloat16(), text.tokens.bfloat16(), text.mask))
    if not composed.isfinite().all():
        raise ContractError(
            "expected finite numbers under bf16 autocast, got NaN or infinity; mask with -1e4, not -inf"
        )


def _warm(kind: type[Composer], spatial: bool) -> Composer:
    """In eval mode after a batch in train mode, so that normalisation layers hold statistics."""
    composer = new_composer(kind, spatial)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        composer(*features(spatial=spatial, rows=16, seed=99))
    return composer.eval()
