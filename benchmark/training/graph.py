"""Repeat a training step on a GPU as one CUDA graph: one launch a step instead of thousands."""

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Steps before the capture: cuDNN chooses its algorithms, and the optimiser makes its state, in the first ones."""


class RepeatedStep:
    """A step that is captured after its first `WARM_UP` calls, and replayed from then on.

    The calls before the capture are real steps, on a stream of their own as a capture needs it. A step that cannot be
    captured is called directly from then on; a capture executes nothing, so the weights are unchanged.

    Args:
        step: reads and writes tensors that keep their place in memory, draws from the device's default generator alone,
            and returns a scalar. It never waits for the device, and none of its Python numbers changes between calls.
        note: called with one line if the step cannot be captured.
    """

    def __init__(self, step: Callable[[], Tensor], device: torch.device, note: Callable[[str], None]) -> None:
        self._step, self._device, self._note = step, device, note
        self._calls, self._is_eager = 0, False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._loss: Tensor | None = None

    def __call__(self) -> Tensor:
        """Take one step. Seed the device's generator before: a replay starts from its current seed."""
        self._calls += 1
        if not self._is_eager and self._graph is None:
            if self._calls <= WARM_UP:
                return self._on_another_stream()
            self._capture()
        if self._graph is None or self._loss is None:
            return self._step()
        self._graph.replay()
        return self._loss.clone()  # the next replay writes into the same place

    def _on_another_stream(self) -> Tensor:
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        current = torch.cuda.current_stream(self._device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            loss = self._step()
        current.wait_stream(stream)
        return loss

    def _capture(self) -> None:
        index = torch.cuda.current_device() if self._device.index is None else self._device.index
        generator, graph = torch.cuda.default_generators[index], torch.cuda.CUDAGraph()
        before, current = generator.clone_state(), torch.cuda.current_stream(self._device)
        try:
            with torch.cuda.graph(graph):
                self._loss = self._step()
        except Exception as error:  # a composer may raise anything
            torch.cuda.set_stream(current)  # an invalid capture does not leave its own stream
            # A capture that failed leaves its generator in the state of capturing, which refuses a new seed.
            generator.graphsafe_set_state(before)
            self._is_eager, self._loss = True, None
            cause = error.__context__ or error
            why = str(cause).strip().partition("\n")[0] or type(cause).__name__
            self._note(f"its steps are launched one kernel at a time, because they cannot be captured ({why})")
        else:
            self._graph = graph
