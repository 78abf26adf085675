"""A service of two models on a small dataset."""

from pathlib import Path

import pytest

from benchmark.serve.service import Service
from benchmark.training.progress import SilentRuns
from tests.benchmark.search.conftest import bench, model_file, runs

__all__ = ["bench", "model_file", "runs", "serve_models", "service"]


@pytest.fixture(scope="session")
def service(model_file: Path, css_root: Path) -> Service:
    return serve_models({"tirg": model_file, "again": model_file}, "css", css_root)


def serve_models(paths: dict[str, Path], task: str, root: Path) -> Service:
    return Service(paths, task, root, device="cpu", reporter=SilentRuns())
