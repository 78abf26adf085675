"""Interrupted at any moment, by Ctrl-C or kill -9, the same command goes on and makes the same bytes."""

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from css_gen.render import render
from css_gen.storage.configuration import Configuration
from css_gen.storage.folder import begin

CONFIGURATION = Configuration(images=240, size=48)
ENDED_SECONDS = 60


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("uninterrupted") / "css"
    render(root, CONFIGURATION, jobs=1)
    return root


@pytest.fixture
def start(start_css_gen) -> Callable[..., "subprocess.Popen[str]"]:
    def start(out: Path, jobs: int) -> "subprocess.Popen[str]":
        process: subprocess.Popen[str] = start_css_gen(
            "render", "--n", CONFIGURATION.images, "--size", CONFIGURATION.size, "--jobs", jobs, "--out", out
        )
        return process

    return start


def wait_for_files(process: "subprocess.Popen[str]", out: Path, count: int) -> bool:
    """Wait until a folder has so many finished data files; false if the process ends before."""
    while process.poll() is None:
        if len(list(out.glob("*/*.parquet"))) >= count:
            return True
        select.select([], [], [], 0.002)
    return False


def children(process_id: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


def finish(out: Path) -> None:
    render(out, CONFIGURATION, jobs=1)


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_killed_again_and_again(start, uninterrupted, tmp_path, contents):
    out = tmp_path / "css"
    for count in (1, 4, 7):
        process = start(out, jobs=1)
        assert wait_for_files(process, out, count)
        kill(process)
        assert not (out / "manifest.json").exists()
    finish(out)
    assert contents(out) == contents(uninterrupted)


def test_killed_between_the_manifest_and_the_end(tiny_dataset, tiny_copy, tiny_configuration, contents):
    begin(tiny_copy, tiny_configuration, {})
    times = {path: path.stat().st_mtime_ns for path in tiny_copy.rglob("*.parquet")}
    render(tiny_copy, tiny_configuration, jobs=1)
    assert contents(tiny_copy) == contents(tiny_dataset)
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_workers_end_with_the_process_that_started_them(start, uninterrupted, tmp_path, contents):
    out = tmp_path / "css"
    process = start(out, jobs=2)
    assert wait_for_files(process, out, 1)
    watched = [os.pidfd_open(child) for child in children(process.pid)]
    assert len(watched) >= 2
    kill(process)
    for descriptor in watched:
        ended, _, _ = select.select([descriptor], [], [], ENDED_SECONDS)
        assert ended, "a worker outlived its parent"
        os.close(descriptor)
    finish(out)
    assert contents(out) == contents(uninterrupted)


@pytest.mark.parametrize("jobs", [1, 2])
def test_control_c_ends_in_one_line(start, uninterrupted, tmp_path, contents, jobs):
    out = tmp_path / "css"
    process = start(out, jobs=jobs)
    assert wait_for_files(process, out, 2)
    # As a terminal does it: to the whole group, workers included.
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "css-gen: error: interrupted; run the same command again to resume"
    assert "Traceback" not in stderr
    assert not list(out.rglob("*.partial"))
    finish(out)
    assert contents(out) == contents(uninterrupted)


def test_a_worker_that_is_killed(start, uninterrupted, tmp_path, contents):
    out = tmp_path / "css"
    process = start(out, jobs=2)
    assert wait_for_files(process, out, 1)
    workers = [child for child in children(process.pid) if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    os.kill(workers[0], signal.SIGKILL)
    _, stderr = process.communicate()
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith("css-gen: error: a worker process was killed")
    assert "Traceback" not in stderr
    finish(out)
    assert contents(out) == contents(uninterrupted)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(start_css_gen, tmp_path):
    peaks = []
    for images in (600, 6_000):
        process = start_css_gen("render", "--n", images, "--size", 32, "--jobs", 1, "--out", tmp_path / str(images))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.communicate()
        assert process.returncode == 0
        peaks.append(usage.ru_maxrss)
    assert peaks[1] < peaks[0] + 50_000


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_at_ten_random_moments(start, uninterrupted, tmp_path, contents, jobs):
    rng = np.random.default_rng(jobs)
    started = time.monotonic()
    start(tmp_path / "whole", jobs=jobs).communicate()
    whole_seconds = time.monotonic() - started
    kills, out = 0, tmp_path / "killed"
    while kills < 10:
        process = start(out, jobs=jobs)
        try:
            _, stderr = process.communicate(timeout=float(rng.uniform(0, whole_seconds)))
            assert process.returncode == 0, stderr
            assert contents(out) == contents(uninterrupted)
            out = tmp_path / f"killed after {kills}"
            shutil.rmtree(out, ignore_errors=True)
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
    finish(out)
    assert contents(out) == contents(uninterrupted)
