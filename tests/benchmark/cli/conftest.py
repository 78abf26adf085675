"""Run `tirg-bench` in this process."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from tests.benchmark.cli.invoking import TirgBench


@pytest.fixture
def tirg_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TirgBench:
    """Run `tirg-bench` with the given arguments in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run
