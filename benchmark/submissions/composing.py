"""The composer in the process of a submission: it gets features and weights, and gives features and gradients.

It has no encoder, loss, optimiser or data. What it does to its own weights ends with the next step, whose weights are
ours.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from benchmark.submissions.exchange import Area
from benchmark.submissions.messages import Backward, Composed, Forward, Gradients, Made, Make, Piece, Weight
from models.base import Composer, TextFeatures

LAYERS = {
    kind.__name__: kind
    for kind in (nn.Linear, nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.RNNBase, nn.MultiheadAttention)
}
"""Kinds of layers by which an optimiser tells weight matrices from other parameters, by name."""


class ComposingError(Exception):
    """Raised when a composer returns what it may not: what was expected and what came."""


class Composing:
    """A composer at work, or several at several depths of the image encoder.

    Args:
        ours, theirs: the areas that the other process and this one write into.
    """

    def __init__(self, kind: type[Composer], ours: Area, theirs: Area, *, device: str) -> None:
        self._kind, self._in, self._out = kind, ours, theirs
        self._device = torch.device(device)
        self._bf16 = False
        self._composers: dict[int, Composer] = {}
        self._inputs: dict[int, list[Tensor | None]] = {}
        self._outputs: dict[int, tuple[Tensor, Tensor | None]] = {}

    def make(self, command: Make) -> Made:
        """Make the composer, its weights drawn from that seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(command.seed)
            composer = self._kind(command.image_channels, command.text_width, spatial=command.spatial)
        self._bf16 = command.bf16
        self._out.end = 0
        made = Made(
            weights=self._described(composer.named_parameters(remove_duplicate=False)),
            buffers=self._described(_stored_buffers(composer).items()),
            layers={
                path: kind
                for path, layer in composer.named_modules(remove_duplicate=False)
                for kind in [next((name for name, each in LAYERS.items() if isinstance(layer, each)), "")]
                if kind
            },
        )
        self._composers[command.earlier] = composer.to(self._device).eval()
        return made

    def forward(self, command: Forward) -> Composed:
        """Compose a batch, keeping what its gradients need if the composer is trained."""
        composer = self._composers[command.earlier]
        if composer.training != command.is_training:
            composer.train(command.is_training)
        if command.weights or command.buffers:
            for parameter, piece in zip(composer.parameters(), command.weights, strict=True):
                parameter.data = self._input(piece)
            for buffer, piece in zip(_stored_buffers(composer).values(), command.buffers, strict=True):
                buffer.data = self._input(piece).clone()
        if command.random:
            _set_random(self._device, [self._in.take(piece) for piece in command.random])
        image, *words = map(self._input, (command.image, *command.text))
        text = TextFeatures(*words)
        target = None if command.target is None else self._input(command.target)
        self._inputs[command.earlier] = [
            part.requires_grad_() if needed and part is not None else None
            for part, needed in zip((image, text.pooled, text.tokens, target), command.needs, strict=True)
        ]
        with torch.inference_mode(not command.is_training), self._kernels():
            composed, own = composer(image, text), None
            if target is not None and _has_shape(composed, image):
                own = composer.auxiliary(composed, image, text, target)
        if not _has_shape(composed, image):
            got = tuple(composed.shape) if isinstance(composed, Tensor) else type(composed).__name__
            raise ComposingError(f"expected features of shape {tuple(image.shape)}, got {got}")
        if own is not None and not (isinstance(own, Tensor) and own.ndim == 0 and own.is_floating_point()):
            got = f"{own.dtype} {tuple(own.shape)}" if isinstance(own, Tensor) else type(own).__name__
            raise ComposingError(f"expected a scalar of floating point or None from auxiliary, got {got}")
        self._outputs[command.earlier] = composed, own
        self._out.end = 0
        return Composed(piece=self._out.put(composed), auxiliary=None if own is None else self._out.put(own))

    def backward(self, command: Backward) -> Gradients:
        """Give the gradients of the last batch."""
        composer, given_inputs = self._composers[command.earlier], self._inputs[command.earlier]
        composed, own = self._outputs[command.earlier]
        weights = [parameter for parameter in composer.parameters() if parameter.requires_grad]
        inputs = [part for part in given_inputs if part is not None]
        outputs, gradients = [composed], [self._input(command.gradient)]
        if command.auxiliary is not None and own is not None and own.requires_grad:
            outputs.append(own)
            gradients.append(self._input(command.auxiliary))
        found = torch.autograd.grad(outputs, [*inputs, *weights], gradients, allow_unused=True)
        self._out.end = 0
        given = [None if gradient is None else self._out.put(gradient) for gradient in found]
        of_inputs = iter(given)
        image, pooled, tokens, target = (None if part is None else next(of_inputs) for part in given_inputs)
        return Gradients(
            inputs=(image, pooled, tokens, target),
            weights=tuple(of_inputs),
            buffers=tuple(map(self._out.put, _stored_buffers(composer).values())),
        )

    def _input(self, piece: Piece) -> Tensor:
        """A tensor of the other process, on the device: on a CPU the shared memory itself, unless another composer of
        this batch is asked before the gradients of this one are."""
        if len(self._composers) > 1:
            return self._in.take(piece).to(self._device)
        return self._in.view(piece).to(self._device)

    def _kernels(self) -> AbstractContextManager[object]:
        if self._bf16:
            return torch.autocast(self._device.type, torch.bfloat16)
        return nullcontext()

    def _described(self, tensors: Iterable[tuple[str, Tensor]]) -> tuple[Weight, ...]:
        names: dict[int, str] = {}
        return tuple(
            Weight(
                name=name,
                piece=self._out.put(value),
                is_trained=value.requires_grad,
                same_as="" if (first := names.setdefault(id(value), name)) == name else first,
            )
            for name, value in tensors
        )


def _has_shape(composed: object, image: Tensor) -> bool:
    return isinstance(composed, Tensor) and composed.shape == image.shape


def _stored_buffers(composer: Composer) -> Mapping[str, Tensor]:
    """The buffers of its state_dict, the tensors themselves."""
    stored = composer.state_dict(keep_vars=True)
    return {name: value for name, value in composer.named_buffers(remove_duplicate=False) if name in stored}


def _set_random(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
