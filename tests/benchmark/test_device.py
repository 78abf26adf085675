"""What the process does for speed alone."""

import resource
import sys

import numpy as np
import pytest

from benchmark.device import keep_freed_memory


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's alone")
def test_freed_memory_is_not_given_back_and_asked_for_again() -> None:
    """Eight million numbers are 15,625 pages."""
    keep_freed_memory()
    np.ones(8_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(8_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 8_000
