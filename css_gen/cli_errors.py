"""How a command ends when something is wrong: one line, and exit code 2 for wrong usage, 130 for Ctrl-C, else 1."""

import errno
import os
import sys
import traceback
from typing import Any

import click

from css_gen.errors import DatasetError

INTERRUPTED = 130


class Commands(click.Group):
    """Ends every known error in one line, and every unknown one too unless --debug asks for its traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        words = args[0] if args else kwargs.pop("args", None)
        given = list(sys.argv[1:] if words is None else words)
        # Taken out here, so that it may stand anywhere on the line and is known whatever goes wrong.
        debug = "--debug" in given
        try:
            code = super().main(
                [word for word in given if word != "--debug"],
                **{**kwargs, "prog_name": "css-gen", "standalone_mode": False},
            )
        except (click.Abort, KeyboardInterrupt):
            advice = "; the same command goes on where it stopped" if "render" in given else ""
            code = _failed(f"interrupted{advice}", INTERRUPTED)
        except click.UsageError as error:
            code = _failed(f"{error.format_message().rstrip('.')} (see {_help_command(error)})", error.exit_code)
        except click.ClickException as error:
            code = _failed(error.format_message(), error.exit_code)
        except DatasetError as error:
            code = _failed(str(error), 1)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        except OSError as error:
            code = _failed(_explained(error), 1)
        except Exception as error:
            if debug:
                traceback.print_exc()
            code = _failed(f"unexpected {type(error).__name__}: {error}; rerun with --debug for the traceback", 1)
        sys.exit(code or 0)


def _failed(message: str, code: int) -> int:
    click.echo(f"css-gen: error: {' '.join(message.split())}", err=True)
    return code


def _help_command(error: click.UsageError) -> str:
    return f"{error.ctx.command_path if error.ctx else 'css-gen'} --help"


def _explained(error: OSError) -> str:
    path = error.filename2 or error.filename
    where = f" ({path})" if path else ""
    advice = {
        errno.ENOSPC: "the disk is full{}; what is finished is kept: free some space and run the same command again",
        errno.EDQUOT: "the disk quota is used up{}; what is finished is kept: raise it and run the same command again",
        errno.EFBIG: "a file would be too large{}; what is finished is kept: raise the limit and run it again",
        errno.EACCES: "permission denied{}; choose another folder, or change its permissions",
        errno.EPERM: "permission denied{}; choose another folder, or change its permissions",
        errno.EROFS: "the file system is read-only{}; choose another folder",
        errno.ENOTDIR: "a file is in the place of a folder{}; choose another folder",
        errno.EISDIR: "a folder is in the place of a file{}; move it away, or choose another folder",
        errno.EEXIST: "something is in the way{}; choose another folder",
    }
    return advice.get(error.errno or 0, f"{error.strerror or error}{{}}").format(where)
