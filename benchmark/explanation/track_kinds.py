"""Classify the first image of a query of a track: relevant, one of its labelled wrong answers, or anything else."""

from collections.abc import Sequence
from typing import Final

from benchmark.explanation.answer_kinds import AnswerKind, kind_of_answer
from css_gen.dataset import QueryRow
from css_gen.scenes.scene import Scene
from css_gen.tracks import Program, Track


class WrongAnswer(str):
    """A kind of wrong answer to a track's queries, with what `AnswerKind` says of its kinds.

    Attributes:
        meaning: what it is, in one sentence.
    """

    __slots__ = ("meaning",)

    meaning: str
    example: Final = ""
    is_relevant: Final = False

    def __new__(cls, label: str, meaning: str) -> "WrongAnswer":
        kind = super().__new__(cls, label)
        kind.meaning = meaning
        return kind


Kind = AnswerKind | WrongAnswer

UNCHANGED = WrongAnswer("unchanged source", "The scene of the source, to which nothing was done.")
OTHER = WrongAnswer("another image", "None of the scenes above.")


def kinds_of(track: Track | None) -> tuple[Kind, ...]:
    """Return all kinds of answers in the order of the tables; those of css if track is None."""
    if track is None:
        return tuple(AnswerKind)
    return (AnswerKind.DRAWN, AnswerKind.COMPLETION, *map(_labelled, track.contrasts), UNCHANGED, OTHER)


def kind_of_image(query: QueryRow, scenes: Sequence[Scene], image: int) -> Kind:
    """Return the kind of an image as the answer to a query, of css or of a track.

    Args:
        scenes: of every image of the gallery.
        image: its row, -1 where the query has no candidate.
    """
    source, target, program = scenes[query.source_id], scenes[query.target_id], query.modification
    if not isinstance(program, Program):
        return kind_of_answer(source, program, target, scenes[image]) if image >= 0 else AnswerKind.SCENE
    if image < 0:
        return OTHER
    answer = scenes[image]
    if answer == target:
        return AnswerKind.DRAWN
    if program.is_target(source, answer):
        return AnswerKind.COMPLETION
    for why, wrong in query.distractors:
        if scenes[wrong] == answer:
            return _labelled(why)
    return UNCHANGED if answer == source else OTHER


def _labelled(why: str) -> WrongAnswer:
    return WrongAnswer(why, "A wrong answer that was put into the gallery for this query, under this label.")
