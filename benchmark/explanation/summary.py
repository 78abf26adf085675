"""Count the kinds of answers of a composer's runs: how often, for which modifications, and for which words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from benchmark.explanation.answer_kinds import AnswerKind
from benchmark.explanation.track_kinds import Kind, kind_of_image
from benchmark.scoring.recall import Outcomes
from css_gen.dataset import QueryRow
from css_gen.scenes.modification import Modification
from css_gen.scenes.scene import Scene
from css_gen.tracks import Program

_MOST_WORDS = 3
_FEWEST_ANSWERS, _FEWEST_MODIFICATIONS, _FEWEST_DEVIATIONS = 10, 5, 3.0
_OPEN = {"cell": "(no cell)", "size": "(no size)", "colour": "(no colour)"}
"""What stands for an attribute that a text leaves open; an open shape has a word of its own, "object"."""


class Word(NamedTuple):
    """A word that the queries of a kind of answer have more often than others.

    Attributes:
        word: of the text, or "(no cell)" for a text that names no cell, and so on.
        ratio: its share among the queries of the kind, divided by its share among all queries.
        answers: how many answers of the kind are to a text with it.
    """

    word: str
    ratio: float
    answers: int


@dataclass(frozen=True)
class Tally:
    """How often the first images are of one kind.

    Attributes:
        answers: of all runs together.
        share: in percent of all answers.
        by_modification: in percent of the answers to a kind of modification.
        words: those that stand out most, at most three. Each occurs in at least 10 answers of this kind a run and 5
            different modifications, and three standard deviations (of a Poisson distribution of a run's answers) more
            often than in other queries. Runs answer the same queries, so more runs are not more evidence.
    """

    kind: Kind
    answers: int
    share: float
    by_modification: Mapping[str, float]
    words: tuple[Word, ...]


def kinds_of_answers(
    scenes: Sequence[Scene],
    queries: Sequence[QueryRow],
    outcomes: Outcomes,
    *,
    known: MutableMapping[tuple[int, int], Kind] | None = None,
) -> tuple[Kind, ...]:
    """Return the kind of each query's first image. Where a query has no candidates, it is another scene.

    Args:
        scenes: of every image of the gallery.
        queries: of the split, in the order of the outcomes.
        known: kinds by the rows of query and image, from earlier calls with the same scenes and queries. New ones are
            added to it.

    Raises:
        ValueError: a rank contradicts the scenes, so these are not the scenes that were ranked.
    """
    found = []
    known = {} if known is None else known
    firsts, ranks, drawn_ranks = outcomes.top1.tolist(), outcomes.ranks.tolist(), outcomes.drawn_ranks.tolist()
    for row, (query, first, rank, drawn_rank) in enumerate(zip(queries, firsts, ranks, drawn_ranks, strict=True)):
        if (kind := known.get((row, first))) is None:
            kind = known[row, first] = kind_of_image(query, scenes, first)
        if kind.is_relevant != (rank == 1) or (kind is AnswerKind.DRAWN) != (drawn_rank == 1):
            raise ValueError(f"query {query.query_id}: its rank contradicts the scene of its first image")
        found.append(kind)
    return tuple(found)


def tally(
    queries: Sequence[QueryRow], runs: Iterable[Sequence[Kind]], *, kinds: Sequence[Kind] = tuple(AnswerKind)
) -> tuple[Tally, ...]:
    """Return one tally for each kind, in their order; their shares add up to 100.

    Args:
        queries: of the split.
        runs: the kinds of answers of each run, as `kinds_of_answers` returns them.
        kinds: all that the queries may have.

    Raises:
        ValueError: there are no answers.
    """
    answered = [pair for of_run in runs for pair in zip(queries, of_run, strict=True)]
    if not answered:
        raise ValueError("there are no answers to count")
    words = {query.query_id: tuple(words_of(query.text, query.modification)) for query in queries}
    of_word = Counter(word for query, _ in answered for word in words[query.query_id])
    of_modification = Counter(query.kind for query, _ in answered)
    of_kind: dict[Kind, list[QueryRow]] = defaultdict(list)
    for query, kind in answered:
        of_kind[kind].append(query)
    return tuple(
        Tally(
            kind=kind,
            answers=len(of_kind[kind]),
            share=100 * len(of_kind[kind]) / len(answered),
            by_modification={
                name: 100 * sum(query.kind == name for query in of_kind[kind]) / of_modification[name]
                for name in sorted(of_modification)
            },
            words=_outstanding(of_kind[kind], words, of_word, len(answered), runs=len(answered) // len(queries)),
        )
        for kind in kinds
    )


def words_of(text: str, modification: Modification | Program) -> Iterator[str]:
    """Yield each word of a text once, but for its verb and "to", then what its selector leaves open.

    Of the text of a track, yield every word once.

    >>> from css_gen.scenes.modification import parse
    >>> list(words_of("add red circle to top-left", parse("add red circle to top-left")))
    ['red', 'circle', 'top-left', '(no size)']
    """
    if isinstance(modification, Program):
        yield from dict.fromkeys(text.replace(",", " ").split())
        return
    _, *words = text.split()
    yield from dict.fromkeys(word for word in words if word != "to")
    yield from (word for name, word in _OPEN.items() if getattr(modification.selector, name) is None)


def _outstanding(
    queries: Sequence[QueryRow],
    words: Mapping[int, tuple[str, ...]],
    of_word: Mapping[str, int],
    answers: int,
    *,
    runs: int,
) -> tuple[Word, ...]:
    counts = Counter(word for query in queries for word in words[query.query_id])
    modifications: dict[str, set[int]] = defaultdict(set)
    for query in queries:
        for word in words[query.query_id]:
            modifications[word].add(query.modification_id)
    found = []
    for word, count in counts.items():
        expected = len(queries) * of_word[word] / answers
        deviations = (count - expected) / runs / sqrt(expected / runs)
        is_enough = count / runs >= _FEWEST_ANSWERS and len(modifications[word]) >= _FEWEST_MODIFICATIONS
        if is_enough and deviations >= _FEWEST_DEVIATIONS:
            found.append((-deviations, Word(word, count / expected, count)))
    return tuple(word for _, word in sorted(found)[:_MOST_WORDS])
