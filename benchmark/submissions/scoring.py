"""Score a submission's model: its process gets the features of one query at a time, in an order that nobody knows.

Encoders, head, gallery and ranking stay in this process.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from secrets import randbits

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.datasets.splits import Split
from benchmark.errors import BenchmarkError
from benchmark.scoring.evaluation import Evaluation, embed_gallery, encode_queries, rank
from models.base import TextFeatures
from models.network import Network

_ASKED_TWICE, _AT_LEAST = 0.02, 20
_TOLERANCES = {"fp32": 1e-3, "bf16": 3e-2}
"""Of the distance between two embeddings of length one, by precision."""


Question = tuple[Tensor, TextFeatures]
"""Features of the image and the text of a query."""


class AnswerError(BenchmarkError):
    """Raised when the answers to a query differ; the submission is to blame."""


def score(
    started: Callable[[], AbstractContextManager[Network]],
    split: Split,
    *,
    accelerator: Accelerator,
    batch_size: int,
    precision: str,
) -> Evaluation:
    """Rank the split's gallery for each query.

    Some queries are asked a second time, of a new process: an answer may not depend on earlier queries.

    Args:
        started: the network, with its composer in a new process.
        batch_size: of the encoders; the composer gets one query at a time.

    Raises:
        AnswerError: a query has two answers.
        ValueError: an embedding is not finite.
        SubmissionError: the process failed, or an answer is not what it has to be.
    """
    rng = np.random.default_rng(randbits(128))  # of os.urandom
    order = rng.permutation(len(split.queries))
    twice = rng.choice(order, min(len(order), max(_AT_LEAST, round(_ASKED_TWICE * len(order)))), replace=False)
    kept: dict[int, Question] = {}

    def embed(network: Network, questions: Iterable[Question]) -> Tensor:
        with accelerator.autocast():
            composed = torch.cat([network.compose(*question) for question in questions])
            return (network.embed_images(composed) / network.scale).float().cpu()

    with started() as network, torch.inference_mode():
        embedded = torch.empty((len(order), network.head.out_features))
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        questions = encode_queries(network, split, batches, accelerator=accelerator)
        for rows, (image, text) in zip(batches, questions, strict=True):
            singly = [_row(image, text, place) for place in range(len(rows))]
            embedded[torch.from_numpy(rows)] = embed(network, singly)
            kept |= {row: singly[place] for place, row in enumerate(rows.tolist()) if row in twice}
    with started() as network, torch.inference_mode():
        # The same features as the first time: encoded in another batch they would be rounded differently.
        repeated = embed(network, [kept[row] for row in twice.tolist()])
    gallery = embed_gallery(network, split.gallery, accelerator=accelerator, batch_size=batch_size)
    found = rank(embedded.to(accelerator.device), gallery, split)
    _require_same(embedded[torch.from_numpy(twice)], repeated, _TOLERANCES[precision])
    return found


def _row(image: Tensor, text: TextFeatures, place: int) -> Question:
    """Features of one query, laid out in memory as those of the batch."""
    return image[place : place + 1], TextFeatures(*(part[place : place + 1] for part in text))


def _require_same(first: Tensor, second: Tensor, tolerance: float) -> None:
    """Raises AnswerError if a query that was asked twice has two answers, whose embeddings (B, D) these are.

    Embeddings are what is ranked: a difference between features can be small beside features that the head ignores.

    Args:
        first: finite.
    """
    if not ((first - second).norm(dim=1) <= tolerance).all():
        raise AnswerError(
            "it gave another answer to a test query in another process: its output depends on what it saw before"
        )
