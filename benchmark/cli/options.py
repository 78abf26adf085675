"""What several commands take: where datasets lie, and where leaderboards do."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.errors import UsageError

if TYPE_CHECKING:
    from benchmark.submissions.sandbox import SandboxTier

FOLDER = click.Path(path_type=Path)
LEADERBOARDS = click.option(
    "--out", type=FOLDER, default=Path("leaderboards"), show_default=True, help="The folder of records and tables."
)


class Seeds(click.ParamType[Any]):
    """A number of seeds, counted from 0, or a list of them: "3" is "0,1,2"."""

    name = "seeds"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "N|A,B,C"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not parts or not all(part.isdigit() for part in parts):
            self.fail(f"{value!r} is neither a number of seeds nor a list such as 0,1,2", param, ctx)
        seeds = tuple(map(int, parts))
        if "," not in str(value):
            seeds = tuple(range(seeds[0]))
        if not seeds or len(set(seeds)) < len(seeds):
            self.fail(f"{value!r} names no seed, or one of them twice", param, ctx)
        return seeds


SEEDS = Seeds()


class Names(click.ParamType[Any]):
    """Names with commas between them, each once."""

    name = "names"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "A,B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = [part.strip() for part in str(value).split(",") if part.strip()]
        if not names or len(set(names)) < len(names):
            self.fail(f"{value!r} names nothing, or something twice", param, ctx)
        return tuple(names)


class Place(click.ParamType[Any]):
    """NAME=PATH: where a dataset lies."""

    name = "NAME=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        if isinstance(value, tuple):
            return value
        name, equals, path = str(value).partition("=")
        if not equals or not name or not path:
            self.fail(f"{value!r} is not NAME=PATH, for instance css=data/css", param, ctx)
        return name, Path(path)


PLACES = click.option(
    "--data", "places", multiple=True, type=Place(), help="Where a dataset lies, if not in data/NAME."
)


def by_name(places: tuple[tuple[str, Path], ...]) -> dict[str, Path]:
    """The folders by the names of `tasks.folders`. Raises UsageError for a name that no dataset has."""
    from benchmark import tasks as datasets

    return datasets.by_folder(places)


SANDBOX = click.option(
    "--sandbox", type=click.Choice(["auto", "bubblewrap", "process"]), default="auto", show_default=True,
    help="What holds a submission's process; auto is bubblewrap where it works.",
)  # fmt: skip

TIME_LIMIT = click.option(
    "--time-limit", type=click.FloatRange(min=1), default=14_400, show_default=True,
    help="Seconds that one process of a submission may take; no sign of life for 300 ends it, too.",
)  # fmt: skip
MEMORY_LIMIT = click.option(
    "--memory-limit", type=click.IntRange(min=512), default=8_192, show_default=True,
    help="MiB that a submission's process may take.",
)  # fmt: skip


def sandbox_tier(asked: str) -> "SandboxTier":
    """What holds submissions here; says so to the person.

    Raises:
        UsageError: bubblewrap was asked for and does not work here.
    """
    from benchmark.submissions.sandbox import SandboxTier, best_tier

    best = best_tier()
    if asked == SandboxTier.BUBBLEWRAP and best is not SandboxTier.BUBBLEWRAP:
        raise UsageError("--sandbox bubblewrap: bwrap is not installed, or the kernel does not let it work here")
    tier = best if asked == "auto" else SandboxTier(asked)
    if tier is SandboxTier.BUBBLEWRAP:
        held = "in bubblewrap: it sees the installed packages and its scratch folder, and no network"
    else:
        held = "with limits and an audit hook: no guard against malice, as bubblewrap is (apt install bubblewrap)"
    click.echo(f"submitted code runs in a process of its own, {held}", err=True)
    return tier
