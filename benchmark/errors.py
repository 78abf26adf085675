"""The errors of the benchmark whose message is shown to the user. `css_gen.errors.CssBenchError` is above them all."""

from css_gen import errors
from css_gen.errors import CssBenchError, DatasetError

__all__ = ["BenchmarkError", "CssBenchError", "DatasetError", "UsageError"]


class BenchmarkError(CssBenchError):
    """Raised when a run, record, checkpoint or folder cannot be used. The message names the file, row or option, what
    was expected, and what to do."""


class UsageError(BenchmarkError, errors.UsageError):
    """Raised when what was asked for does not exist or does not fit: a name, an option, a value. Exit code 2."""
