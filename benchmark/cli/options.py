"""Options shared by several commands."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.errors import UsageError

if TYPE_CHECKING:
    from benchmark.recipe.runtime import Runtime
    from benchmark.submissions.sandbox import SandboxTier

FOLDER = click.Path(path_type=Path)
LEADERBOARDS = click.option(
    "--out", type=FOLDER, default=Path("leaderboards"), show_default=True, help="The folder of records and tables."
)


MOST_SEEDS = 1_000
LARGEST_SEED = 2**32 - 1


class Seeds(click.ParamType[Any]):
    """A number of seeds, counted from 0, or a list of them: "3" is "0,1,2"."""

    name = "seeds"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        return "N|A,B,C"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not parts or not all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts):
            self.fail(f"{value!r} is neither a number of seeds nor a list such as 0,1,2", param, ctx)
        numbers = [int(part) for part in parts]
        is_list = "," in str(value)
        if (len(numbers) if is_list else numbers[0]) > MOST_SEEDS:
            self.fail(f"{value!r}: expected at most {MOST_SEEDS:,} seeds", param, ctx)
        seeds = tuple(numbers) if is_list else tuple(range(numbers[0]))
        if not seeds or len(set(seeds)) < len(seeds):
            self.fail(f"{value!r} names no seed, or one of them twice", param, ctx)
        if max(seeds) > LARGEST_SEED:
            self.fail(f"{value!r}: expected seeds of at most {LARGEST_SEED}", param, ctx)
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
    """NAME=PATH: the folder of a dataset."""

    name = "NAME=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        if isinstance(value, tuple):
            return value
        name, equals, path = str(value).partition("=")
        if not equals or not name or not path:
            self.fail(f"{value!r} is not NAME=PATH, for instance css=data/css", param, ctx)
        return name, Path(path)


PLACES = click.option(
    "--data", "places", multiple=True, type=Place(), help="The folder of a dataset, if not data/NAME."
)


RUNS = click.option(
    "--runs", type=FOLDER, help="The folder of `run`'s models.  [default: runs, then trained/ of this repository]"
)


EXACT = "exact"
INDEX = click.option(
    "--index", type=click.Choice([EXACT, "faiss"]), default=EXACT, show_default=True,
    help="How to search a .npy file of --gallery; faiss (extra faiss) is approximate, and its recall is printed.",
)  # fmt: skip


def require_embeddings(index: str, *, has_file: bool) -> None:
    """Raise UsageError if `--index` names an index and there is no file of embeddings to search with it."""
    if index != EXACT and not has_file:
        raise UsageError(f"--index {index} searches files of embeddings: add --gallery FILE.npy, as `embed` writes")


def runs_and_others(given: Path | None) -> tuple[Path, Path | None]:
    """The folder of `--runs`, and that of the repository's own models where the option was left out."""
    from benchmark.search.trained_models import TRAINED

    return given or Path("runs"), None if given else TRAINED


SKIP_BROKEN = click.option(
    "--skip-broken", is_flag=True, help="Leave out broken images and queries; records say how many."
)


def by_name(places: tuple[tuple[str, Path], ...]) -> dict[str, Path]:
    """The folders by the names of `tasks.folders`. Raises UsageError for a name that no dataset has."""
    from benchmark import tasks as datasets

    return datasets.by_folder(places)


DEVICE = click.option("--device", metavar="NAME", help="cpu, cuda or cuda:N.  [default: a GPU if there is one]")
BATCH_SIZE = click.option(
    "--batch-size", type=click.IntRange(min=1, max=2**24), default=512, show_default=True,
    help="Images or queries encoded at once when scoring; lower it if memory runs out.",
)  # fmt: skip
VALIDATE_EVERY = click.option(
    "--validate-every", type=click.IntRange(min=0), metavar="N",
    help="Run validation every N steps; 0 disables validation.  [default: 5 times in a run]",
)  # fmt: skip
THREADS = click.option(
    "--threads", type=click.IntRange(min=1, max=4096), metavar="N",
    help="CPU threads; a seed gives the same result only with the same number.  [default: OMP_NUM_THREADS, else all "
    "cores that torch may use]",
)  # fmt: skip
COMPILE = click.option("--compile", "compiled", is_flag=True, help="Compile the network with torch.compile.")

GRAPH = click.option(
    "--graph/--no-graph", default=True, show_default=True, help="On a GPU, repeat the training step as one CUDA graph."
)


def make_runtime(
    *, device: str, threads: int | None, batch_size: int, validate_every: int | None, compiled: bool, **others: Any
) -> "Runtime":
    """The runtime of these options; `others` are further fields of it."""
    from benchmark.recipe.runtime import Runtime, available_threads

    return Runtime(
        device=device,
        threads=threads or available_threads(),
        batch_size=batch_size,
        validate_every=validate_every,
        compile=compiled,
        **others,
    )


SANDBOX = click.option(
    "--sandbox", type=click.Choice(["auto", "bubblewrap", "process"]), default="auto", show_default=True,
    help="Sandbox for submitted code; `auto` uses bubblewrap if available.",
)  # fmt: skip

TIME_LIMIT = click.option(
    "--time-limit", type=click.FloatRange(min=1), default=14_400, show_default=True,
    help="Seconds that one process of a submission may take; it is also stopped after 300 s without output.",
)  # fmt: skip
MEMORY_LIMIT = click.option(
    "--memory-limit", type=click.IntRange(min=512), default=8_192, show_default=True,
    help="MiB that a submission's process may take.",
)  # fmt: skip


def sandbox_tier(asked: str) -> "SandboxTier":
    """The sandbox of submitted code on this machine; prints which one it is.

    Raises:
        UsageError: bubblewrap was asked for and does not work here.
    """
    from benchmark.submissions.sandbox import NOT_STOPPED, SandboxTier, best_tier

    best = best_tier()
    if asked == SandboxTier.BUBBLEWRAP and best is not SandboxTier.BUBBLEWRAP:
        raise UsageError("--sandbox bubblewrap: bwrap is not installed, or the kernel does not let it work here")
    tier = best if asked == "auto" else SandboxTier(asked)
    if tier is SandboxTier.BUBBLEWRAP:
        held = "in bubblewrap: it sees the installed packages and its scratch folder, and no network"
    else:
        held = (
            f"with limits and an audit hook, which do not stop code that tries to {'; '.join(NOT_STOPPED[tier])} "
            "(for instance by ctypes): not safe for malicious code, apt install bubblewrap for that"
        )
    click.echo(f"submitted code runs in a process of its own, {held}", err=True)
    return tier
