"""Whether one record agrees with itself: with its recipe, its name, the code that is here and its verification note.

Each check is a function of a record that returns what is wrong with it, or "" if nothing is. A record that passes may
still be invented: these checks find careless and lazy forgeries. `rescoring` and `retraining` look for evidence.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

import models
from benchmark.ablations.runs import FOLDER as ABLATIONS
from benchmark.errors import BenchmarkError
from benchmark.recipe.label import slug
from benchmark.recipe.presets import preset_names
from benchmark.recipe.schema import RECIPE_VERSION, Recipe
from benchmark.records.store import RunRecord, StoredRecord, Tier
from benchmark.records.tier import SUFFIX, note_on
from benchmark.runs.recipes import label_on
from benchmark.verification.repetition import TOLERANCE, allowed_of
from models.registry import variants

PUBLISHED = "leaderboards"
"""Name of the folder with the leaderboards of this project, which hold no run of a local file."""


def problems_of(stored: StoredRecord, everyone: Sequence[StoredRecord]) -> Iterator[str]:
    """Yield one line for everything that is wrong with a record; each names the file.

    Args:
        everyone: the records that it shares its leaderboards with, itself included.
    """
    record = stored.record
    folder = stored.path.resolve().parents[3]
    is_ablation = folder.name == ABLATIONS
    leaderboards = folder.parent if is_ablation else folder
    known = {*models.names(), *(variants() if is_ablation else ())}
    checks = (
        settings_problem(record),
        label_problem(record),
        code_problem(record, known, allows_local=leaderboards.name != PUBLISHED),
    )
    yield from (f"{stored.path}: {problem}" for problem in checks if problem)
    if problem := note_problem(stored, everyone):
        yield f"{stored.path.with_suffix(SUFFIX)}: {problem}"


def settings_problem(record: RunRecord) -> str:
    """Compare the recipe, the numbers of steps and queries, and the learning curve.

    A recipe of another version is not known here, so it is not compared; its record has a board of its own.
    """
    if record.configuration.get("recipe_version") != RECIPE_VERSION:
        return ""
    try:
        recipe = Recipe.from_content(record.configuration)
    except ValueError as error:
        return f"its configuration is not a recipe ({' '.join(str(error).split())[:120]}); run it again"
    if recipe.content != record.configuration:
        keys = sorted(
            key
            for key in recipe.content.keys() | record.configuration.keys()
            if recipe.content.get(key) != record.configuration.get(key)
        )
        return f"its configuration writes {', '.join(keys)} differently than its recipe does; run it again"
    training, told = recipe.training, record.training
    if told.steps != training.steps:
        return f"says {told.steps} steps, its recipe has {training.steps}; run it again"
    if told.queries_seen != training.steps * training.batch:
        seen = training.steps * training.batch
        return f"says {told.queries_seen} queries seen, its recipe gives {seen} ({training.batch} a step); run it again"
    steps = [point.step for point in record.curve]
    if not steps or steps[-1] != training.steps or any(a >= b for a, b in pairwise(steps)):
        return f"its curve does not lead to step {training.steps}, the last of its recipe; run it again"
    if record.curve[-1].loss is not None and record.curve[-1].loss != told.final_loss:
        return f"says a final loss of {told.final_loss}, its curve ends at {record.curve[-1].loss}; run it again"
    if record.parameters.composer > record.parameters.total:
        return f"says {record.parameters.composer} parameters of the composer, more than in all; run it again"
    return ""


def label_problem(record: RunRecord) -> str:
    """Compare the preset that a record is named after with its recipe."""
    if record.configuration.get("recipe_version") != RECIPE_VERSION:
        taken = record.preset in preset_names()
        return f"is called {record.preset}, which is another recipe now; run it again or remove it" if taken else ""
    try:
        label = label_on(record.protocol, Recipe.from_content(record.configuration))
    except ValueError:
        return ""  # `settings_problem` reports it
    if slug(label) != slug(record.preset):
        return f"is called {record.preset}, its recipe is {label}; run it again"
    return ""


def code_problem(record: RunRecord, known: Collection[str], *, allows_local: bool) -> str:
    """Look for the composer's code. `store.read_stored` compares the source of a submission, so it counts as known.

    Args:
        known: the names of the composers whose records may be there.
        allows_local: whether records of files that were named on the command line may be there.
    """
    name = record.composer.name
    if record.is_local and not allows_local:
        return f"is of a local file, whose code is not here; add {name} with `tirg-bench submit` or remove the record"
    if record.is_local or record.submission is not None or name in known:
        return ""
    return f"there is no code of {name} here, neither in models/ nor in submissions/; add it or remove the record"


def note_problem(stored: StoredRecord, everyone: Sequence[StoredRecord]) -> str:
    """Compare the Recall@1 of the verification note with the record's: neither level allows a larger difference."""
    try:
        note = note_on(stored.path)
    except BenchmarkError:
        return ""  # reading the record reports it
    if note is None or note.tier is Tier.SELF_REPORTED:
        return ""
    said = stored.record.metrics.recall[1]
    points = allowed_of(stored, everyone, "recall@1").points if note.tier is Tier.RETRAINED else TOLERANCE
    if abs(note.recall_at_1 - said) <= points:
        return ""
    return (
        f"found R@1 {note.recall_at_1:.2f}, its record says {said:.2f}: more than the {points:.2f} that "
        f"{note.tier} allows; delete it and verify the record again"
    )
