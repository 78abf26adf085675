"""Files exchanged with a submission's process: training data, questions and answers. Nothing is pickled.

A training folder has nothing of the test split. Questions are features of query images and texts, in random order.
"""

import json
import stat
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from benchmark.datasets.relevance import Relevance
from benchmark.datasets.splits import Queries, Rows, Split
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.training.samplers import Batch, Sampler
from css_gen.storage.atomic import write_atomically, written_atomically
from models.base import TextFeatures

TRAINING, ASKED, ANSWERED = "training", "asked", "answered"
STATE, MODEL = "training.safetensors", "model.safetensors"
_OF_BATCHES = tuple(field.name for field in fields(Batch))
_LARGEST_ANSWER = 2 * 2**30
LARGEST_MODEL = 4 * 2**30


class AnswerError(BenchmarkError):
    """Raised when a file that a submission's process wrote is missing or invalid; the submission is to blame."""


def require_file(path: Path, most: int) -> None:
    """Check that a process left a regular file there, of at most that many bytes.

    A link would lead out of its folder, and opening a pipe would wait for ever.

    Raises:
        AnswerError: it did not.
    """
    try:
        found = path.lstat()
    except OSError:
        raise AnswerError(f"it left no {path.name}") from None
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        raise AnswerError(f"{path.name} is not a regular file of at most {most:,} bytes")


class RecordedBatches:
    """A sampler's batches, recorded step by step, all of one size."""

    def __init__(self, parts: Mapping[str, Rows]) -> None:
        self._parts = parts

    def batch(self, step: int) -> Batch:
        return Batch(**{name: part[step] for name, part in self._parts.items()})


def write_training(folder: Path, training: Split, sampler: Sampler, identity: Run) -> None:
    """Write what training needs, and nothing else: images, texts, labels, right answers, batches, recipe.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {"gallery": training.gallery, "labels": training.labels}
    if training.sources is not training.gallery:
        arrays["sources"] = training.sources
    if training.relevant is not None:
        arrays |= {"relevant-indptr": training.relevant.indptr, "relevant-labels": training.relevant.labels}
    for name, array in arrays.items():
        _save_array(folder / f"{name}.npy", array)
    batches = [sampler.batch(step) for step in range(identity.recipe.training.steps)]
    for name in _OF_BATCHES:
        _save_array(folder / f"batch-{name}.npy", np.stack([getattr(batch, name) for batch in batches]))
    write_atomically(folder / "texts.json", json.dumps(training.texts).encode())
    write_atomically(folder / "identity.json", json.dumps(identity.to_json()).encode())


def read_training(folder: Path) -> tuple[Split, RecordedBatches, Run]:
    """Read what `write_training` wrote. The split has no queries: the batches have all that training needs."""
    gallery = np.load(folder / "gallery.npy", mmap_mode="r")
    own_sources, indptr = folder / "sources.npy", folder / "relevant-indptr.npy"
    relevant = Relevance(np.load(indptr), np.load(folder / "relevant-labels.npy")) if indptr.exists() else None
    nothing = np.zeros(0, dtype=np.int64)
    split = Split(
        sources=np.load(own_sources, mmap_mode="r") if own_sources.exists() else gallery,
        gallery=gallery,
        labels=np.load(folder / "labels.npy"),
        queries=Queries((), nothing, nothing, nothing, (), {}),
        further_texts=tuple(json.loads((folder / "texts.json").read_text())),
        relevant=relevant,
    )
    parts = {name: np.load(folder / f"batch-{name}.npy") for name in _OF_BATCHES}
    identity = Run.from_json(json.loads((folder / "identity.json").read_text()))
    return split, RecordedBatches(parts), identity


def write_question(folder: Path, number: int, image: Tensor, text: TextFeatures) -> None:
    """Write the features of some queries, as the composer gets them."""
    tensors = {"image": image, "pooled": text.pooled, "tokens": text.tokens, "mask": text.mask}
    content = save({name: value.contiguous().cpu() for name, value in tensors.items()})
    write_atomically(folder / _name(number), content)


def read_question(path: Path, device: torch.device) -> tuple[Tensor, TextFeatures]:
    found = {name: value.to(device) for name, value in load_file(path).items()}
    return found["image"], TextFeatures(found["pooled"], found["tokens"], found["mask"])


def write_answer(folder: Path, name: str, composed: Tensor) -> None:
    write_atomically(folder / name, save({"composed": composed.float().contiguous().cpu()}))


def read_answer(folder: Path, number: int, shape: torch.Size) -> Tensor:
    """Read the composer's answer to a question.

    Raises:
        AnswerError: the file is missing, or does not hold finite numbers of that shape.
    """
    path = folder / _name(number)
    require_file(path, _LARGEST_ANSWER)
    try:
        composed = load_file(path)["composed"]
    except (OSError, SafetensorError, KeyError) as error:
        raise AnswerError(f"its answers cannot be read ({type(error).__name__})") from None
    if composed.shape != shape or composed.dtype != torch.float32:
        raise AnswerError(f"it answered with {tuple(composed.shape)} features, expected {tuple(shape)}")
    if not composed.isfinite().all():
        raise AnswerError("it gave NaN or infinity for a test query, after training")
    return composed


def _name(number: int) -> str:
    return f"{number:05d}.safetensors"


def _save_array(path: Path, array: NDArray[Any]) -> None:
    with written_atomically(path) as file:
        np.save(file, array)
