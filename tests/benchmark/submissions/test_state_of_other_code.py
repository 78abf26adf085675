"""A submission's interrupted training is resumed by the shared code that began it, and otherwise starts over."""

from pathlib import Path

import pytest

from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.submissions import sandboxed_run
from benchmark.submissions.exchange import STATE
from benchmark.submissions.messages import Candidate
from benchmark.submissions.sandbox import SandboxTier
from benchmark.submissions.sandboxed_run import Box
from benchmark.tasks.css import Css
from benchmark.training.progress import SilentRuns


class Heard(SilentRuns):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


class ProcessError(Exception):
    pass


@pytest.mark.parametrize(("version", "is_kept"), [("before", True), ("after", False), (None, False)])
def test_a_state_of_other_code_is_removed_before_training(
    version: str | None, is_kept: bool, css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, seen = Heard(), []
    box = Box(
        candidate=Candidate(shown="mine.py", file="mine.py", name="mine"),
        tier=SandboxTier.PROCESS, runtime=Runtime(), reporter=heard, seconds=60, memory_mib=4096,
    )  # fmt: skip
    run = Run("css", "mine", tiny_config, 0, css.fingerprint, css.spatial)

    def dies(*_: object, **__: object) -> None:
        state = tmp_path / "scratch" / STATE
        seen.append(state.exists())
        state.write_bytes(b"state")
        raise ProcessError

    monkeypatch.setattr(sandboxed_run.sandbox, "run", dies)
    monkeypatch.setattr(sandboxed_run, "code_version", lambda _: "before")
    for again in range(2):
        if again:
            monkeypatch.setattr(sandboxed_run, "code_version", lambda _: version or "before")
            if version is None:
                (tmp_path / "code.txt").unlink()
        with pytest.raises(ProcessError):
            sandboxed_run.train(box, css.train, run, folder=tmp_path, title="mine")
    assert seen == [False, is_kept]
    assert any("starts over" in message for message in heard.messages) is not is_kept
