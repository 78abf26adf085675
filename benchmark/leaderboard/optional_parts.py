"""Marks on rows whose composer uses an optional part of the contract, which not all rows of a board do."""

from collections.abc import Iterable, Sequence

from benchmark.leaderboard.boards import Row

_NOTES = {
    "own_loss": ("§", "was trained with a loss of its composer's own, beside the recipe's loss."),
}
"""What a mark means, by the attribute of a row."""


def title_of(row: Row) -> str:
    """The composer's title, followed by the marks of its row."""
    marks = [mark for name, (mark, _) in _NOTES.items() if getattr(row, name)]
    return " ".join([row.composer.title, *marks])


def notes_on_parts(rows: Iterable[Row]) -> Sequence[str]:
    """What the marks of these rows mean; nothing where no row has one."""
    shown = list(rows)
    return [f"{mark} {meaning}" for name, (mark, meaning) in _NOTES.items() if any(getattr(row, name) for row in shown)]
