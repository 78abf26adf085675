"""Find the model of a run among those that `tirg-bench run` left."""

from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import RunName
from benchmark.recipe.label import slug
from benchmark.records.store import SUBMISSIONS
from benchmark.runs.single_run import MODEL_NAME

_LISTED = 6


def find_model(runs: Path, composer: str, dataset: str, preset: str | None, seed: int | None) -> Path:
    """The newest model of that composer on that dataset, of this preset and seed where they are given.

    Raises:
        BenchmarkError: there is none; the message names those that are there.
    """
    usual = Path(MODEL_NAME)
    stored = sorted(runs.glob(f"*/*/*/{usual.stem}*{usual.suffix}"))
    fitting = []
    for path in stored:
        name = RunName.parse(path.parent.name)
        asked = name and (preset is None or name.preset == slug(preset)) and (seed is None or name.seed == str(seed))
        if path.parts[-4:-2] == (dataset, composer) and asked:
            fitting.append(path)
    if fitting:
        return max(fitting, key=lambda path: path.stat().st_mtime_ns)
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
