"""A Ray cluster on this machine, as Ray's own tests have it. Tests import the fixture."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SLOTS = 1
"""CPUs of the first machine."""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of one machine, whose workers can import our tests."""
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": SLOTS, "include_dashboard": False})
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
