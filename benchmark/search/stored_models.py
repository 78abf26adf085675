"""Find the models of runs among those that `tirg-bench run` left."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import RunName
from benchmark.recipe.label import slug
from benchmark.records.store import SUBMISSIONS
from benchmark.runs.single_run import MODEL_NAME

_LISTED = 6


def find_model(
    runs: Path, composer: str, dataset: str, preset: str | None, seed: int | None, *, others: Path | None = None
) -> Path:
    """The newest model of that composer on that dataset, of this preset and seed where they are given.

    Args:
        others: a folder of further models, for composers of which `runs` holds none.

    Raises:
        BenchmarkError: there is none; the message names those that are there.
    """
    stored = _stored(runs)
    for found in (stored, _stored(others) if others else []):
        fitting = [path for path in _of(found, preset, seed) if path.parts[-4:-2] == (dataset, composer)]
        if fitting:
            return _newest(fitting)
    if any(runs.glob(f"{SUBMISSIONS}/{composer}-*")):
        raise BenchmarkError(f"{composer} is a submission: its code is run by `check`, `submit` and `verify` alone")
    recipe = "".join(f" --{name} {value}" for name, value in (("preset", preset), ("seed", seed)) if value is not None)
    kindred = [path for path in stored if path.parts[-4:-2] == (dataset, composer)]
    kindred = kindred or [path for path in stored if composer in path.parts[-4:-2] or dataset in path.parts[-4:-2]]
    names = ["/".join(path.parts[-4:-1]) for path in kindred or stored]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    raise BenchmarkError(
        f"{runs} holds no model of {composer} on {dataset}{' with' if recipe else ''}{recipe}; "
        f"there is {', '.join(names[:_LISTED]) or 'none at all'}{more}; "
        f"`tirg-bench run --composer {composer} --dataset {dataset}{recipe}` makes it"
    )


def newest_models(
    runs: Path, dataset: str, preset: str | None, seed: int | None, *, others: Path | None = None
) -> dict[str, Path]:
    """The newest model of every composer on that dataset, of this preset and seed where they are given, by composer.

    The newest comes first. Submissions, whose code is not run here, are left out.

    Args:
        others: a folder of further models, for composers of which `runs` holds none; they come last.

    Raises:
        BenchmarkError: there is none.
    """
    newest: dict[str, Path] = {}
    for folder in (runs, *([others] if others else [])):
        paths = sorted(_of(_stored(folder), preset, seed), key=lambda path: -path.stat().st_mtime_ns)
        for path in paths:
            if path.parts[-4] == dataset and not path.is_relative_to(folder / SUBMISSIONS):
                newest.setdefault(path.parts[-3], path)
    if not newest:
        recipe = "".join(
            f" --{name} {value}" for name, value in (("preset", preset), ("seed", seed)) if value is not None
        )
        raise BenchmarkError(
            f"{runs} holds no model on {dataset}{' with' if recipe else ''}{recipe}; "
            f"`tirg-bench run --composer tirg --dataset {dataset}{recipe}` makes one"
        )
    return newest


def _stored(runs: Path) -> list[Path]:
    usual = Path(MODEL_NAME)
    return sorted(runs.glob(f"*/*/*/{usual.stem}*{usual.suffix}"))


def _of(stored: Sequence[Path], preset: str | None, seed: int | None) -> list[Path]:
    """The models of this preset and seed, where they are given."""
    names = {path: RunName.parse(path.parent.name) for path in stored}
    return [
        path
        for path, name in names.items()
        if name and (preset is None or name.preset == slug(preset)) and (seed is None or name.seed == str(seed))
    ]


def _newest(paths: Sequence[Path]) -> Path:
    return max(paths, key=lambda path: path.stat().st_mtime_ns)
