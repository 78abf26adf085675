"""The trained models of this repository, with which `search` and `serve` answer before anything is trained.

They are in `trained/`, placed as `tirg-bench run` places the models of runs, in half precision and each with a card.
To replace one, from the repository's root:

    python -c "from benchmark.search.trained_models import keep; keep('runs/.../model.safetensors', data='data/css')"
"""

from dataclasses import replace
from pathlib import Path

from benchmark import tasks
from benchmark.errors import BenchmarkError
from benchmark.runs.recipes import label_on
from benchmark.runs.single_run import MODEL_NAME
from benchmark.scoring.metrics import Metrics
from benchmark.search.model import Model
from benchmark.training.checkpoint import Checkpoint
from css_gen.progress import Silent
from css_gen.storage.atomic import write_atomically
from models.registry import get

TRAINED = Path(__file__).parents[2] / "trained"
"""Their folder; an installed wheel has none."""

CARD_NAME = "README.md"
MOST_BYTES = 4 * 2**20
_SHOWN = {"recall@1": "R@1", "recall@5": "R@5", "recall@10": "R@10", "map@10": "mAP@10"}


def keep(model: str | Path, *, data: str | Path, out: Path = TRAINED) -> Path:
    """Write a model of a run in half precision, beside a card with its scores in that precision; return its file.

    Args:
        model: a finished model's file.
        data: the folder of its task's data, on whose test split it is scored.

    Raises:
        BenchmarkError: the file or the data cannot be read, or the model is larger than 4 MiB in half precision, or
            has weights that are too large for it.
    """
    checkpoint = halved(Checkpoint.read(Path(model)))
    content = checkpoint.content()
    if len(content) > MOST_BYTES:
        raise BenchmarkError(f"{model}: has {len(content):,} bytes in half precision; expected at most {MOST_BYTES:,}")
    scored = Model(checkpoint, device="cpu", reporter=Silent()).score(data=data)
    run = checkpoint.run
    place = out / run.identity.place(label_on(run.task, run.recipe)) / MODEL_NAME
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(place.parent / CARD_NAME, model_card(checkpoint, scored, size=len(content)).encode())
    write_atomically(place, content)
    return place


def halved(checkpoint: Checkpoint) -> Checkpoint:
    """Return the model of a checkpoint in half precision, without the state of its optimiser.

    Raises:
        BenchmarkError: a weight is too large for half precision.
    """
    tensors = {
        name: value.half() if value.is_floating_point() else value
        for name, value in checkpoint.tensors.items()
        if name.startswith("model.")
    }
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise BenchmarkError(f"{name} has values that half precision cannot hold")
    return replace(checkpoint, tensors=tensors)


def model_card(checkpoint: Checkpoint, scored: Metrics, *, size: int) -> str:
    """Return the card of a model, in Markdown.

    Args:
        scored: of this very model, on the test split of its task.
        size: of its file, in bytes.
    """
    run, task = checkpoint.run, tasks.get(checkpoint.run.task)
    composer = get(run.composer).info
    parameters = sum(value.numel() for value in checkpoint.network().parameters())
    shown = {name: title for name, title in _SHOWN.items() if name in scored.scores}
    dataset = "" if task.name == "css" else f" --dataset {task.name}"
    return f"""# {composer.title} on {task.title}

Given an image and a text that says what to change, this model finds the image after the change. Its composer is
{composer.title}: [{composer.paper}]({composer.url}).

    tirg-bench search --composer {run.composer}{dataset} --image 3 --text "add purple triangle to top-left"

| {" | ".join(shown.values())} | R@1 of a random order |
|{"--:|" * (len(shown) + 1)}
| {" | ".join(f"{scored.scores[name]:.1f}" for name in shown)} | {scored.scores["chance@1"]:.2f} |

In percent, of this file, on the test split of the data with fingerprint `{run.fingerprint[:8]}`; the training split is
what it was trained on.

- Recipe {label_on(run.task, run.recipe)}, {checkpoint.steps:,} steps, seed {run.seed}
- Images of {run.recipe.data.image_size} pixels; {parameters:,} parameters in half precision, {size / 1e6:.1f} MB
- Reading the file runs no code
- It knows the words of its training texts and the kind of scenes that it was trained on; nothing is known about
  photographs
"""
