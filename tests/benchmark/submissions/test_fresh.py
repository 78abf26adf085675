"""A submission is scored on a fresh test set that did not exist while it could have learned it."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.recipe.runtime import Runtime
from benchmark.records.store import read_stored
from benchmark.runs import fresh
from benchmark.runs.single_run import Bench
from benchmark.submissions import candidates, submitted_run
from benchmark.submissions import submit as submission
from benchmark.submissions.sandbox import SandboxTier
from tests.benchmark.submissions.sources import source


@pytest.mark.usefixtures("forked_submissions")
def test_it_is_drawn_after_training_and_gone_before_its_questions(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    steps: list[str] = []

    def noted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def noting(*given: object, **named: object) -> object:
            images = [*temporary.glob("tirg-bench-fresh-*")]
            steps.append(f"{name} with {len(images)} renderings")
            return call(*given, **named)

        return noting

    for module, name in ((submitted_run, "train"), (submitted_run, "answer"), (fresh, "render_fresh_test")):
        monkeypatch.setattr(module, name, noted(name, getattr(module, name)))
    file = tmp_path / "mine.py"
    file.write_text(source())
    request = submission.Request(
        candidate=candidates.find(str(file)), author="A", url="https://example.org", dataset_names=("css",),
        seeds=(0, 1), bench=replace(bench, runtime=Runtime(batch_size=16, validate_every=0)),
        tier=SandboxTier.PROCESS, seconds=60, memory_mib=4_096, replaces=False,
    )  # fmt: skip
    paths = submission.submit(request, submission.check_first(request, lambda found: None))  # noqa: ARG005
    # The new folder of the rendering itself is there when it begins.
    one_run = ["train with 0", "answer with 0", "render_fresh_test with 1", "answer with 0"]
    assert steps == [f"{step} renderings" for step in one_run * 2]
    first, second = (read_stored(path).record.fresh for path in paths)
    assert first is not None
    assert second is not None
    assert first.seed != second.seed, "the first run's record holds its seed, which the second could read"
