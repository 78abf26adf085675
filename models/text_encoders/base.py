"""The contract of a text encoder, and text encoders by name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor, nn

from models.base import TextFeatures
from models.errors import WeightsError
from models.parts import Parts

TokenizerState = dict[str, Any]
"""What a tokenizer needs to know, as values that JSON can hold (dictionaries, lists, strings, numbers)."""


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """A recipe's settings for its text encoder. The paper has widths of 512 and a dropout of 0.1.

    Attributes:
        text_width: T, of the features.
        state_width: of a recurrent encoder's state; other encoders ignore it.
        dropout: on the pooled feature, in training.
        weights: the file of an encoder that reads one; "" for none.
    """

    text_width: int = 512
    state_width: int = 512
    dropout: float = 0.1
    weights: str = ""


class TextEncoder(nn.Module, ABC):
    """Turn modification texts into features, in two parts: `tokenize` on the CPU, `forward` on the device.

    A new encoder for a training set is `E(E.tokenizer_of(texts, settings), settings)`, its weights drawn from torch's
    current random state. A checkpoint keeps `tokenizer` and the state dict: an encoder that is made of a stored
    `tokenizer`, without `settings.weights`, and loads the state dict works without any other file.

    Attributes:
        tokenizer: the tokenizer's state, as `tokenizer_of` gives it.
        text_width: T, of the features.
    """

    def __init__(self, tokenizer: TokenizerState, settings: TextSettings) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.text_width = settings.text_width

    @classmethod
    def require(cls, settings: TextSettings) -> None:
        """Check the settings before any data is read. Raises WeightsError if `weights` cannot be used."""
        if settings.weights:
            raise WeightsError(f"{settings.weights}: this text encoder reads no file; leave model.text_weights out")

    @classmethod
    @abstractmethod
    def tokenizer_of(cls, texts: Sequence[str], settings: TextSettings) -> TokenizerState:
        """The tokenizer's state for these training texts; the same for the same texts in any order.

        Raises VocabularyError if a text cannot be read, WeightsError if `settings.weights` cannot.
        """

    @property
    def words(self) -> tuple[str, ...] | None:
        """The words that the encoder knows; None if it does not read word by word."""
        return None

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """B texts -> ids (B, L), int64, and mask (B, L), bool, on the CPU; True first, at least one in each row.

        Raises ValueError if there are no texts, VocabularyError if one of them cannot be read.
        """

    @abstractmethod
    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """ids (B, L) and mask (B, L) as `tokenize` gives them -> features T wide."""


E = TypeVar("E", bound=type[TextEncoder])
FromLibrary = TypeVar("FromLibrary", bound=Callable[[str], type[TextEncoder]])

_encoders: Parts[type[TextEncoder]] = Parts("text encoder", group="tirg_bench.text_encoders")
_libraries: Parts[Callable[[str], type[TextEncoder]]] = Parts("library of text encoders")


def register(name: str) -> Callable[[E], E]:
    """Class decorator: make a text encoder available under a name. Raises RegistryError if the name is taken."""

    def decorator(kind: E) -> E:
        _encoders.add(name, kind)
        return kind

    return decorator


def register_library(name: str) -> Callable[[FromLibrary], FromLibrary]:
    """Decorator: register the function that gives the encoder `name/X` for X. Raises RegistryError if it is taken."""

    def decorator(find: FromLibrary) -> FromLibrary:
        _libraries.add(name, find)
        return find

    return decorator


def names() -> tuple[str, ...]:
    """The names of all text encoders of this folder and of installed packages, sorted."""
    return _encoders.names()


def get(name: str) -> type[TextEncoder]:
    """The text encoder of that name, or of a library: `open_clip/NAME`.

    Raises RegistryError, offering the nearest name, if there is none, or if its package is not installed.
    """
    library, slash, own_name = name.partition("/")
    return _libraries.get(library)(own_name) if slash else _encoders.get(name)
