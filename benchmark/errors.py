"""The exception of this package that is meant for people."""


class BenchmarkError(Exception):
    """Something a person can put right: one line that names the file, row or option, what was expected, what to do."""


class UsageError(BenchmarkError):
    """What was asked for does not exist or does not fit: a name, an option, a value. The command line exits with 2."""
