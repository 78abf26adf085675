"""Run `tirg-bench` in this process."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from tests.benchmark.cli.invoking import TirgBench
from tests.benchmark.tiny import TINY


@pytest.fixture
def tirg_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TirgBench:
    """Run `tirg-bench` with the given arguments in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def ran(css_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the records, tables and models of two composers."""
    root = tmp_path_factory.mktemp("verify")
    arguments = ["run", "--composer=tirg", "--composer=concat", "--dataset=css", f"--data=css={css_root}", *TINY]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def verify(ran: Path, css_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TirgBench:
    """Run `tirg-bench verify` in a copy of that folder, which is the current one."""
    shutil.copytree(ran, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["verify", f"--data=css={css_root}", "--device=cpu", *map(str, arguments)])

    return run
