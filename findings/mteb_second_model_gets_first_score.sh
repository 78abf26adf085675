#!/usr/bin/env bash
# mteb 2.26.0: evaluating a second model of one's own returns the scores of the first, without a warning.
#
# Whoever compares their own encoders writes a class on mteb.models.AbsEncoder, whose `mteb_model_meta` is None, and
# calls mteb.evaluate(model, task) for one checkpoint after another. For two models on the same task, mteb does this:
#
#     mteb.evaluate(finds_everything, task)        hit_rate_at_1 1.0
#     mteb.evaluate(finds_nothing, task)           hit_rate_at_1 1.0; the model is not asked for one embedding
#     mteb.evaluate(finds_nothing, task, cache=None)          hit_rate_at_1 0.0
#     mteb.evaluate(finds_nothing, task), named by a ModelMeta of its own      hit_rate_at_1 0.0
#
# Results are cached by the names of model and task, by default, in ~/.cache/mteb, so also from one process to the next.
# Without a ModelMeta each model is called "no_model_name/available", revision "no_revision_available". That a result
# was taken from the cache is logged at INFO, which Python does not show. The scores of a table of checkpoints are then
# all those of the first one.
#
# The script installs mteb in a temporary folder, makes a task of 20 texts, and fails if mteb behaves otherwise.
# SITE=/path/to/site-packages[:...] borrows mteb's dependencies instead of downloading them. Seen with torch 2.14.1 and
# Python 3.11 on Linux:
#
#     mteb 2.26.0
#     finds everything:                  hit_rate_at_1 1.0, 40 texts embedded, named no_model_name/available
#     finds nothing:                     hit_rate_at_1 1.0, 0 texts embedded, named no_model_name/available
#     finds nothing, cache=None:         hit_rate_at_1 0.0, 40 texts embedded, named no_model_name/available
#     finds nothing, with its own name:  hit_rate_at_1 0.0, 40 texts embedded, named me/finds-nothing
#     0 warnings
#     as described
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-python3}
"$python" -m venv "$folder/venv"
if [ -n "${SITE:-}" ]; then
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps mteb==2.26.0
    export PYTHONPATH=$SITE
else
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
        mteb==2.26.0 torch==2.14.1 transformers==5.24.0 datasets==5.2.0
fi

cd "$folder"
export MTEB_CACHE=$folder/cache HF_HUB_OFFLINE=1
"$folder/venv/bin/python" - 2> log <<'PYTHON' || { cat log; exit 1; }
import logging
import warnings

import mteb
import numpy as np
from datasets import Dataset
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder

messages = []


class Kept(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())


logging.getLogger("mteb").addHandler(Kept(logging.WARNING))
print("mteb", mteb.__version__)


class Numbers(AbsTaskRetrieval):
    """Find the text with the same number."""

    metadata = TaskMetadata(
        name="Numbers", description="Find the text with the same number.", reference=None, type="Retrieval",
        category="t2t", modalities=["text"], eval_splits=["test"], eval_langs=["eng-Latn"],
        main_score="hit_rate_at_1", dataset={"path": "local/numbers", "revision": "1"},
    )

    def load_data(self, num_proc=None, **_):
        numbers = range(20)
        self.dataset = {"default": {"test": {
            "corpus": Dataset.from_list([{"id": f"d{n}", "title": "", "text": f"number {n}"} for n in numbers]),
            "queries": Dataset.from_list([{"id": f"q{n}", "text": f"number {n}"} for n in numbers]),
            "relevant_docs": {f"q{n}": {f"d{n}": 1} for n in numbers},
            "top_ranked": None,
        }}}
        self.data_loaded = True


class Mine(AbsEncoder):
    """Embeds a text by its number. With a shift, a query is like the document that follows its own."""

    def __init__(self, shift):
        self.shift, self.embedded = shift, 0

    def encode(self, inputs, *, prompt_type=None, **_):
        texts = [text for batch in inputs for text in batch["text"]]
        self.embedded += len(texts)
        shift = self.shift if prompt_type == "query" else 0
        return np.eye(20, dtype=np.float32)[[(int(text.split()[1]) + shift) % 20 for text in texts]]


def shown(title, model, expected, **options):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = mteb.evaluate(model, Numbers(), show_progress_bar=False, **options)
    messages.extend(str(each.message) for each in warned if "mteb" in str(each.filename))
    score = result.task_results[0].scores["test"][0]["hit_rate_at_1"]
    print(f"{title + ':':34} hit_rate_at_1 {score}, {model.embedded} texts embedded, named {result.model_name}")
    if (score, model.embedded) != expected:
        raise SystemExit(f"changed: expected hit_rate_at_1 {expected[0]} and {expected[1]} texts")


shown("finds everything", Mine(0), (1.0, 40))
shown("finds nothing", Mine(1), (1.0, 0))
shown("finds nothing, cache=None", Mine(1), (0.0, 40), cache=None)
named = Mine(1)
named.mteb_model_meta = ModelMeta.create_empty({"name": "me/finds-nothing", "revision": "1"})
shown("finds nothing, with its own name", named, (0.0, 40))
print(len(messages), "warnings")
if messages:
    raise SystemExit(f"changed: {messages[0]}")
print("as described")
PYTHON
