"""A stand-in for a composer in another process: to our optimiser, loss and checkpoints it is a module like any other.

Its parameters and buffers are here, and the process gets them for every step. It gives back composed features,
gradients and buffers, whose shapes, types and finiteness are checked.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.submissions.composing import LAYERS
from benchmark.submissions.exchange import Area
from benchmark.submissions.messages import Backward, Composed, Forward, Gradients, Made, Make, Piece, Weight
from benchmark.submissions.process import Child
from models.base import Composer, TextFeatures

_MOST_NUMBERS = 2**28
"""In all parameters and buffers of a composer."""


class Link:
    """The way to a composer's process: what is written where, and what is read from where.

    Args:
        ours, theirs: the areas that this process and the other one write into.
    """

    def __init__(self, child: Child, ours: Area, theirs: Area) -> None:
        self.child, self._ours, self._theirs = child, ours, theirs
        self._sent: dict[int, list[tuple[int, int]]] = {}
        self._start: dict[int, int] = {}

    def make(self, command: Make) -> Made:
        return self.child.ask(command, Made)

    def forward(
        self, image: Tensor, text: TextFeatures, weights: Sequence[Tensor], buffers: Sequence[Tensor],
        needs: tuple[bool, bool, bool, bool], *, is_training: bool, target: Tensor | None = None, earlier: int = 0,
        draws: bool = True,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Have a batch composed, and with a target the composer's own loss computed.

        Args:
            weights, buffers: the composer's; outside training they are sent if they changed.
            earlier: which composer, as in `Make`.
            draws: whether to send the states of the generators in training, for the first composer of a batch.
        """
        ours, sent = self._ours, [(value.data_ptr(), value._version) for value in (*weights, *buffers)]
        pieces: list[tuple[Piece, ...]] = [(), ()]
        if is_training or sent != self._sent.get(earlier):
            ours.end = 0
            pieces = [tuple(map(ours.put, values)) for values in (weights, buffers)]
            self._start[earlier] = ours.end
            # Not every kernel that updates weights counts its changes.
            self._sent[earlier] = [] if is_training else sent
        ours.end = self._start[earlier]
        command = Forward(
            earlier=earlier,
            weights=pieces[0],
            buffers=pieces[1],
            image=ours.put(image),
            text=tuple(map(ours.put, text)),  # type: ignore[arg-type]
            random=tuple(map(ours.put, _random(image.device))) if is_training and draws else (),
            needs=needs,
            target=None if target is None else ours.put(target),
            is_training=is_training,
        )
        answer = self.child.ask(command, Composed)
        piece, of_loss = answer.piece, answer.auxiliary
        dtype = torch.float32 if piece.dtype == "float32" else image.dtype
        composed = self.read(piece, image.shape, dtype, "for its composed features").to(image.device)
        if target is None or of_loss is None:
            return composed, None
        loss = self.read(of_loss, (), None, "for its own loss").to(image.device)
        if not loss.is_floating_point():
            raise self.child.blame(f"expected a number of floating point for its own loss, got {of_loss.dtype}")
        return composed, loss

    def backward(
        self, gradient: Tensor, of_loss: Tensor | None, inputs: Sequence[Tensor | None], weights: Sequence[Tensor],
        buffers: Sequence[Tensor], *, earlier: int = 0,
    ) -> list[Tensor | None]:  # fmt: skip
        """Return the gradients of inputs and weights, and update the buffers.

        Args:
            gradient, of_loss: of the composed features, and of the composer's own loss if there was one.
            inputs: image, pooled, tokens and target, None for one that needs no gradient.
            weights: the trained ones.
        """
        auxiliary = None if of_loss is None else self._ours.put(of_loss)
        command = Backward(gradient=self._ours.put(gradient), auxiliary=auxiliary, earlier=earlier)
        found = self.child.ask(command, Gradients)
        if len(found.weights) != len(weights) or len(found.buffers) != len(buffers):
            raise self.child.blame(f"it gave {len(found.weights)} gradients, expected {len(weights)}")
        for buffer, piece in zip(buffers, found.buffers, strict=True):
            buffer.copy_(self.read(piece, buffer.shape, buffer.dtype, "for a buffer"))
        return [
            None
            if piece is None or like is None
            else self.read(piece, like.shape, like.dtype, "for a gradient").to(like.device)
            for piece, like in zip((*found.inputs, *found.weights), (*inputs, *weights), strict=True)
        ]

    def read(self, piece: Piece, shape: Sequence[int], dtype: torch.dtype | None, what: str) -> Tensor:
        """Return a copy of what the process wrote.

        Raises:
            SubmissionError: it is not a tensor of finite numbers of that shape and type.
        """
        if piece.shape != tuple(shape) or (dtype is not None and getattr(torch, piece.dtype) != dtype):
            kind = str(dtype).removeprefix("torch.")
            raise self.child.blame(f"expected {kind} {tuple(shape)} {what}, got {piece.dtype} {piece.shape}")
        try:
            value = self._theirs.take(piece)
        except (ValueError, RuntimeError, OSError) as error:
            raise self.child.blame(f"what it wrote {what} cannot be read ({error})") from None
        # A sum is faster, and finite unless a number is not, or the numbers are huge.
        if not value.sum().isfinite() and not value.isfinite().all():
            raise self.child.blame(f"it gave NaN or infinity {what}")
        return value


class RemoteComposer(Composer):
    """A composer in another process, with its parameters and buffers here, under their own names.

    Args:
        auxiliary: whether the process is asked for a loss of the composer's own.
        earlier: how many depths before the image encoder's last one it composes.
        is_first: whether it is the first of a batch; the others continue its random numbers.

    Raises:
        SubmissionError: the process failed, or what it says that it is made of cannot be.
    """

    def __init__(
        self, image_channels: int, text_width: int, *, spatial: bool, link: Link, seed: int, bf16: bool,
        auxiliary: bool = False, earlier: int = 0, is_first: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(image_channels, text_width, spatial=spatial)
        self._link_to_process = link
        self._has_auxiliary, self._earlier, self._is_first = auxiliary, earlier, is_first
        made = link.make(
            Make(
                earlier=earlier,
                image_channels=image_channels,
                text_width=text_width,
                spatial=spatial,
                seed=seed,
                bf16=bf16,
            )
        )
        told = [weight for weight in made.weights if not weight.same_as]
        if sum(math.prod(each.piece.shape) for each in (*told, *made.buffers)) > _MOST_NUMBERS:
            raise link.child.blame(f"its parameters and buffers hold more than {_MOST_NUMBERS:,} numbers")
        # In the process's order: a module of buffers alone is the last one here, wherever it is there.
        self._names = [each.name for each in told], [each.name for each in made.buffers]
        try:
            for weight in made.weights:
                self._register(weight, made, is_buffer=False)
            for weight in made.buffers:
                self._register(weight, made, is_buffer=True)
        except (KeyError, AttributeError, TypeError, RuntimeError) as error:
            raise link.child.blame(f"its parameters cannot be kept here ({error})") from None

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        if self.training and torch.is_grad_enabled():
            return self._in_training(image, text, None)[0]
        nothing = (False, False, False, False)
        return self._asked(image, text, None, nothing, is_training=False)[0]

    @property
    def has_auxiliary(self) -> bool:
        return self._has_auxiliary

    def with_auxiliary(self, image: Tensor, text: TextFeatures, target: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._in_training(image, text, target)

    def _in_training(self, image: Tensor, text: TextFeatures, target: Tensor | None) -> tuple[Tensor, Tensor | None]:
        trained = [weight for weight in self._state()[0] if weight.requires_grad]
        found: tuple[Tensor, Tensor | None] = _Compose.apply(self, image, *text, target, *trained)
        return found

    def _asked(
        self, image: Tensor, text: TextFeatures, target: Tensor | None, needs: tuple[bool, bool, bool, bool], *,
        is_training: bool,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        return self._link_to_process.forward(
            image,
            text,
            *self._state(),
            needs,
            is_training=is_training,
            target=target,
            earlier=self._earlier,
            draws=self._is_first,
        )

    def _state(self) -> tuple[list[nn.Parameter], list[Tensor]]:
        """Parameters and buffers, in the order in which the process takes them."""
        weights, buffers = self._names
        return list(map(self.get_parameter, weights)), list(map(self.get_buffer, buffers))

    def _register(self, weight: Weight, made: Made, *, is_buffer: bool) -> None:
        *path, name = weight.name.split(".")
        module: nn.Module = self
        for depth, part in enumerate(path, start=1):
            if part not in module._modules:
                module.add_module(part, _empty_layer(made.layers.get(".".join(path[:depth]), "")))
            module = module.get_submodule(part)
        if is_buffer:
            module.register_buffer(name, self._value(weight))
        elif weight.same_as:
            module.register_parameter(name, self.get_parameter(weight.same_as))
        else:
            module.register_parameter(name, nn.Parameter(self._value(weight), requires_grad=weight.is_trained))

    def _value(self, weight: Weight) -> Tensor:
        value = self._link_to_process.read(weight.piece, weight.piece.shape, None, f"for {weight.name}")
        return value.clone()  # an optimiser cannot update numbers that share their memory


class _Compose(torch.autograd.Function):
    """The composer's forward and backward pass, in its process; with a target also its own loss, else None."""

    @staticmethod
    def forward(
        ctx: Any, remote: RemoteComposer, image: Tensor, pooled: Tensor, tokens: Tensor, mask: Tensor,
        target: Tensor | None, *trained: Tensor,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        of_image, of_pooled, of_tokens, _, of_target = ctx.needs_input_grad[1:6]
        needs = of_image, of_pooled, of_tokens, of_target
        ctx.remote, ctx.trained = remote, trained
        parts = (image, pooled, tokens, target)
        ctx.inputs = [part if needed else None for part, needed in zip(parts, needs, strict=True)]
        text = TextFeatures(pooled, tokens, mask)
        return remote._asked(image, text, target, needs, is_training=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        buffers = ctx.remote._state()[1]
        image, pooled, tokens, target, *of_weights = ctx.remote._link_to_process.backward(
            *gradients, ctx.inputs, ctx.trained, buffers, earlier=ctx.remote._earlier
        )
        return None, image, pooled, tokens, None, target, *of_weights


def _empty_layer(kind: str) -> nn.Module:
    """Make a layer that has no parameters yet and is never called. Its kind tells an optimiser what its weights are."""
    if kind not in LAYERS:
        return nn.Module()
    plain = {name: getattr(nn.Module, name) for name in ("__init__", "__setattr__", "_apply")}
    layer: nn.Module = type(kind, (LAYERS[kind],), plain)()
    return layer


def _random(device: torch.device) -> list[Tensor]:
    """The states of torch's generators of the CPU and the device."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states
