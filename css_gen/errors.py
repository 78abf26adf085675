"""The errors that are shown to people, each as one line: what is wrong and where, what was expected, what to do."""


class CssBenchError(Exception):
    """Base of every error whose message is shown as it is, without a traceback. The commands exit with 1."""


class UsageError(CssBenchError):
    """Raised when what was asked for does not exist or does not fit: a name, an option, a value. Exit code 2."""


class DatasetError(CssBenchError):
    """Raised when a folder or a file of a dataset is missing, damaged, in use or not what it should be."""
