"""Find the runs of the sides of `tirg-bench compare` among the records."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from benchmark.errors import BenchmarkError, UsageError

if TYPE_CHECKING:
    from benchmark.records.rankings import StoredRanking
    from benchmark.records.store import StoredRecord

    Runs = Sequence[StoredRecord | StoredRanking]
    Boards = Sequence[Sequence[StoredRecord]]

_FEWEST_DIGITS = 4


class Side(NamedTuple):
    """A composer or a model, and the label or first digits of the recipe that was asked for; "" for any."""

    name: str
    recipe: str

    @classmethod
    def of(cls, argument: str) -> "Side":
        name, _, recipe = argument.partition("@")
        return cls(name.strip(), " ".join(recipe.split()))


def runs_of_sides(
    stored: "Sequence[StoredRecord]",
    models: "Sequence[StoredRanking]",
    sides: Sequence[Side],
    dataset: str,
    preset: str | None,
) -> "list[Runs]":
    """The runs of all sides: the first that were scored on the same queries.

    Composers need the same recipe, unless one is named. A model is paired with any run; its side is its ranking.

    Raises:
        UsageError: a name is unknown among the records, a recipe is asked of a model, or two sides are the same runs.
        BenchmarkError: there are no records, or the sides have none on the same recipe or the same queries.
    """
    from benchmark.leaderboard.boards import comparable
    from models.parts import unknown

    if not stored and not models:
        raise BenchmarkError("there are no valid records; `tirg-bench run` makes some")
    boards = [board for board in comparable(stored) if board[0].record.protocol == dataset]
    of_task = [model for model in models if model.record.protocol == dataset]
    if not boards and not of_task:
        known = {run.record.protocol for run in stored} | {model.record.protocol for model in models}
        raise UsageError(unknown("dataset", dataset, known))
    _require_known(sides, preset, boards, of_task)
    candidates: list[list[Runs]] = []
    for side in sides:
        found: list[Runs] = [[model] for model in of_task if model.record.name == side.name]
        asked = _boards_of(boards, side.recipe or preset or "")
        candidates.append(found or [runs for board in asked if (runs := _of(board, side))])
        if side.recipe and not candidates[-1]:
            raise BenchmarkError(f"{side.name} has no records with recipe {side.recipe} on {dataset}; run it")
    has_model = any(side.name in _names(of_task) for side in sides)
    needs_recipe = not has_model and not any(side.recipe for side in sides)
    twice = ""
    for first in candidates[0]:
        chosen: list[Runs] = [first]
        for side, others in zip(sides[1:], candidates[1:], strict=True):
            same_data = [
                runs for runs in others
                if _is_same_data(first[0], runs[0]) and not (needs_recipe and _recipe(first) != _recipe(runs))
            ]  # fmt: skip
            unused = [runs for runs in same_data if all(runs[0] is not other[0] for other in chosen)]
            if not unused:
                twice = side.name if same_data else twice
                break
            chosen.append(unused[0])
        if len(chosen) == len(sides):
            return chosen
    if twice:
        raise UsageError(f"{_sides(len(sides))} are the same runs of {twice}: name two composers, or two recipes")
    asked_preset = f" with preset {preset}" if preset else ""
    what = "recipe and data" if needs_recipe else "data"
    names, all_of_them = listed([side.name for side in sides]), "both" if len(sides) == 2 else "them all"
    remedy = f"run or score {all_of_them} on one dataset" if has_model else f"run {all_of_them}"
    raise BenchmarkError(f"{names} have no records of the same {what} on {dataset}{asked_preset}; {remedy}")


def listed(words: Sequence[str]) -> str:
    """Words with commas and "and" between them; the same word once.

    >>> listed(["a", "b", "c", "b"])
    'a, b and c'
    """
    *earlier, last = dict.fromkeys(words)
    return f"{', '.join(earlier)} and {last}" if earlier else last


def _sides(count: int) -> str:
    return "A and B" if count == 2 else "two sides"


def trained(runs: "Runs") -> "list[StoredRecord]":
    """The runs if they are those of a composer; nothing if they are the ranking of a model, which has no seed."""
    from benchmark.records.store import StoredRecord

    return [run for run in runs if isinstance(run, StoredRecord)]


def _require_known(
    sides: Sequence[Side], preset: str | None, boards: "Boards", models: "Sequence[StoredRanking]"
) -> None:
    """Raises UsageError if a name, a recipe or the preset is unknown on a task, or a recipe is asked of a model."""
    from benchmark.leaderboard.boards import label_of
    from models.parts import unknown

    names = {run.record.composer.name for board in boards for run in board} | _names(models)
    labels = {label_of(board[0].record) for board in boards}
    for side in sides:
        if side.name not in names:
            raise UsageError(unknown("composer or model" if models else "composer", side.name, names))
        if side.recipe and side.name in _names(models):
            raise UsageError(f"{side.name}@{side.recipe}: a model that was scored by its ranking has no recipe")
        if side.recipe and not _boards_of(boards, side.recipe):
            raise UsageError(f"{unknown('recipe', side.recipe, labels)}; or give the first digits of its hash")
    if preset is not None and {side.name for side in sides} <= _names(models):
        raise UsageError(f"--preset {preset}: models that were scored by their rankings have no recipe")
    if preset is not None and preset not in labels:
        raise UsageError(unknown("preset", preset, labels))


def _is_same_data(a: "StoredRecord | StoredRanking", b: "StoredRecord | StoredRanking") -> bool:
    """Whether both were scored on the same queries, not one of them on the validation part."""
    from benchmark.leaderboard.comparison import require_same_queries

    if a.record.dataset.fingerprint != b.record.dataset.fingerprint:
        return False
    try:
        require_same_queries([a.outcomes, b.outcomes])
    except ValueError:
        return False
    return True


def _boards_of(boards: "Boards", recipe: str) -> "Boards":
    """The boards whose recipe has that label, or a hash that begins so; all of them for ""."""
    from benchmark.leaderboard.boards import label_of

    is_hash = len(recipe) >= _FEWEST_DIGITS and set(recipe) <= set("0123456789abcdef")
    return [
        board for board in boards
        if not recipe or label_of(board[0].record) == recipe
        or (is_hash and board[0].record.recipe_hash.startswith(recipe))
    ]  # fmt: skip


def _of(board: "Sequence[StoredRecord]", side: Side) -> "list[StoredRecord]":
    return [run for run in board if run.record.composer.name == side.name]


def _names(models: "Sequence[StoredRanking]") -> set[str]:
    return {model.record.name for model in models}


def _recipe(runs: "Runs") -> str | None:
    """The hash of their recipe; None for a ranking."""
    return next((run.record.recipe_hash for run in trained(runs)), None)
