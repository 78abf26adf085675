"""Check the contract of a composer, point by point, in seconds, on a CPU, without a dataset.

Each problem says what was expected, what came, and what to change.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmark.submissions import contract_form as form
from benchmark.submissions import contract_function as function
from benchmark.submissions.trial import ContractError, cost
from models.base import Composer, brings_auxiliary

_MODES = (True, False)
_FIRST = 3
"""The first points are required by the others: if one of them fails, the check stops."""

_QUESTIONS: tuple[tuple[str, Callable[[type[Composer], bool], None]], ...] = (
    ("is made from (image_channels, text_width, spatial)", form.is_made),
    ("gives the shape and type that it got", form.keeps_shape),
    ("leaves its input alone", form.leaves_input),
    ("gradients are finite and reach every parameter", function.has_gradients),
    ("a row depends on its own query alone", function.keeps_rows_apart),
    ("the same input gives the same output", function.is_deterministic),
    ("padding of the text does not matter", function.ignores_padding),
    ("saved and loaded it is the same", form.survives_saving),
    ("is finite in bf16", form.is_finite_in_bf16),
    ("uses the image and the text as declared", function.uses_both),
)
_BEFORE_TRAINING = 2
"""The place of the first question that trains the composer."""
_ON_AUXILIARY = ("its own loss is a finite scalar with a gradient", function.brings_sound_loss)


@dataclass(frozen=True)
class Answer:
    """The answer to one question: `problem` is empty if the composer keeps that point of the contract."""

    what: str
    problem: str = ""
    remark: str = ""


def examine(kind: type[Composer], describe: Callable[[Exception], str] = repr) -> Iterator[Answer]:
    """Ask all questions, in both modes, and measure the cost if there was no problem.

    The first problem of a question ends it, and one of the first three ends them all. A composer that brings a loss
    of its own is asked about it, too, before it is trained.

    Args:
        describe: words for an error that the composer's own code raised.
    """
    is_sound, questions, first = True, [*_QUESTIONS], _FIRST
    if brings_auxiliary(kind):
        questions.insert(_BEFORE_TRAINING, _ON_AUXILIARY)
        first += 1
    for place, (what, question) in enumerate(questions):
        problem = ""
        for spatial in _MODES:
            try:
                question(kind, spatial)
            except Exception as error:
                why = str(error) if isinstance(error, ContractError) else describe(error)
                notes = getattr(error, "__notes__", ())
                problem = f"{'on the map' if spatial else 'on the pooled vector'}: {', '.join([why, *notes])}"
                break
        yield Answer(what, problem)
        if problem and place < first:
            return
        is_sound &= not problem
    if is_sound:
        yield Answer("its cost compared with TIRG's", remark=cost(kind))
