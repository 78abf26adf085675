"""Turn every failure of a command into one line and an exit code: 2 for wrong usage, 130 for Ctrl-C, 143 for SIGTERM,
else 1."""

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from css_gen import termination
from css_gen.errors import CssBenchError, UsageError
from css_gen.namesakes import require_own_packages

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
DEBUG = "--debug"


class Commands(click.Group):
    """A group of commands that shows errors as one line.

    Args:
        program: the name that messages start with, such as "css-gen".
        packages: own packages that a namesake may hide; checked before a command runs.

    `--debug`, anywhere on the line before a `--`, adds the traceback.
    """

    def __init__(self, *args: Any, program: str, packages: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.program = program
        self.packages = packages

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line and leave Python with its exit code."""
        given = args[0] if args else options.pop("args", None)
        words, debug = _without_debug(list(sys.argv[1:] if given is None else given))
        options |= {"prog_name": self.program, "standalone_mode": False}
        try:
            require_own_packages(self.packages)
            with termination.handled():
                code = super().main([DEBUG] * debug + words, **options)
                sys.stdout.flush()
        except BrokenPipeError:
            code = _reader_has_left()
        except (click.Abort, KeyboardInterrupt):
            code = self._failed("interrupted; run the same command again to resume", INTERRUPTED)
        except termination.Terminated:
            code = self._failed("terminated; run the same command again to resume", termination.EXIT_CODE)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            code = error.exit_code
        except click.ClickException as error:
            code = self._failed(self._explained(error), error.exit_code)
        except Exception as error:
            if debug:
                traceback.print_exc()
            message, code = _message_and_code(error)
            self._failed(message, code)
        sys.exit(code if isinstance(code, int) else 0)

    def _explained(self, error: click.ClickException) -> str:
        if not isinstance(error, click.UsageError):
            return error.format_message()
        message = error.format_message().rstrip(".")
        if isinstance(error, click.exceptions.NoSuchCommand):
            message = f"unknown command '{error.command_name}': {_nearest(error)}"
        return f"{message} (see {error.ctx.command_path if error.ctx else self.program} --help)"

    def _failed(self, message: str, code: int) -> int:
        with suppress(OSError):
            click.echo(f"{self.program}: error: {' '.join(message.split())}", err=True)
        return code


def _without_debug(words: list[str]) -> tuple[list[str], bool]:
    """The words without `--debug`, and whether it was among them. After a `--` nothing is an option."""
    end = words.index("--") if "--" in words else len(words)
    options = [word for word in words[:end] if word != DEBUG]
    return options + words[end:], len(options) < end


def _nearest(error: click.exceptions.NoSuchCommand) -> str:
    """The commands nearest to an unknown one, or all of them if none is near."""
    if error.possibilities:
        return f"did you mean {' or '.join(error.possibilities)}?"
    group = error.ctx.command if error.ctx else None
    return f"there are {', '.join(sorted(group.commands))}" if isinstance(group, click.Group) else "there is none"


def _message_and_code(error: Exception) -> tuple[str, int]:
    if isinstance(error, CssBenchError):
        return str(error), WRONG_USAGE if isinstance(error, UsageError) else FAILED
    if isinstance(error, OSError):
        return explain_os_error(error), FAILED
    if isinstance(error, MemoryError):
        return "out of memory: close other programs, or choose fewer processes or smaller batches", FAILED
    return f"unexpected {type(error).__name__}: {error}; rerun with {DEBUG} for the traceback", FAILED


def explain_os_error(error: OSError) -> str:
    """A line that names the file, if the error knows it, and says what to do."""
    path = error.filename2 or error.filename
    where = f" ({os.fsdecode(path) if isinstance(path, bytes) else path})" if path else ""
    resume = "what is finished is kept"
    advice = {
        errno.ENOSPC: f"the disk is full{{}}; {resume}: free some space and run the same command again",
        errno.EDQUOT: f"the disk quota is used up{{}}; {resume}: raise it and run the same command again",
        errno.EFBIG: f"a file would be too large{{}}; {resume}: raise the limit and run it again",
        errno.EACCES: "permission denied{}; choose another folder, or change its permissions",
        errno.EPERM: "permission denied{}; choose another folder, or change its permissions",
        errno.EROFS: "the file system is read-only{}; choose another folder",
        errno.ENOTDIR: "a file is in the place of a folder{}; choose another folder",
        errno.EISDIR: "a folder is in the place of a file{}; move it away, or choose another folder",
        errno.EEXIST: "something is in the way{}; choose another folder",
        errno.ENOENT: "No such file or directory{}; check the path",
        errno.EMFILE: "too many open files{}; raise the limit (`ulimit -n`) or use fewer processes",
        errno.EIO: "the disk cannot be read or written{}; check the disk",
    }
    text = error.strerror or str(error) or type(error).__name__
    return advice.get(error.errno or 0, text.replace("{", "{{").replace("}", "}}") + "{}").format(where)


def _reader_has_left() -> int:
    """End quietly when whoever read the output, such as `head`, wants no more of it."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
