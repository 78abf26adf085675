"""The one exception of this package that is meant for people."""


class DatasetError(Exception):
    """Something is wrong with a folder or a file: one line that names it, says what was expected and what to do."""
