"""How a command ends, whatever goes wrong in it: one line, the right exit code, a traceback with --debug alone."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from benchmark.errors import BenchmarkError
from benchmark.errors import UsageError as BenchmarkUsageError
from css_gen.cli_errors import Commands
from css_gen.errors import CssBenchError, DatasetError, UsageError

ROOT = Path(__file__).parents[2]


def run(fail: Callable[[], object], *words: str) -> Result:
    """Run `prog do`, a command that fails."""

    @click.group(cls=Commands, program="prog")
    @click.option("--debug", is_flag=True)
    def main(debug: bool) -> None:
        pass

    @main.command()
    @click.argument("words", nargs=-1)
    def do(words: tuple[str, ...]) -> None:
        click.echo(" ".join(words))
        fail()

    return CliRunner().invoke(main, words or ("do",))


def failing(error: BaseException) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


def os_error(number: int, *names: str | None) -> OSError:
    return OSError(number, "as the system says", *names)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (CssBenchError("a.txt: odd"), 1, "a.txt: odd"),
        (DatasetError("data: gone\n  at last"), 1, "data: gone at last"),
        (UsageError("no such name"), 2, "no such name"),
        (BenchmarkError("a run"), 1, "a run"),
        (BenchmarkUsageError("an option"), 2, "an option"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to resume"),
        (click.Abort(), 130, "interrupted; run the same command again to resume"),
        (click.UsageError("Wrong."), 2, "Wrong (see prog do --help)"),
        (click.ClickException("plain"), 1, "plain"),
        (
            os_error(errno.ENOSPC, "runs/x"), 1,
            "the disk is full (runs/x); what is finished is kept: free some space and run the same command again",
        ),
        (
            os_error(errno.ENOSPC), 1,
            "the disk is full; what is finished is kept: free some space and run the same command again",
        ),
        (os_error(errno.EACCES, "{x}"), 1, "permission denied ({x}); choose another folder, or change its permissions"),
        (os_error(errno.EROFS, "a", None, "b"), 1, "the file system is read-only (b); choose another folder"),
        (os_error(errno.ELOOP, "a{0}"), 1, "as the system says (a{0})"),
        (OSError("cannot do {that}"), 1, "cannot do {that}"),
        (OSError(), 1, "OSError"),
        (MemoryError(), 1, "out of memory: close other programs, or choose fewer processes or smaller batches"),
        (ZeroDivisionError("oh"), 1, "unexpected ZeroDivisionError: oh; rerun with --debug for the traceback"),
    ],
    ids=str,
)  # fmt: skip
def test_every_failure_is_one_line_and_a_code(error: BaseException, code: int, message: str) -> None:
    result = run(failing(error))
    # click begins a new line where the terminal shows ^C.
    begins = "\n" if isinstance(error, KeyboardInterrupt) else ""
    assert (result.exit_code, result.stderr) == (code, f"{begins}prog: error: {message}\n")


@pytest.mark.parametrize("words", [("--debug", "do"), ("do", "--debug"), ("do", "a", "--debug", "--", "b")])
def test_debug_shows_the_traceback_wherever_it_is(words: tuple[str, ...]) -> None:
    for error in (ZeroDivisionError("oh"), DatasetError("data: gone"), os_error(errno.EROFS, "x")):
        result = run(failing(error), *words)
        assert "Traceback (most recent call last)" in result.stderr
        assert result.stderr.splitlines()[-1].startswith("prog: error: ")
        assert "--debug" not in result.stdout


def test_after_two_dashes_debug_is_a_word_like_any_other() -> None:
    result = run(failing(ZeroDivisionError("oh")), "do", "--", "--debug")
    assert "Traceback" not in result.stderr
    assert result.stdout == "--debug\n"


def test_a_command_that_returns_something_has_succeeded_and_an_exit_code_is_kept() -> None:
    assert run(lambda: None).exit_code == 0
    assert run(failing(click.exceptions.Exit(3))).exit_code == 3


@pytest.mark.parametrize("module", ["css_gen.cli", "benchmark.cli.main"])
def test_an_unknown_command_is_answered_with_the_nearest_and_none_with_all(module: str) -> None:
    main = sys.modules[module].main if module in sys.modules else __import__(module, fromlist=["main"]).main
    first = sorted(main.commands)[0]
    near = CliRunner().invoke(main, [first + "x"])
    assert near.exit_code == 2
    assert f"unknown command '{first}x': did you mean {first}" in near.stderr
    far = CliRunner().invoke(main, ["zzzzzzzz"])
    assert f"unknown command 'zzzzzzzz': there are {', '.join(sorted(main.commands))}" in far.stderr
    assert f"(see {main.program} --help)" in far.stderr
    nothing = CliRunner().invoke(main, [])
    assert nothing.exit_code == 2
    assert "Commands:" in nothing.stderr
    assert f"{main.program}: error" not in nothing.stderr


@pytest.mark.parametrize("module", ["css_gen.cli", "benchmark.cli"])
def test_a_reader_that_has_left_ends_the_command_quietly(module: str) -> None:
    """Also where the text is short enough to be written at the very end, and where messages go the same way."""
    script = f"set -o pipefail; {sys.executable} -m {module} --help | true"
    ran = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.returncode in (0, 1)


def test_a_full_disk_is_told_in_one_line() -> None:
    """With a write that really fails: /dev/full has no room."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")

    def write() -> None:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")

    result = run(write)
    assert result.exit_code == 1
    assert result.stderr.startswith("prog: error: the disk is full")
