"""Where the profile puts the time of a step, on events such as torch's profiler gives."""

import importlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import DeviceType


@pytest.fixture(scope="module")
def profile_step() -> Any:
    sys.path.insert(0, str(Path(__file__).parents[2] / "speed"))
    try:
        return importlib.import_module("profile_step")
    finally:
        sys.path.pop(0)


@dataclass
class FakeEvent:
    key: str
    self_cpu_time_total: float = 0.0
    self_device_time_total: float = 0.0
    device_type: DeviceType = DeviceType.CPU
    is_user_annotation: bool = False
    cpu_parent: "FakeEvent | None" = None
    time_range: Any = field(default_factory=lambda: SimpleNamespace(start=0.0, end=0.0))


def kernel(start: float, end: float, *, annotation: bool = False) -> FakeEvent:
    span = SimpleNamespace(start=start, end=end)
    return FakeEvent("kernel", 0.0, end - start, DeviceType.CUDA, annotation, time_range=span)


def test_on_a_gpu_a_kernel_counts_once_with_the_operation_that_started_it(profile_step: Any) -> None:
    events = [
        FakeEvent("aten::cudnn_convolution", 5, 40),
        FakeEvent("aten::convolution_backward", 5, 60),
        FakeEvent("triton_poi_fused_add_0", 1, 7),
        FakeEvent("cudaLaunchKernel", 3, 0),
        kernel(0, 107),
    ]
    found = profile_step.microseconds_by_kind(events, on_gpu=True)
    assert found == {"convolution, forward": 40, "convolution, backward": 60, "all else": 7}


def test_on_a_cpu_only_operations_of_torch_count(profile_step: Any) -> None:
    events = [
        FakeEvent("aten::mkldnn_convolution", 5),
        FakeEvent("autograd::engine::evaluate_function", 9),
        FakeEvent("aten::add", 2),
    ]
    found = profile_step.microseconds_by_kind(events, on_gpu=False)
    assert found == {"convolution, forward": 5, "all else": 2}


def test_what_the_optimiser_calls_is_the_optimisers(profile_step: Any) -> None:
    step = FakeEvent("Optimizer.step#Muon.step")
    product = FakeEvent("aten::matmul", 1, cpu_parent=step)
    events = [step, product, FakeEvent("aten::mm", 10, cpu_parent=product), FakeEvent("aten::mm", 3)]
    found = profile_step.microseconds_by_kind(events, on_gpu=False)
    assert found == {"optimiser": 11, "matrix products": 3}


def test_ranges_that_somebody_named_are_no_kernels(profile_step: Any) -> None:
    assert profile_step.busy_microseconds([kernel(2, 5), kernel(0, 100, annotation=True)]) == 3


@given(spans=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=12))
def test_busy_time_is_the_microseconds_in_which_a_kernel_runs(profile_step: Any, spans: list[tuple[int, int]]) -> None:
    events = [kernel(start, start + length) for start, length in spans]
    covered = {moment for start, length in spans for moment in range(start, start + length)}
    assert profile_step.busy_microseconds(events) == len(covered)
