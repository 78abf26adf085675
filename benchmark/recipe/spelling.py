"""The message for a name that does not exist."""

import difflib
from collections.abc import Iterable


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that a name does not exist: with the nearest names, or with all of them if none is near.

    >>> unknown("preset", "quik", ["paper", "quick"])
    "unknown preset 'quik': did you mean quick?"
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return f"unknown {kind} '{name}': {hint}"
