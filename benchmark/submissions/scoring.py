"""Scores of a submission's model. Its process sees features of queries, in an order of ours.

Encoders, head, gallery and ranking are here.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.batches import Rows
from benchmark.checkpoint import Checkpoint, Identity, load_model
from benchmark.datasets.base import Split
from benchmark.device import make_accelerator
from benchmark.errors import BenchmarkError
from benchmark.evaluation import Evaluation, embed_gallery, rank
from benchmark.images import ImageStore
from benchmark.network import Network, take_rows
from benchmark.submissions.exchange import ASKED, AnswerError, read_answer, write_question
from models.base import TextFeatures

_IDLE, _COMPOSER = "image_only", "model.composer."
_ASKED_TWICE = 64
_TOLERANCE = 1e-3
"""Of the largest number of a query's composed features: batches of other sizes round otherwise."""


def read_model(path: Path, identity: Identity) -> Network:
    """Encoders and head of the model that a submission's process wrote, with an idle composer in the place of its own.

    Raises:
        BenchmarkError: the file is damaged, of another run, or its encoders are not those of the recipe.
    """
    if path.is_symlink():
        raise BenchmarkError(f"{path}: expected a model, got a link")
    checkpoint = Checkpoint.read(path)
    if checkpoint.identity != identity:
        raise BenchmarkError(f"{path}: is not the model of {identity}, seed {identity.seed}")
    if not all(value.isfinite().all() for value in checkpoint.tensors.values()):
        raise BenchmarkError(f"{path}: the trained model holds NaN or infinity")
    config = identity.config.model.model_copy(update={"pretrained": ""})
    network = Network(_IDLE, config, checkpoint.vocabulary, spatial=identity.spatial)
    load_model(network, {name: value for name, value in checkpoint.tensors.items() if not name.startswith(_COMPOSER)})
    return network.eval()


def score(
    network: Network, split: Split, *, identity: Identity, device: str, folder: Path, compose: Callable[[], Path]
) -> Evaluation:
    """Rank the split's gallery for each query.

    Some queries are asked twice, in different batches: an answer that depends on its neighbours or on what was asked
    before is no answer.

    Args:
        network: as `read_model` gives it.
        folder: where the questions are put, in `asked/`.
        compose: has them answered, and gives the folder of the answers.

    Raises:
        AnswerError: an answer is missing, broken, or not the same the second time.
    """
    config = identity.config
    accelerator = make_accelerator(device, config.training.precision)
    network.arrange(accelerator.device, config.data.image_size)
    order = _order(len(split.queries), seed=identity.seed)
    chunks = [order[start : start + config.evaluation.chunk] for start in range(0, len(order), config.evaluation.chunk)]
    (folder / ASKED).mkdir(parents=True, exist_ok=True)
    shapes = []
    for number, (image, text) in enumerate(_questions(network, split, chunks, accelerator)):
        write_question(folder / ASKED, number, image, text)
        shapes.append(image.shape)
    answers = compose()
    composed = torch.cat([read_answer(answers, number, shape) for number, shape in enumerate(shapes)])
    _require_same(composed, order, len(split.queries))
    first = np.argsort(order[: len(split.queries)])
    with torch.inference_mode(), accelerator.autocast():
        features = composed[torch.from_numpy(first)].to(accelerator.device)
        query = (network.embed_images(features) / network.scale).float()
    gallery = embed_gallery(network, split.gallery, accelerator=accelerator, chunk=config.evaluation.chunk)
    return rank(query, gallery, split)


def _order(queries: int, *, seed: int) -> Rows:
    """All queries in random order, then some of them again."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(3,))))
    order = rng.permutation(queries)
    return np.concatenate([order, rng.permutation(order[: min(queries, _ASKED_TWICE)])])


@torch.inference_mode()
def _questions(
    network: Network, split: Split, chunks: Sequence[Rows], accelerator: Accelerator
) -> Iterator[tuple[Tensor, TextFeatures]]:
    device, queries = accelerator.device, split.queries
    store = ImageStore(split.sources, device)
    ids, mask = (part.to(device) for part in network.vocabulary.encode(split.texts))
    for rows in chunks:
        sources, place = np.unique(queries.sources[rows], return_inverse=True)
        texts = torch.from_numpy(split.text_rows[rows]).to(device)
        with accelerator.autocast():
            features = network.encode_images(store.batch(torch.from_numpy(sources).to(device)))
            yield (
                take_rows(features, torch.from_numpy(place).to(device)),
                network.text_encoder(ids[texts], mask[texts]),
            )


def _require_same(composed: Tensor, order: Rows, queries: int) -> None:
    """What was asked twice was answered alike."""
    place = {query: row for row, query in enumerate(order[:queries].tolist())}
    again = order[queries:].tolist()
    first = composed[[place[query] for query in again]].flatten(1)
    second = composed[queries:].flatten(1)
    largest = first.abs().amax(dim=1).clamp(min=1e-6)
    if ((first - second).abs().amax(dim=1) > _TOLERANCE * largest).any():
        raise AnswerError(
            "it answered a test query otherwise when it was asked again beside others: its output depends on the batch "
            "or on what it saw before"
        )
