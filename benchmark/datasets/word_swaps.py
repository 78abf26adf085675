"""Captions that differ in one word, and the text that makes one of the other: "replace black with red".

Two captions are siblings if taking one word out of each leaves the same words in the same order, their parent. These
words then are all that sets the captions apart, so there is one text for each ordered pair.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from benchmark.datasets.splits import Mask, Rows


class WordSwaps:
    """Which images may be paired, for images with these captions; equal captions are one."""

    def __init__(self, captions: Sequence[str]) -> None:
        self.captions, self._caption = np.unique(np.array(captions, dtype=np.str_), return_inverse=True)
        order = np.argsort(self._caption, kind="stable")
        starts = np.searchsorted(self._caption[order], np.arange(len(self.captions)))
        self._images_of = np.split(order, starts[1:])
        self._children: dict[tuple[str, ...], dict[int, str]] = defaultdict(dict)
        for number, caption in enumerate(self.captions.tolist()):
            words = caption.split()
            for place, word in enumerate(words):
                self._children[(*words[:place], *words[place + 1 :])][number] = word
        self._parents_of: dict[int, list[tuple[str, ...]]] = defaultdict(list)
        for parent, children in self._children.items():
            if len(set(children.values())) > 1:
                for number in children:
                    self._parents_of[number].append(parent)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Every text that may be drawn, sorted."""
        pairs = {
            (source, target)
            for children in self._children.values()
            if len(children) > 1
            for words in [set(children.values())]
            for source in words
            for target in words - {source}
        }
        return tuple(sorted(_text(source, target) for source, target in pairs))

    def sources(self, allowed: Mask) -> Rows:
        """The allowed images (N,) that have a sibling among the allowed images, in ascending order."""
        there = np.zeros(len(self.captions), dtype=bool)
        there[self._caption[allowed]] = True
        paired = np.array([bool(self._choices(number, there)) for number in range(len(there))], dtype=bool)
        return np.flatnonzero(allowed & paired[self._caption]).astype(np.int64)

    def draw(self, source: int, allowed: Mask, *, rng: np.random.Generator) -> tuple[str, int]:
        """A text and a target for an image of `sources(allowed)`: a random parent, a random child, a random image.

        google/tirg draws parent and child together until the child is another caption, which favours large parents
        somewhat.
        """
        number = int(self._caption[source])
        parents = self._parents_of[number]
        for place in rng.permutation(len(parents)):
            own = self._children[parents[place]][number]
            others = [(child, word) for child, word in self._children[parents[place]].items() if word != own]
            for choice in rng.permutation(len(others)):
                child, word = others[choice]
                images = self._images_of[child]
                images = images[allowed[images]]
                if len(images):
                    return _text(own, word), int(rng.choice(images))
        raise ValueError(f"image {source} has no sibling among the allowed images")

    def _choices(self, number: int, there: Mask) -> bool:
        return bool(there[number]) and any(
            there[child] and word != children[number]
            for children in map(self._children.__getitem__, self._parents_of[number])
            for child, word in children.items()
        )


def swap_text(source: str, target: str) -> str:
    """The text between any two captions: the first word of each that the other lacks, as google/tirg takes it.

    Where one has no such word, its last word is taken.
    """
    return _text(_word_beyond(source, target), _word_beyond(target, source))


def _word_beyond(caption: str, other: str) -> str:
    words = caption.split()
    left = Counter(words) - Counter(other.split())
    return next((word for word in words if word in left), words[-1])


def _text(source: str, target: str) -> str:
    return f"replace {source} with {target}"
