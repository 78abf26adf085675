"""A modification text is a program on scenes: add, remove or make, applied to every object that its words match.

    add [size] [colour] shape|object [to cell]
    remove [cell] [size] [colour] shape|object
    make [cell] [size] [colour] shape|object new-colour|new-size

This is the grammar of CSS in Vo et al., "Composing Text and Image for Image Retrieval" (CVPR 2019). A text and a
modification correspond one to one, in the flat names of the original and in the solid ones.

Every file in this folder is imported, and a class with `@register` is all that another modification takes. How often a
dataset asks for each kind is in `sampling`.
"""

import importlib
import json
import pkgutil
import re

from css_gen.scenes.modification.add import Add
from css_gen.scenes.modification.make import Make
from css_gen.scenes.modification.program import SELECTOR_FACTORS, Modification, types
from css_gen.scenes.modification.remove import Remove
from css_gen.scenes.modification.words import SHAPE_WORDS
from css_gen.scenes.selector import Selector

__all__ = ["KINDS", "Add", "Make", "Modification", "Remove", "Selector", "from_json", "parse", "type_of"]

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")

KINDS = tuple(sorted(kind for each in types.values() for kind in each.kinds))
"""Everything that a modification can do, under the names that datasets and tables use."""


def type_of(kind: str) -> type[Modification]:
    """Return the type of modification that does one of KINDS.

    Raises:
        ValueError: there is no such kind.
    """
    for each in types.values():
        if kind in each.kinds:
            return each
    raise ValueError(f"no modification is called {kind!r}; expected one of {', '.join(KINDS)}")


def parse(text: str) -> Modification:
    """Return the modification of a text, in flat or solid names: `parse(m.text_with(names)) == m`.

    Raises:
        ValueError: the text is not exactly what some modification's `text_with` writes.
    """
    for each in types.values():
        if found := re.fullmatch(each.grammar, text):
            words = found.groupdict()
            return each.build(words | {"shape": SHAPE_WORDS[words["shape"]]})
    forms = [f"'{each.form}'" for each in types.values()]
    raise ValueError(f"cannot read the modification {text[:80]!r}: expected {', '.join(forms[:-1])} or {forms[-1]}")


def from_json(text: str) -> Modification:
    """Return the modification that `to_json` wrote.

    Raises:
        ValueError: the text is not a JSON object with exactly the keys that `to_json` writes, or a value is unknown.
    """
    try:
        values = json.loads(text)
        verb = values.pop("type", None) if isinstance(values, dict) else None
        if not isinstance(verb, str) or verb not in types:
            raise ValueError(f"its type is not one of {', '.join(types)}")
        expected = [*SELECTOR_FACTORS, *types[verb].parameters]
        if values.keys() != set(expected):
            raise ValueError(f"expected exactly type, {', '.join(expected)}")
        return types[verb].build(values)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the modification {text[:80]!r}: {error}") from None
