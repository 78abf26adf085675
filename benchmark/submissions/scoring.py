"""Score a submission's model. Its process sees features of queries, in random order.

Encoders, head, gallery and ranking stay in this process.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.datasets.splits import Split
from benchmark.device import make_accelerator
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.scoring.evaluation import Evaluation, embed_gallery, encode_queries, rank
from benchmark.submissions.exchange import (
    ASKED,
    LARGEST_MODEL,
    AnswerError,
    read_answer,
    require_file,
    write_question,
)
from benchmark.training.checkpoint import Checkpoint, load_model
from benchmark.training.model import empty_network
from models.base import TextFeatures
from models.network import Network

_IDLE, _COMPOSER = "image_only", "model.composer."
_ASKED_TWICE = 64
_TOLERANCES = {"fp32": 1e-3, "bf16": 3e-2}
"""Of the largest number of a query's composed features: batches of other sizes round differently, by precision."""

Question = tuple[Tensor, TextFeatures]
"""Features of the images and texts of some queries."""


def read_model(path: Path, identity: Run) -> tuple[Network, int]:
    """Read encoders and head of the model that a submission's process wrote, and count its composer's numbers.

    The network gets a composer that does nothing in place of the submission's.

    Raises:
        AnswerError: the file is missing, damaged or of another run, or its encoders are not the recipe's.
    """
    require_file(path, LARGEST_MODEL)
    try:
        checkpoint = Checkpoint.read(path)
        if not checkpoint.run.is_the_same(identity):
            raise AnswerError(f"its model is not that of {identity}")
        if not all(value.isfinite().all() for value in checkpoint.tensors.values()):
            raise AnswerError("its trained model holds NaN or infinity")
        network = empty_network(_IDLE, identity.recipe.model, checkpoint.tokenizer, spatial=identity.spatial)
        own = {name: value for name, value in checkpoint.tensors.items() if name.startswith(_COMPOSER)}
        load_model(network, {name: value for name, value in checkpoint.tensors.items() if name not in own})
    except AnswerError:
        raise
    except BenchmarkError as error:
        raise AnswerError(f"its model cannot be read: {error}") from None
    return network.eval(), sum(value.numel() for value in own.values())


def score(
    network: Network, split: Split, *, identity: Run, runtime: Runtime, folder: Path, compose: Callable[[], Path]
) -> Evaluation:
    """Rank the split's gallery for each query.

    Some queries are asked a second time, in a batch of their own: an answer may not depend on the other queries of its
    batch or on earlier ones.

    Args:
        network: as `read_model` gives it.
        folder: the questions are written into `asked/` in it.
        compose: has them answered, and returns the folder of the answers.

    Raises:
        AnswerError: an answer is missing, broken, or not the same the second time.
    """
    config = identity.recipe
    size = runtime.batch_size
    accelerator = make_accelerator(runtime.device, config.training.precision)
    network.arrange(accelerator.device, config.data.image_size)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(identity.seed, spawn_key=(3,))))
    order = rng.permutation(len(split.queries))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    twice = rng.choice(order, min(len(order), _ASKED_TWICE), replace=False)
    (folder / ASKED).mkdir(parents=True, exist_ok=True)
    again: dict[int, Question] = {}
    shapes = []
    questions = encode_queries(network, split, batches, accelerator=accelerator)
    for number, (rows, question) in enumerate(zip(batches, questions, strict=True)):
        write_question(folder / ASKED, number, *question)
        shapes.append(question[0].shape)
        again |= {int(rows[place]): _row(question, int(place)) for place in np.flatnonzero(np.isin(rows, twice))}
    # The same features as the first time: encoded in another batch they would be rounded differently.
    write_question(folder / ASKED, len(batches), *_joined([again[query] for query in twice.tolist()]))
    answers = compose()
    embedded = torch.empty((len(order), config.model.embedding_width))
    first: dict[int, Tensor] = {}
    for number, (rows, shape) in enumerate(zip(batches, shapes, strict=True)):
        composed = read_answer(answers, number, shape)
        first |= {int(rows[place]): composed[place] for place in np.flatnonzero(np.isin(rows, twice)).tolist()}
        with torch.inference_mode(), accelerator.autocast():
            query = network.embed_images(composed.to(accelerator.device)) / network.scale
        embedded[torch.from_numpy(rows)] = query.float().cpu()
    second = read_answer(answers, len(batches), torch.Size((len(twice), *shapes[0][1:])))
    _require_same(
        torch.stack([first[query] for query in twice.tolist()]), second, _TOLERANCES[config.training.precision]
    )
    gallery = embed_gallery(network, split.gallery, accelerator=accelerator, batch_size=size)
    return rank(embedded.to(accelerator.device), gallery, split)


def _row(question: Question, place: int) -> Question:
    """Return one row, on the CPU."""
    image, text = question
    return image[[place]].cpu(), TextFeatures(*(part[[place]].cpu() for part in text))


def _joined(questions: Sequence[Question]) -> Question:
    """Join all rows; the texts are padded to the split's longest, so they have one length."""
    images, texts = zip(*questions, strict=True)
    return torch.cat(images), TextFeatures(*map(torch.cat, zip(*texts, strict=True)))


def _require_same(first: Tensor, second: Tensor, tolerance: float) -> None:
    """Raises AnswerError if a query that was asked twice has two answers."""
    first, second = first.flatten(1), second.flatten(1)
    largest = first.abs().amax(dim=1).clamp(min=1e-6)
    if ((first - second).abs().amax(dim=1) > tolerance * largest).any():
        raise AnswerError(
            "it gave another answer to a test query in another batch: its output depends on the batch or on what it "
            "saw before"
        )
