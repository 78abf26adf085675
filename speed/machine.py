"""The machine, the code and the versions that a benchmark ran with."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import psutil

from benchmark.records.environment import checkout, cpu_name


def describe_machine(*distributions: str) -> dict[str, Any]:
    """What a result's reader needs to judge it: processor, cores, memory, how busy it was before, versions, commit,
    date.

    Args:
        distributions: whose versions to note; None where one is not installed.
    """
    commit, dirty = checkout(Path(__file__).resolve())
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "uncommitted_changes": dirty,
        "cpu": cpu_name(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "busy_percent_before": psutil.cpu_percent(interval=1.0),
        "niceness": os.nice(0),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in distributions},
    }


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
