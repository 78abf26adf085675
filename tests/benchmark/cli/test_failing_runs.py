"""`tirg-bench run` with composers that fail and datasets that are damaged."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

import models
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.runs import grid as runner
from benchmark.training.checkpoint import Checkpoint
from models.registry import get
from tests.benchmark.cli.invoking import TirgBench
from tests.benchmark.tiny import TINY


def test_a_failure_is_on_the_final_table_and_the_code_is_1(
    tirg_bench: TirgBench, css_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runner.make_record

    def failing(run: Run, *others: object) -> object:
        if run.composer == "film":
            raise BenchmarkError("the loss of step 2 is not finite")
        return real(run, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "make_record", failing)
    arguments = ["run", "--composer=film", "--composer=concat", "--dataset=css", f"--data=css={css_root}", *TINY]
    result = tirg_bench(*arguments)
    assert result.exit_code == 1
    assert "Concat" in result.stdout
    assert "film on css, seed 0" in result.stdout
    assert "film on css, seed 0: the loss of step 2 is not finite" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in tirg_bench(*arguments, "--debug").stderr


class Breaking(models.Composer):
    """Raises what it was told to, or multiplies by what it was told to, in its third step."""

    what: ClassVar[Exception | float]

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.steps = 0

    def forward(self, image: Tensor, text: models.TextFeatures) -> Tensor:
        self.steps += 1
        if self.steps < 3:
            return image + text.pooled.sum()
        if isinstance(self.what, Exception):
            raise self.what
        return image * self.what


FAULTS: dict[str, tuple[Exception | float, str]] = {
    "diverging": (
        math.nan,
        "the loss of step 3 is not finite: training of diverging on css, seed 0 stopped; ",
    ),
    "greedy": (
        torch.OutOfMemoryError("CUDA out of memory"),
        "out of memory at step 3 of greedy on css, seed 0: lower training",
    ),
    "faulty": (IndexError("no such cell"), "IndexError: no such cell"),
}


def test_run_all_with_faulty_composers_finishes_the_others(
    tirg_bench: TirgBench, css_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = models.names()
    monkeypatch.setattr("models.registry._composers", {name: get(name) for name in sound})
    for name, (what, _) in FAULTS.items():
        info = models.ComposerInfo(name=name, title=name, paper="Nobody", year=2026, url="https://example.org")
        models.register(type(name, (Breaking,), {"info": info, "what": what}))
    arguments = ["run", "--all", "--dataset=css", f"--data=css={css_root}", *TINY, "--set=training.steps=4"]
    result = tirg_bench(*arguments, "--checkpoint-seconds=0")
    assert result.exit_code == 1
    assert {path.parent.name for path in Path("leaderboards/records").rglob("*.json")} == set(sound)
    table = " ".join(result.stdout.split())
    for name, (_, failure) in FAULTS.items():
        assert f"failed: {name} on css, seed 0: {failure}" in result.stderr
        assert f"{name} on css, seed 0 failed: {failure}" in table
        assert name not in Path("leaderboards/css.md").read_text()
    assert "Traceback" not in result.stderr
    (kept,) = Path("runs/css/diverging").rglob("training.safetensors")
    assert Checkpoint.read(kept).steps == 2
    again = tirg_bench(*arguments)
    assert again.exit_code == 1
    assert again.stderr.count("has a record") == len(sound)


def lose_shard(root: Path) -> None:
    next((root / "test").glob("images-*")).unlink()


def make_newer(root: Path) -> None:
    path = root / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))


@pytest.mark.parametrize(("damage", "expected"), [(lose_shard, "is missing"), (make_newer, "format version 99")])
def test_a_dataset_that_is_corrupt_or_of_another_version_is_named(
    damage: Callable[[Path], None], expected: str, tirg_bench: TirgBench, tiny_copy: Path
) -> None:
    damage(tiny_copy)
    result = tirg_bench("run", "--composer=concat", "--dataset=css", f"--data=css={tiny_copy}", *TINY)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("tirg-bench: ")
    assert expected in last
    assert str(tiny_copy) in last
    assert "Traceback" not in result.stderr
    assert not list(Path("leaderboards").rglob("*.parquet"))
