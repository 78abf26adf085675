"""Score a trained network on a split. Every image and every source is encoded once, in batches."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.datasets.image_store import ImageStore
from benchmark.datasets.relevance import Relevance
from benchmark.datasets.splits import Pixels, Rows, Split
from benchmark.device import memory_advice
from benchmark.scoring.frozen_features import frozen_maps
from benchmark.scoring.levels import source_oracle_ranks
from benchmark.scoring.processes import ALONE, Processes
from benchmark.scoring.ranking import Ranking, rank_targets
from benchmark.scoring.recall import DEPTH, Integers, Outcomes
from models.base import TextFeatures
from models.network import Network, take_rows

_SHOWN = 8


class Evaluation(NamedTuple):
    """`top` (Q, 8): gallery rows of the images ranked first, best first; -1 where the gallery has fewer."""

    outcomes: Outcomes
    top: Integers


def evaluate(
    network: Network, split: Split, *, accelerator: Accelerator, batch_size: int, processes: Processes = ALONE
) -> Evaluation:
    """Rank the split's gallery for each of its queries.

    Args:
        batch_size: images or queries encoded at once; memory beyond the embeddings depends on it alone.
        processes: that call this together; each encodes its share of the batches, and all get the result.

    Raises:
        BenchmarkError: memory ran out.
        ValueError: an embedding is not finite.
    """
    with memory_advice("while scoring", f"--batch-size (now {batch_size})", accelerator.mixed_precision):
        query = embed_queries(network, split, accelerator=accelerator, batch_size=batch_size, processes=processes)
        gallery = embed_gallery(
            network, split.gallery, accelerator=accelerator, batch_size=batch_size, processes=processes
        )
        return rank(query, gallery, split)


def rank(query: Tensor, gallery: Tensor, split: Split) -> Evaluation:
    """Embeddings (Q, D) of the split's queries and (N, D) of its gallery, of length one -> the outcome of each query.

    Raises:
        ValueError: an embedding is not finite.
    """
    queries = split.queries
    galleries: tuple[Tensor, Tensor] | None = None
    if split.galleries is not None:
        galleries = torch.from_numpy(split.galleries[queries.targets]), torch.from_numpy(split.galleries)

    def ranked(labels: Rows, top_k: int, relevant: Relevance | None = None, contrasts: Iterable[Rows] = ()) -> Ranking:
        excluded, wanted, there = (
            torch.from_numpy(rows) for rows in (queries.source_images, labels[queries.targets], labels)
        )
        return rank_targets(
            query,
            gallery,
            excluded,
            wanted,
            there,
            top_k=top_k,
            relevant=relevant,
            galleries=galleries,
            contrasts=[torch.from_numpy(images) for images in contrasts],
        )

    ranking = ranked(split.labels, DEPTH, split.relevant, split.contrasts.values())
    part_ranks = {name: ranked(labels, 0).ranks.numpy() for name, labels in split.parts.items()}
    outcomes = Outcomes(
        ranks=ranking.ranks.numpy(),
        drawn_ranks=ranking.drawn_ranks.numpy(),
        relevant=ranking.relevant.numpy(),
        relevant_labels=ranking.relevant_labels.numpy(),
        candidates=ranking.candidates.numpy(),
        hits=ranking.hits.numpy(),
        sources=queries.sources,
        top1=ranking.top[:, 0].numpy(),
        attributes=queries.attributes,
        part_ranks=part_ranks,
        source_oracle_ranks=source_oracle_ranks(split),
        text_candidates=split.text_candidates,
        groups=queries.groups,
        shortcut_candidates=split.shortcut.candidates if split.shortcut else None,
        shortcut_hits=split.shortcut.hits if split.shortcut else None,
        contrasts=dict(zip(split.contrasts, ranking.contrasts.numpy().T, strict=True)),
        distractors=dict(zip(split.contrasts, ranking.distractors.numpy().T, strict=True)),
    )
    return Evaluation(outcomes, ranking.top[:, :_SHOWN].numpy())


@torch.inference_mode()
def embed_gallery(
    network: Network, pixels: Pixels, *, accelerator: Accelerator, batch_size: int, processes: Processes = ALONE
) -> Tensor:
    """Embeddings (N, D) of all images, of length one, on the device."""
    network.eval()
    with processes.leader_first():
        maps = frozen_maps(network, pixels, accelerator.device)
    parts: list[Tensor] = []
    batches = [slice(start, start + batch_size) for start in range(0, len(pixels), batch_size)]
    own = set(processes.share(range(len(batches))))
    for number, rows in enumerate(batches):
        if number not in own:
            parts.append(torch.zeros(len(pixels[rows]), network.head.out_features, device=accelerator.device))
            continue
        with accelerator.autocast():
            features = _features(
                network, pixels[rows], None if maps is None else maps[rows], accelerator.device, network.encode_images
            )
            parts.append(network.embed_images(features) / network.scale)
    return processes.summed(torch.cat(parts).float())


@torch.inference_mode()
def embed_queries(
    network: Network, split: Split, *, accelerator: Accelerator, batch_size: int, processes: Processes = ALONE
) -> Tensor:
    """Embeddings (Q, D) of all queries, of length one, on the device.

    Queries are taken in the order of their sources: a source image is encoded once, or twice where a batch ends.
    """
    order: Rows = np.argsort(split.queries.sources, kind="stable")
    batches = processes.share([order[start : start + batch_size] for start in range(0, len(order), batch_size)])
    embeddings = torch.zeros(len(order), network.head.out_features, device=accelerator.device)
    encoded = encode_queries(network, split, batches, accelerator=accelerator, processes=processes)
    for rows, features in zip(batches, encoded, strict=True):
        with accelerator.autocast():
            embedded = network.embed_images(network.compose(*features)) / network.scale
        embeddings[torch.from_numpy(rows).to(accelerator.device)] = embedded.float()
    return processes.summed(embeddings)


@torch.inference_mode()
def encode_queries(
    network: Network,
    split: Split,
    batches: Iterable[Rows],
    *,
    accelerator: Accelerator,
    processes: Processes = ALONE,
) -> Iterator[tuple[Tensor, TextFeatures]]:
    """Encode source images and texts of each batch of query rows, as the composer gets them, on the device.

    Within a batch every source image is encoded once.
    """
    network.eval()
    device = accelerator.device
    ids, mask = (part.to(device) for part in network.text_encoder.tokenize(split.texts))
    with processes.leader_first():
        maps = frozen_maps(network, split.sources, device)
    for rows in batches:
        sources, place = np.unique(split.queries.sources[rows], return_inverse=True)
        texts = torch.from_numpy(split.text_rows[rows]).to(device)
        kept = None if maps is None else maps[torch.from_numpy(sources)]
        with accelerator.autocast():
            features = _features(network, split.sources[sources], kept, device, network.encode_sources)
            at_queries = take_rows(features, torch.from_numpy(place).to(device))
            text: TextFeatures = network.text_encoder(ids[texts], mask[texts])
        yield at_queries, text


def _features(
    network: Network, pixels: Pixels, maps: Tensor | None, device: torch.device, encode: Callable[[Tensor], Tensor]
) -> Tensor:
    """Features as `encode` gives them: of the images' maps where these are kept, else of the images."""
    if maps is not None:
        return network.features_of(maps.to(device))
    return encode(ImageStore(pixels, device).everything())
