"""What waits for a GPU can be run: every line names a job that there is, and every job runs where there is none."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
QUEUE = (ROOT / "benchmarks" / "GPU_QUEUE.md").read_text()
SCRIPT = (ROOT / "benchmarks" / "gpu.sh").read_text()
JOBS = set(re.findall(r"^    ([a-z]+)\)", SCRIPT, flags=re.MULTILINE))


def test_every_line_of_the_queue_names_a_job_and_every_job_is_queued() -> None:
    assert set(re.findall(r"gpu\.sh ([a-z]+)", QUEUE)) == JOBS
    assert len(JOBS) >= 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "brought"),
    [
        (("smoke",), "leaderboards/records/css/tirg"),
        (("profile",), "profile-standard-cpu.json"),
        (("tune", "training.learning_rate=2e-3,training.optimiser=muon"), "runs/records/css/tirg"),
        (("board", "css-2d3d", "1"), "leaderboards/records/css-2d3d/film"),
        (("paper",), "leaderboards/records/css/tirg"),
    ],
)
def test_every_job_runs_without_a_gpu(tmp_path: Path, job: tuple[str, ...], brought: str) -> None:
    small = {
        "DEVICE": "cpu",
        "IMAGES": "800",
        "STEPS": "2",
        "OUT": str(tmp_path / "out"),
        "WORK": str(tmp_path / "work"),
    }
    done = subprocess.run(
        ["bash", "benchmarks/gpu.sh", *job],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable, **small},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names = [path.name for path in (tmp_path / "out").iterdir()]
    for path in (tmp_path / "out").glob("*.tar.gz"):
        assert path.stat().st_size < 16 * 2**20
        with tarfile.open(path) as archive:
            names += archive.getnames()
    assert any(name.startswith(brought) for name in names), names
