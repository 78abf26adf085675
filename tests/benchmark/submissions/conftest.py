"""Submitted code is run as it is run for people: in a process of its own."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.recipe.runtime import Runtime
from benchmark.runs.single_run import Bench
from benchmark.submissions import candidates, sandboxed_run, trial
from benchmark.submissions import submit as submission
from benchmark.submissions.process import Limits, SubmissionError
from benchmark.submissions.sandbox import SandboxTier, best_tier

Submit = Callable[..., list[Path]]
Verdict = Callable[..., str]
QUICK = Limits(seconds=60, silent_seconds=30, memory_mib=4_096)


@pytest.fixture(scope="session", autouse=True)
def _timed_once() -> Iterator[None]:
    """The cost of a composer is measured in the tests, too, but once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "_TIMES", 1)
        yield


def tiers() -> list[object]:
    """Both, the second skipped where bubblewrap does not work."""
    missing = pytest.mark.skipif(best_tier() is not SandboxTier.BUBBLEWRAP, reason="bubblewrap does not work here")
    return [SandboxTier.PROCESS, pytest.param(SandboxTier.BUBBLEWRAP, marks=missing)]


@pytest.fixture
def verdict_of_a_new_process(tmp_path: Path) -> Verdict:
    """What `check` says against a source; empty if nothing."""

    def check(text: str, *, tier: SandboxTier = SandboxTier.PROCESS, limits: Limits = QUICK) -> str:
        file = tmp_path / "mine.py"
        file.write_text(text)
        problems: list[str] = []
        try:
            sandboxed_run.check(
                candidates.find(str(file)), tier=tier, limits=limits, hear=lambda found: problems.append(found.problem)
            )
        except SubmissionError as error:
            return str(error)
        return "; ".join(filter(None, problems))

    return check


@pytest.fixture
def verdict(verdict_of_a_new_process: Verdict, forked_submissions: None) -> Verdict:  # noqa: ARG001
    """The same of a forked process, in a fraction of the time."""
    return verdict_of_a_new_process


@pytest.fixture
def small(bench: Bench) -> Bench:
    """As the leaderboards': without validation."""
    return replace(bench, runtime=Runtime(batch_size=16, validate_every=0))


@pytest.fixture
def submit(small: Bench, tmp_path: Path) -> Submit:
    """Submit a source, and give the paths of its records."""

    def run(text: str, *, seeds: tuple[int, ...] = (0,), author: str = "A. Author", **changes: object) -> list[Path]:
        file = tmp_path / "mine.py"
        file.write_text(text)
        values: dict[str, object] = {
            "candidate": candidates.find(str(file)),
            "author": author,
            "url": "https://example.org/mine",
            "dataset_names": ("css",),
            "seeds": seeds,
            "bench": small,
            "tier": SandboxTier.PROCESS,
            "seconds": 60.0,
            "memory_mib": 4_096,
        }
        request = submission.Request(**(values | changes))  # type: ignore[arg-type]
        return submission.submit(request, submission.check_first(request, lambda found: None))  # noqa: ARG005

    return run
