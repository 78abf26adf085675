"""Find the runs of the two sides of `tirg-bench compare` among the records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from benchmark.records.rankings import StoredRanking
    from benchmark.records.store import StoredRecord

    Runs = Sequence[StoredRecord | StoredRanking]

_FEWEST_DIGITS = 4


class Side(NamedTuple):
    """A composer, and the label or first digits of the recipe that was asked for; "" for any."""

    composer: str
    recipe: str

    @classmethod
    def of(cls, argument: str) -> "Side":
        composer, _, recipe = argument.partition("@")
        return cls(composer.strip(), " ".join(recipe.split()))


def _is_same_data(a: "StoredRecord | StoredRanking", b: "StoredRecord | StoredRanking") -> bool:
    """Whether both were scored on the same queries, not one of them on the validation part."""
    from benchmark.leaderboard.comparison import require_same_queries

    try:
        require_same_queries([a.outcomes, b.outcomes])
    except ValueError:
        return False
    return a.record.dataset.fingerprint == b.record.dataset.fingerprint


def with_model(
    stored: "list[StoredRecord]", models: "list[StoredRanking]", sides: tuple[Side, Side], dataset: str,
    preset: str | None,
) -> "tuple[Runs, Runs]":  # fmt: skip
    """The runs of two sides of which one is a model, or both: the first that were scored on the same test data.

    Raises:
        UsageError: a name is unknown among the records, or a recipe is asked of a model.
        BenchmarkError: the two have none on the same data.
    """
    from benchmark.leaderboard.boards import comparable
    from benchmark.recipe.spelling import unknown

    boards = [board for board in comparable(stored) if board[0].record.protocol == dataset]
    names = {run.record.composer.name for board in boards for run in board} | {model.record.name for model in models}
    candidates: list[list[Runs]] = []
    for side in sides:
        found = [model for model in models if model.record.name == side.composer]
        if side.composer not in names:
            raise UsageError(unknown("composer or model", side.composer, names))
        if found and side.recipe:
            raise UsageError(f"{side.composer}@{side.recipe}: a model that was scored by its ranking has no recipe")
        asked = _boards_of(boards, side.recipe or preset or "")
        candidates.append([[model] for model in found] or [runs for board in asked if (runs := _of(board, side))])
    for of_a in candidates[0]:
        for of_b in candidates[1]:
            if _is_same_data(of_a[0], of_b[0]):
                return of_a, of_b
    raise BenchmarkError(f"{sides[0].composer} and {sides[1].composer} have no records of the same data on {dataset}")


def of_composers(
    stored: "list[StoredRecord]", sides: tuple[Side, Side], dataset: str, preset: str | None
) -> "tuple[list[StoredRecord], list[StoredRecord]]":
    """The runs of both sides: on the first board that has both, or, if recipes are named, on the same queries.

    Raises:
        UsageError: a name is unknown among the records.
        BenchmarkError: there are no records, or the two have none on the same recipe or the same queries.
    """
    from benchmark.leaderboard.boards import comparable, label_of
    from benchmark.recipe.spelling import unknown

    if not stored:
        raise BenchmarkError("there are no valid records; `tirg-bench run` makes some")
    boards = [board for board in comparable(stored) if board[0].record.protocol == dataset]
    if not boards:
        raise UsageError(unknown("dataset", dataset, {run.record.protocol for run in stored}))
    names = {run.record.composer.name for board in boards for run in board}
    for side in sides:
        if side.composer not in names:
            raise UsageError(unknown("composer", side.composer, names))
    labels = {label_of(board[0].record) for board in boards}
    if preset is not None and preset not in labels:
        raise UsageError(unknown("preset", preset, labels))
    candidates = [
        [(board, runs) for board in _boards_of(boards, side.recipe or preset or "") if (runs := _of(board, side))]
        for side in sides
    ]
    for side, found in zip(sides, candidates, strict=True):
        if side.recipe and not _boards_of(boards, side.recipe):
            raise UsageError(f"{unknown('recipe', side.recipe, labels)}; or give the first digits of its hash")
        if side.recipe and not found:
            raise BenchmarkError(f"{side.composer} has no records with recipe {side.recipe} on {dataset}; run it")
    has_recipes = any(side.recipe for side in sides)
    for board_a, of_a in candidates[0]:
        for board_b, of_b in candidates[1]:
            same_data = board_a[0].record.dataset.fingerprint == board_b[0].record.dataset.fingerprint
            if board_a is board_b or (has_recipes and same_data and of_a is not of_b):
                return of_a, of_b
    asked = f" with preset {preset}" if preset else ""
    both = f"{sides[0].composer} and {sides[1].composer}"
    what = "data" if has_recipes else "recipe and data"
    raise BenchmarkError(f"{both} have no records of the same {what} on {dataset}{asked}; run both")


def _boards_of(boards: "list[list[StoredRecord]]", recipe: str) -> "list[list[StoredRecord]]":
    """The boards whose recipe has that label, or a hash that begins so; all of them for ""."""
    from benchmark.leaderboard.boards import label_of

    is_hash = len(recipe) >= _FEWEST_DIGITS and set(recipe) <= set("0123456789abcdef")
    return [
        board for board in boards
        if not recipe or label_of(board[0].record) == recipe
        or (is_hash and board[0].record.recipe_hash.startswith(recipe))
    ]  # fmt: skip


def _of(board: "list[StoredRecord]", side: Side) -> "list[StoredRecord]":
    return [run for run in board if run.record.composer.name == side.composer]
