"""Read a text as a model knows words: names of shapes it was trained on, and which words it never saw."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.errors import UsageError
from css_gen.scenes.factors import Shape
from models.text_encoders.vocabulary import words_of

_FLAT_OF_SOLID = {shape.solid_name: str(shape) for shape in Shape}
SOLID_NAMES = frozenset(_FLAT_OF_SOLID)
OTHER_NAME = _FLAT_OF_SOLID | {flat: solid for solid, flat in _FLAT_OF_SOLID.items()}
"""The solid name of each flat shape, and the flat name of each solid one."""


@dataclass(frozen=True)
class Wording:
    """A text as a model reads it.

    Attributes:
        text: lowercase words with a space between them; names of shapes are those that the model knows.
        translated: the names that were replaced, and by what.
        unknown: the words that the model was not trained on, and the known words nearest to each, perhaps none.
    """

    text: str
    translated: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for the replaced names and one for the unknown words, where there are any."""
        notes = []
        if self.translated:
            pairs = " and ".join(f"{given!r} is {known!r}" for given, known in self.translated.items())
            notes.append(f"in the words that this model was trained on {pairs}: the text is read as {self.text!r}")
        if self.unknown:
            words = "; ".join(
                f"{word!r} (nearest: {', '.join(near)})" if near else f"{word!r} (nothing is near)"
                for word, near in self.unknown.items()
            )
            notes.append(f"warning: the model was not trained on {words}")
        return tuple(notes)


def understood(text: str, words: Collection[str] | None, *, names_shapes: bool) -> Wording:
    """Read a text in the words that a model knows.

    Args:
        words: those that the model was trained on; None if it does not read word by word, and takes the text as it is.
        names_shapes: whether texts name shapes of CSS; then cube is read as rectangle, or the other way round, as the
            model needs.

    Raises:
        UsageError: there is no word in it.
    """
    given_words = words_of(text)
    if not given_words:
        raise UsageError("--text: expected words that say what to change, such as 'make top-left circle red'")
    if words is None:
        return Wording(text)
    known = set(words)
    pairs = OTHER_NAME.items() if names_shapes else ()
    names = {given: other for given, other in pairs if other in known and given not in known}
    near_to = sorted(known | names.keys())
    unknown = {
        word: difflib.get_close_matches(word, near_to, n=3, cutoff=0.5)
        for word in given_words
        if word not in known and word not in names
    }
    read = " ".join(names.get(word, word) for word in given_words)
    return Wording(read, {word: names[word] for word in given_words if word in names}, unknown)
