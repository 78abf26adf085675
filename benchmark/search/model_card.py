"""The card of a trained model on the Hugging Face Hub: its README.md, with results in the Hub's formats.

Every number is of the record of that very model. `model-index` in the card's header is read by the Hub's model page. A
file in `.eval_results/` is read by the leaderboard of a dataset repository, so it needs the name of that repository.
"""

from pathlib import Path
from typing import NamedTuple

from benchmark import tasks
from benchmark.records.schema import RunRecord
from benchmark.records.store import StoredRecord
from benchmark.scoring.recall import KS
from benchmark.tasks.base import Task
from css_gen.storage.configuration import SWITCHES, Configuration

TASK_TYPE = "composed-image-retrieval"


class _Scored(NamedTuple):
    """What a model was scored on, and its scores in percent by the names of a record.

    Attributes:
        kind: the Hub's type of the data. Results of one type are shown under the name of the first, so each name has a
            type of its own.
    """

    kind: str
    name: str
    split: str
    fingerprint: str
    queries: int
    scores: dict[str, float]


_METRICS = {
    **{f"recall@{k}": f"R@{k}" for k in KS},
    "map@10": "mAP@10",
    "drawn_recall@1": "Drawn R@1",
}


def model_card(stored: StoredRecord, repo: str, *, dataset: str | None = None) -> str:
    """Return the card of the model that a record is of.

    Args:
        repo: its repository, USER/NAME.
        dataset: the repository of the data, if there is one.
    """
    from huggingface_hub import EvalResult, ModelCardData

    record = stored.record
    task = tasks.get(record.protocol)
    results = [
        EvalResult(
            task_type=TASK_TYPE, task_name="Composed image retrieval", dataset_type=of.kind, dataset_name=of.name,
            dataset_split=of.split, dataset_args={"fingerprint": of.fingerprint, "queries": of.queries},
            metric_type=metric.replace("@", "_at_"), metric_name=_METRICS[metric], metric_value=round(value, 2),
        )
        for of in _scored(record, task)
        for metric, value in of.scores.items()
    ]  # fmt: skip
    data = ModelCardData(
        license="apache-2.0" if task.is_rendered else None,
        language="en",
        library_name="css-bench",
        tags=[TASK_TYPE, task.name, record.composer.name],
        datasets=[dataset] if dataset else None,
        model_name=repo.partition("/")[2],
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{_text(stored, task, repo)}"


def eval_results(record: RunRecord, dataset: str) -> str:
    """Return the content of `.eval_results/TASK.yaml`: Recall@1 in percent, for the leaderboard of a dataset's
    repository."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump  # type: ignore[attr-defined]  # not in its __all__

    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=record.protocol,
        value=round(record.metrics.recall[1], 2),
        date=f"{record.created.isoformat()}T00:00:00Z",
        notes=f"R@1 in percent, {record.preset}, seed {record.seed}, fingerprint {record.dataset.fingerprint}",
    )
    return yaml_dump(eval_result_entries_to_yaml([entry]))


def _scored(record: RunRecord, task: Task) -> list[_Scored]:
    shown = [name for name in _METRICS if task.has_exact_answers or name.startswith("recall@")]
    split = str(record.configuration.get("evaluation.split", "test"))
    scores = {name: record.metrics.scores[name] for name in shown if name in record.metrics.scores}
    data = record.dataset
    found = [_Scored(task.name, task.title, split, data.fingerprint, data.queries, scores)]
    if fresh := record.fresh:
        name = f"{task.title}, a fresh test set (seed {fresh.seed})"
        again = {f"recall@{k}": fresh.recall[k] for k in KS}
        found.append(_Scored(f"{task.name}-fresh", name, "test", fresh.fingerprint, fresh.queries, again))
    return found


def _text(stored: StoredRecord, task: Task, repo: str) -> str:
    record = stored.record
    composer, training, data, device = record.composer, record.training, record.dataset, record.environment.device
    scored = _scored(record, task)
    headings = list(scored[0].scores)
    rows = "\n".join(
        f"| {of.name} | {of.split} | {of.queries:,} "
        + "".join(f"| {of.scores[each]:.1f} " if each in of.scores else "| - " for each in headings)
        + "|"
        for of in scored
    )
    chance = f"{record.metrics.scores['chance@1']:.2f}"
    render = f"    {render_command(data.rendering)} --out {Path('data', task.folder)}\n" if data.rendering else ""
    dataset = "" if task.name == "css" else f" --dataset {task.name}"
    drawn = "\nDrawn R@1 counts only the scene that was drawn as the target, as the TIRG paper does."
    photographs = "\nThe images are simple rendered scenes; nothing is known about photographs."
    return f"""# {composer.title} on {task.title}

A model for composed image retrieval: a query is an image and a text that says what to change, and the answer is the
image after the change. CSS-bench trained it with the recipe {record.preset}, seed {record.seed}. Its composer is
{composer.title}: [{composer.paper}]({composer.url}).

## Use

With CSS-bench and its extra `hub` installed:

{render}    tirg-bench pull {repo}
    tirg-bench search --composer {composer.name}{dataset} --image 3 --text "{_example(task)}"

`pull` prints the path of the model, which `benchmark.load_model` loads in Python. Loading it runs no code that comes
with it.

## Results

| Data | Split | Queries | {" | ".join(_METRICS[each] for each in headings)} |
|---|---|--:{"|--:" * len(headings)}|
{rows}

R@K is the percentage of queries with a relevant image among the first K of the {data.gallery:,} images, which never
include the query's own source. A random order has R@1 {chance}.{drawn if task.has_exact_answers else ""}

The numbers are those of one run, whose record is in `records/`. How far they were checked: {stored.tier}. After `pull`,
`tirg-bench verify` scores the model again.

## Training

- {training.steps:,} steps, {training.queries_seen:,} queries; {training.wall_seconds:.0f} s on {device}
- {record.parameters.total:,} parameters, {record.parameters.composer:,} of them in the composer
- data of fingerprint `{data.fingerprint}`
- recipe `{record.recipe_hash[:8]}`; the record has each value that is not the default

## Limits

The model knows the words and the kind of images that it was trained on.{photographs if task.is_rendered else ""}
"""


def _example(task: Task) -> str:
    return "make top-left cube red" if task.is_rendered and not task.track else "TEXT"


def render_command(rendering: object) -> str:
    """Return the command that renders a dataset, from its configuration in a record.

    >>> render_command(Configuration(images=4000, size=64, seed=3).to_json())
    'css-gen render --n 4000 --seed 3 --size 64'
    """
    values = Configuration.from_json(rendering).to_json()
    defaults = Configuration(images=1).to_json() | {"test-fraction": 0.5}
    words = ["css-gen render"]
    for name, value in values.items():
        if name == "jitter":
            fixed = [each for each in SWITCHES if each not in value]
            words += [f"--no-jitter {','.join(fixed)}"] if fixed else []
        elif name in ("n", "train", "test") or value != defaults.get(name):
            words.append(f"--{name} {','.join(map(str, value)) if isinstance(value, list) else value}")
    return " ".join(words)
