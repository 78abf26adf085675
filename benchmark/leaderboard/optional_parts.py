"""Marks on rows whose composer uses an optional part of the contract, which not all rows of a board do."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmark.leaderboard.boards import Row

_NOTES: Mapping[str, tuple[Callable[[Row], bool], str]] = {
    "§": (lambda row: row.own_loss, "was trained with a loss of its composer's own, beside the recipe's loss."),
    "¶": (
        lambda row: row.levels > 1,
        "composes at several depths of the image encoder, of which the last ones then run once a query.",
    ),
}
"""Which rows have a mark, and what it means."""


def title_of(row: Row) -> str:
    """The composer's title, followed by the marks of its row."""
    marks = [mark for mark, (is_marked, _) in _NOTES.items() if is_marked(row)]
    return " ".join([row.composer.title, *marks])


def notes_on_parts(rows: Iterable[Row]) -> Sequence[str]:
    """What the marks of these rows mean; nothing where no row has one."""
    shown = list(rows)
    return [f"{mark} {meaning}" for mark, (is_marked, meaning) in _NOTES.items() if any(map(is_marked, shown))]
