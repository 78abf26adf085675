"""A missing compiler is named in one line, also where it is found out deep inside of torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import models
from benchmark.errors import BenchmarkError
from benchmark.training.compiling import compiler_advice

WITHOUT_COMPILER = """
import torch
from benchmark.errors import BenchmarkError
from benchmark.training.compiling import compiler_advice
compiled = torch.compile(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()))
try:
    with compiler_advice():
        compiled(torch.ones(1, 2))
except BenchmarkError as error:
    print(error)
"""


@pytest.mark.slow
def test_torch_without_a_compiler_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER],
        env={"PATH": "", "CXX": str(tmp_path / "g++"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
             "PYTHONPATH": str(Path(models.__file__).parents[1]), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    (line,) = done.stdout.splitlines()
    assert line.startswith("torch.compile needs a compiler that works here (No working C++ compiler found")
    assert line.endswith("or train without compile")


@pytest.mark.parametrize("name", ["InvalidCxxCompiler", "CppCompileError", "TritonMissing"])
def test_a_compiler_that_fails_is_named_and_other_errors_pass(name: str) -> None:
    """Torch's own errors by their names; the slow test above raises one of them for real."""
    failed = RuntimeError("backend failed")
    failed.__cause__ = type(name, (RuntimeError,), {})("C++ compile error\nPython.h: no such file")
    with pytest.raises(BenchmarkError, match=r"\(C\+\+ compile error\); install one"), compiler_advice():
        raise failed
    with pytest.raises(RuntimeError, match="of the composer"), compiler_advice():
        raise RuntimeError("of the composer")
