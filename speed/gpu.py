"""Run a job of GPU_QUEUE.md within a limit of time, and leave its results in one archive.

    bash speed/gpu.sh carry                             # before, where there is a network
    bash speed/gpu.sh board --minutes 9 --out FOLDER    # on the machine with the GPU

A job renders the dataset that it needs and works in this checkout, so runs whose records are here are skipped. The
archive holds what is new since the job began. It is replaced, by a rename, after every new result: unpack it in the
repository's root. When the time is over, the command that runs is stopped as by Ctrl-C; `board` ends by itself before.
A command that fails does not stop the next one; the exit code is then 1.
"""

import argparse
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Final

from gpu_jobs import JOBS, MINUTES_LEFT

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ("leaderboards/records", "runs/records", "speed/results")
LARGEST_ARCHIVE: Final = 16 * 2**20
WHEELS: Final = ROOT / ".whl"
LACKING: Final = ("pydantic", "isal", "click>=8.4")
"""What the machine's own Python 3.12 does not have; its wheels are carried."""

IMPORTED: Final = (
    "accelerate, click, filelock, isal, jinja2, matplotlib, numba, numpy, pandas, PIL, psutil, pyarrow, pydantic, "
    "rich, safetensors, scipy, tensorboard, torch, torchvision, benchmark.cli.main, css_gen.cli"
)


GRACE: Final = 30
"""Seconds more for a command that knows when to end, to write its tables."""


class Allocation:
    """The time, the log and the archive of a job.

    Args:
        name: of the job; archive and log are named after it.
        out: the folder of the archive.
        minutes: how long it may take, from now on.
    """

    def __init__(self, name: str, out: Path, minutes: float) -> None:
        self.failures = 0
        self._end = time.monotonic() + 60 * minutes
        self._archive, self._log = out / f"{name}.tar.gz", ROOT / "runs" / "gpu" / f"{name}.log"
        self._before = self._archived = _results()
        for folder in (out, self._log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self._log.write_text("")

    def run(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Run a command of this Python until it ends or the time is over; archive what is new at each of its lines."""
        left = max(0.0, self._end - time.monotonic())
        grace = GRACE if MINUTES_LEFT in command else 0
        command = [f"{left / 60:.2f}" if part == MINUTES_LEFT else part for part in command]
        self.say(f"gpu: {left:.0f} s left: {' '.join(command)}\n")
        if status := self._run(left + grace, [sys.executable, *command], env) if left else signal.SIGINT:
            self.failures += 1
            self.say(f"gpu: exit code {int(status)} of: {' '.join(command)}\n")
        self.archive()

    def _run(self, left: float, command: Sequence[str], env: Mapping[str, str]) -> int:
        with subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, errors="replace", start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            endings = ((left, signal.SIGINT), (left + 20, signal.SIGKILL))
            timers = [Timer(seconds, _signal, (process.pid, number)) for seconds, number in endings]
            for timer in timers:
                timer.start()
            try:
                for line in process.stdout or ():
                    self.say(line)
                    self.archive()
                return process.wait()
            finally:
                for timer in timers:
                    timer.cancel()
                _signal(process.pid, signal.SIGKILL)

    def archive(self, *, is_last: bool = False) -> None:
        """Replace the archive if there are new results; the last time in any case, for the log."""
        now = _results()
        if now == self._archived and not is_last:
            return
        new = sorted(path for path, stamp in now.items() if self._before.get(path) != stamp)
        temporary = self._archive.with_name(f".{self._archive.name}")
        with tarfile.open(temporary, "w:gz") as archive:
            for path in (*new, self._log):
                archive.add(path, path.relative_to(ROOT).as_posix())
        temporary.replace(self._archive)
        self._archived = now

    def close(self) -> None:
        self.archive(is_last=True)
        size = self._archive.stat().st_size
        self.say(f"gpu: {self.failures} failures, {size >> 10} KiB in {self._archive}\n")
        if size > LARGEST_ARCHIVE:
            self.say(f"gpu: the archive is larger than {LARGEST_ARCHIVE >> 20} MiB\n")

    def say(self, line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()
        with self._log.open("a") as log:
            log.write(line)


def _results() -> dict[Path, tuple[int, int]]:
    """The results that are there, with size and time; no file that is being written."""
    files = (path for folder in RESULTS for path in (ROOT / folder).rglob("[!.]*") if path.is_file())
    return {path: ((stat := path.stat()).st_size, stat.st_mtime_ns) for path in files}


def _signal(group: int, number: int) -> None:
    """Signal a command and the processes that it started."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def carry(python: str) -> None:
    """Download the wheels that the machine lacks into .whl, which git ignores, and note the commit for the records."""
    platforms = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
    given = ("--only-binary=:all:", "--python-version", python, "--implementation", "cp", "--dest", str(WHEELS))
    named = [part for name in platforms for part in ("--platform", name)]
    subprocess.run([sys.executable, "-m", "pip", "download", *given, *named, *LACKING], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ":/*.py"], cwd=ROOT, check=False).returncode
    (WHEELS / "commit").write_text(commit.strip() + "+" * bool(changed) + "\n")


def environment(work: Path) -> dict[str, str]:
    """The environment of the commands, with the carried wheels and commit, if there are any.

    Raises:
        SystemExit: a package is missing.
    """
    site, wheels = work / "site", sorted(map(str, WHEELS.glob("*.whl")))
    if wheels:
        given = ("--quiet", "--no-index", "--no-deps", "--no-compile", "--upgrade", "--target", str(site))
        subprocess.run([sys.executable, "-m", "pip", "install", *given, *wheels], check=True)
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    if (WHEELS / "commit").exists():
        env["CSS_BENCH_COMMIT"] = (WHEELS / "commit").read_text().strip()
        env["GIT_DIR"] = os.devnull  # a copy's own history may end before the commit
    if subprocess.run([sys.executable, "-c", f"import {IMPORTED}"], cwd=ROOT, env=env, check=False).returncode:
        raise SystemExit(
            f"gpu: {sys.executable} lacks a package: run `bash speed/gpu.sh carry` where there is a network, and carry "
            "the folder .whl"
        )
    return env


def main() -> int:
    parser = argparse.ArgumentParser(prog="bash speed/gpu.sh", description="Jobs for a machine with a GPU.")
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    carrying = jobs.add_parser("carry", help=carry.__doc__, description=carry.__doc__)
    carrying.add_argument("--python", default="3.12", help="version on that machine (default 3.12)")
    for name, job in JOBS.items():
        add = jobs.add_parser(name, help=job.__doc__, description=job.__doc__).add_argument
        add("--minutes", type=float, default=9.0, help="limit of time (default 9)")
        add("--out", type=Path, default=os.environ.get("OUT"), help="folder of the archive (default $OUT)")
        add("--work", type=Path, default=Path("/tmp/css-bench"), help="folder of the datasets (default /tmp/css-bench)")
        add("--device", default="cuda", help="default cuda")
        add("--images", type=int, default=38_024, help="of the dataset (default 38024)")
        add("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
        if name == "profile":
            add("--steps", type=int, default=20, help="to measure (default 20)")
        if name == "tune":
            add("--attempt", dest="attempts", action="append", required=True, metavar="KEY=VALUE,...")
        if name == "speed":
            add("--seconds-each", type=int, default=45, help="of timing for each contestant (default 45)")
            add("--scored", type=int, help="queries and images of the timed scoring")
    options = parser.parse_args()
    if options.job == "carry":
        carry(options.python)
        return 0
    if options.out is None:
        parser.error("name a folder for the archive: --out FOLDER, or OUT in the environment")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts in the background ignore it
    allocation = Allocation(options.job, options.out, options.minutes)
    try:
        env = environment(options.work)
        for command in JOBS[options.job](options):
            allocation.run(command, env)
    finally:
        allocation.close()
    return int(allocation.failures > 0)


if __name__ == "__main__":
    sys.exit(main())
