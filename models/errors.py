"""The exceptions of this package; their messages are one line that says what is wrong and what to do.

A program that uses models catches `ModelError`. tirg-bench shows its message to the user.
"""


class ModelError(Exception):
    """Base of all errors that this package raises for a name, a file or a text that a user gave."""


class RegistryError(ModelError):
    """Raised when a composer or an encoder cannot be registered, or when none has the name that was asked for."""


class WeightsError(ModelError):
    """Raised when stored weights cannot be downloaded or read, or do not fit the encoder."""


class VocabularyError(ModelError):
    """Raised when the stored state of a tokenizer is invalid, or when a text encoder cannot read a text."""
