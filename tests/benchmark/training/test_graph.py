"""When a step is captured, replayed, and given up; the parts of torch.cuda are stand-ins, as there may be no GPU."""

from contextlib import nullcontext
from typing import Any, Self

import pytest
import torch
from torch import Tensor

from benchmark.training.graph import WARM_UP, RepeatedStep


class FakeGraph:
    """Replays the step that was called while it was captured."""

    capturing: "FakeGraph | None" = None

    def __enter__(self) -> Self:
        FakeGraph.capturing = self
        return self

    def __exit__(self, *_: object) -> None:
        FakeGraph.capturing = None

    def replay(self) -> None:
        self.body()

    def body(self) -> None:
        raise AssertionError("nothing was captured")


class FakeGenerator:
    def __init__(self) -> None:
        self.restored: object = None

    def clone_state(self) -> str:
        return "as before the capture"

    def graphsafe_set_state(self, state: object) -> None:
        self.restored = state


class Counter:
    """A step that counts in one place; what is captured is not executed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.count, self.calls, self.error = torch.zeros(()), 0, error

    def __call__(self) -> Tensor:
        self.calls += 1
        if FakeGraph.capturing is None:
            return self.count.add_(1).clone()
        if self.error:
            raise self.error
        FakeGraph.capturing.body = lambda: self.count.add_(1)  # type: ignore[method-assign]
        return self.count


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> FakeGenerator:
    found = FakeGenerator()

    class Stream:
        def __init__(self, *_: Any) -> None: ...

        def wait_stream(self, other: object) -> None: ...

    monkeypatch.setattr(torch.cuda, "default_generators", (found,))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: graph)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda _: None)
    return found


def test_the_first_steps_are_real_and_the_others_replays_whose_losses_are_kept_apart(generator: FakeGenerator) -> None:
    step, notes = Counter(), list[str]()
    repeated = RepeatedStep(step, torch.device("cuda", 0), notes.append)
    losses = [repeated() for _ in range(WARM_UP + 4)]
    assert [float(loss) for loss in losses] == [*range(1, WARM_UP + 5)]
    assert step.calls == WARM_UP + 1
    assert not notes
    assert generator.restored is None


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore"),
            "CUDA error: operation not",
        ),
        (KeyError(), "KeyError"),
    ],
)
def test_a_step_that_cannot_be_captured_is_taken_as_it_is_and_one_line_says_why(
    error: Exception, why: str, generator: FakeGenerator
) -> None:
    step, notes = Counter(error), list[str]()
    repeated = RepeatedStep(step, torch.device("cuda", 0), notes.append)
    losses = [repeated() for _ in range(WARM_UP + 4)]
    assert [float(loss) for loss in losses] == [*range(1, WARM_UP + 5)]
    (note,) = notes
    assert "cannot be captured" in note
    assert why in note
    assert "\n" not in note
    assert generator.restored == "as before the capture"
