"""What waits for a GPU can be run unattended: every line is a job that there is, none loses what it has done, and every
job runs where there is no GPU."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUEUE = (ROOT / "speed" / "GPU_QUEUE.md").read_text()
SCRIPT = (ROOT / "speed" / "gpu.sh").read_text()
JOBS = set(re.findall(r"\w+", re.findall(r"^    (.*)\) ;;$", SCRIPT, flags=re.MULTILINE)[0]))
FIRST = SCRIPT.partition("\nfirst() {")[2].partition("\n}")[0]


def run(job: str, *, root: Path = ROOT, limit: str = "0", env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "speed/gpu.sh", *job.split()],
        cwd=root,
        env={**os.environ, "LIMIT": limit, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def copied_script(root: Path, queue: str = QUEUE) -> Path:
    """A folder with the script and a queue, as the repository has them."""
    (root / "speed").mkdir(parents=True)
    (root / "speed" / "GPU_QUEUE.md").write_text(queue)
    shutil.copy(ROOT / "speed" / "gpu.sh", root / "speed")
    return root


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return str(path)


def brought(out: Path) -> set[str]:
    """The files in the archives, which have to be small enough to come back."""
    names = set()
    for path in out.glob("[!.]*.tar.gz"):
        assert path.stat().st_size < 16 * 2**20
        with tarfile.open(path) as archive:
            names |= {member.name for member in archive.getmembers() if member.isfile()}
    return names


def test_every_line_of_the_queue_names_a_job_and_every_job_is_in_the_queue() -> None:
    queued = set(re.findall(r"gpu\.sh (\w+)", QUEUE)) - {"carry", "queue"}
    assert len(JOBS) >= 7
    assert queued | {job for job in JOBS if re.search(rf"^    {job}\b", FIRST, flags=re.MULTILINE)} == JOBS


def test_an_unknown_job_is_refused_with_the_place_of_the_list(tmp_path: Path) -> None:
    done = run("bored", env={"OUT": str(tmp_path)})
    assert done.returncode == 2
    assert done.stdout == "gpu.sh: there is no job bored; speed/GPU_QUEUE.md lists them\n"


def test_the_queue_runs_every_line_that_is_not_struck_also_after_one_that_fails(tmp_path: Path) -> None:
    lines = ["| 1 | ~~`bash speed/gpu.sh first`~~ | x |", "| 2 | `bash speed/gpu.sh board css 0` | x |"]
    lines += ["| 10 | `STEPS=4 bash speed/gpu.sh paper` | x |", "Or `bash speed/gpu.sh tune a=1`."]
    root = copied_script(tmp_path / "here", "\n".join(lines))
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "bash", f'echo "limit $LIMIT: $2" >> {tmp_path}/ran; [[ $2 != *board* ]]')
    done = subprocess.run(
        ["/bin/bash", "speed/gpu.sh", "queue"],
        cwd=root,
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "OUT": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 1
    assert (tmp_path / "ran").read_text().splitlines() == [
        "limit 0: bash speed/gpu.sh board css 0",
        "limit 0: STEPS=4 bash speed/gpu.sh paper",
    ]


def test_a_job_that_runs_out_of_time_brings_back_what_is_done(tmp_path: Path) -> None:
    record = "leaderboards/records/css/tirg/standard-s0.json"
    path = tmp_path / "work" / "landing" / record
    hangs = f"[[ $* == *'.cli run'* ]] || exit 0; mkdir -p {path.parent}; echo done > {path}; exec sleep 600"
    python = program(tmp_path / "python", hangs)
    done = run(
        "board css 0",
        root=copied_script(tmp_path / "here"),
        limit="2",
        env={"PYTHON": python, "WORK": f"{tmp_path}/work", "OUT": f"{tmp_path}/out"},
    )
    assert done.returncode == 1, done.stdout
    assert "exit code 124 of:" in done.stdout
    assert brought(tmp_path / "out") == {record, "runs/gpu/board-css-s0.log"}


def test_a_job_that_is_killed_outright_has_brought_back_what_was_done(tmp_path: Path) -> None:
    record = "leaderboards/records/css/tirg/standard-s0.json"
    path, out = tmp_path / "work" / "landing" / record, tmp_path / "out"
    waits = f"[[ $* == *'.cli run'* ]] || exit 0; mkdir -p {path.parent}; echo done > {path}; "
    waits += f"until tar -tzf {out}/board-css-s0.tar.gz | grep -q {record}; do sleep 0.1; done; kill -KILL $PPID"
    python = program(tmp_path / "python", waits)
    env = {"PYTHON": python, "WORK": f"{tmp_path}/work", "OUT": f"{out}", "ARCHIVE_EVERY": "0.1"}
    assert run("board css 0", root=copied_script(tmp_path / "here"), env=env).returncode == -9
    assert record in brought(out)


def test_a_machine_that_lacks_a_package_is_told_so_before_anything_runs(tmp_path: Path) -> None:
    python = program(tmp_path / "python", f'echo "$*" >> {tmp_path}/ran; exit 1')
    env = {"PYTHON": python, "WORK": f"{tmp_path}/work", "OUT": f"{tmp_path}/out"}
    done = run("first", root=copied_script(tmp_path / "here"), env=env)
    assert done.returncode == 1
    assert "lacks a package: `bash speed/gpu.sh carry`" in done.stdout
    (ran,) = (tmp_path / "ran").read_text().splitlines()
    assert ran.startswith("-c import ")
    named = set(re.findall(r"\w+", ran))
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    imported = {"pillow": "PIL"}
    for name in (re.match(r"\w+", requirement)[0] for requirement in wanted):
        assert imported.get(name, name) in named or name == "matplotlib", name


def test_a_step_that_fails_stops_neither_the_next_nor_the_archive(tmp_path: Path) -> None:
    python = program(tmp_path / "python", f'echo "$*" >> {tmp_path}/ran; [[ $* != *profile_step* ]]')
    done = run(
        "first",
        root=copied_script(tmp_path / "here"),
        env={"PYTHON": python, "WORK": f"{tmp_path}/work", "OUT": f"{tmp_path}/out"},
    )
    assert done.returncode == 1
    ran = (tmp_path / "ran").read_text()
    assert [ran.count(each) for each in ("benchmark.cli run", "profile_step.py")] == [6, 5]
    assert "5 failures" in done.stdout
    assert brought(tmp_path / "out") == {"runs/gpu/first.log"}


SMALL = {"DEVICE": "cpu", "IMAGES": "800", "STEPS": "2", "PYTHON": sys.executable}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "wanted"),
    [
        ("smoke", "runs/records/css/relationship/"),
        ("profile", "speed/results/profile-standard-cpu.json"),
        ("tune training.learning_rate=2e-3,training.optimiser=muon training.shift=2", "runs/records/css/tirg/"),
        ("paper", "leaderboards/records/css/tirg/"),
    ],
)
def test_every_job_runs_without_a_gpu(tmp_path: Path, job: str, wanted: str) -> None:
    done = run(job, env={**SMALL, "OUT": f"{tmp_path}/out", "WORK": f"{tmp_path}/work"})
    assert done.returncode == 0, done.stdout[-2000:]
    assert any(name.startswith(wanted) for name in brought(tmp_path / "out"))


@pytest.mark.slow
def test_speed_runs_without_a_gpu(tmp_path: Path) -> None:
    small = {**SMALL, "IMAGES": "1200", "SECONDS_EACH": "3", "COUNT": "200"}
    done = run("speed", env={**small, "OUT": f"{tmp_path}/out", "WORK": f"{tmp_path}/work"})
    assert done.returncode == 0, done.stdout[-2000:]
    assert "ours_standard: " in done.stdout
    assert "speed/results/train-cpu.json" in brought(tmp_path / "out")


@pytest.mark.slow
def test_a_board_goes_on_from_what_has_landed(tmp_path: Path) -> None:
    root = copied_script(tmp_path / "here")
    for package in ("css_gen", "models", "benchmark"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    done = run("board css-2d3d 1", root=root, env={**SMALL, "OUT": f"{tmp_path}/out", "WORK": f"{tmp_path}/work"})
    assert done.returncode == 0, done.stdout[-2000:]
    records = {name for name in brought(tmp_path / "out") if name.endswith(".json")}
    assert {Path(name).parent.name for name in records} >= {"tirg", "film", "image_only"}
    with tarfile.open(tmp_path / "out" / "board-css-2d3d-s1.tar.gz") as archive:
        archive.extractall(root, filter="data")
    shutil.rmtree(tmp_path / "work" / "landing")
    next(root.glob("leaderboards/records/css-2d3d/film/*.json")).unlink()
    again = run("board css-2d3d 1", root=root, env={**SMALL, "OUT": f"{tmp_path}/more", "WORK": f"{tmp_path}/work"})
    assert again.returncode == 0, again.stdout[-2000:]
    assert again.stdout.count("has a record") == len(records) - 1
    assert {name for name in brought(tmp_path / "more") if name.endswith(".json")} == records
