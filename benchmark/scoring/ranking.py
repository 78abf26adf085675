"""The rank of each query's best relevant image in the gallery.

The gallery is every image of the split, or of the part of it that the query is ranked among. The query's own source
image is excluded, nothing else is. An image is relevant if its label equals the target's. The rank of a query is the
place of its best relevant image, from 1.

Tie rule: ties neither help nor harm. Images of equal similarity are ordered by one fixed shuffle of the gallery, which
does not depend on labels and starts at another image for each query. So a model whose embeddings have collapsed scores
chance. (Counting ties for the query would give it 100, against it 0.) The images are also *compared* in that shuffled
order, because the last bits of a matrix product can depend on the column.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.scoring.recall import NO_RANK

_SHUFFLE_SEED = 20190615
_LONGEST_EMBEDDING = 1e19  # the dot product of two such vectors is still finite in float32
_SIMILARITIES_AT_ONCE = {"cpu": 2**22, "cuda": 2**27}


class Ranking(NamedTuple):
    """What `rank_targets` finds for each of Q queries; int64 on the CPU.

    Attributes:
        ranks: (Q,), 1 to the number of candidates, or `NO_RANK` where no candidate is relevant.
        relevant: (Q,), how many candidates are relevant.
        candidates: (Q,), the size of the query's gallery without its own source image.
        top: (Q, top_k), gallery indices, best first; -1 where the gallery has run out.
    """

    ranks: Tensor
    relevant: Tensor
    candidates: Tensor
    top: Tensor


@torch.no_grad()
def rank_targets(
    query_embeddings: Tensor,
    gallery_embeddings: Tensor,
    source_index: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    *,
    top_k: int,
    galleries: tuple[Tensor, Tensor] | None = None,
    batch_size: int | None = None,
) -> Ranking:
    """Rank the gallery for every query by dot product, in float32 even under autocast or TF32.

    Memory beyond input and output depends on the gallery alone. The same input gives the same ranks on one machine.

    Args:
        query_embeddings: (Q, D), floating point. Cosine similarity is the caller's: normalise before.
        gallery_embeddings: (G, D), on the same device.
        source_index: (Q,), integers; the query's own source image in the gallery, -1 if it is not in it.
        query_labels: (Q,), integers; the label of the query's target.
        gallery_labels: (G,), integers.
        top_k: how many of the best images to return for each query, 0 or more.
        galleries: where a query is ranked among a part of the images alone: the number of each query's part (Q,) and of
            each image's (G,), integers.
        batch_size: queries compared at once; by default as many as keep a batch near 16 MiB on a CPU, 512 MiB on a GPU.

    Raises:
        ValueError: shapes do not fit, the gallery is empty, a source index is out of range, or an embedding is not
            finite (the message names its row).
    """
    _check(
        query_embeddings, gallery_embeddings, source_index, query_labels, gallery_labels, top_k, galleries, batch_size
    )
    device = query_embeddings.device
    images, queries = len(gallery_embeddings), len(query_embeddings)
    generator = torch.Generator().manual_seed(_SHUFFLE_SEED)
    shuffle = torch.randperm(images, generator=generator).to(device)
    first_place = torch.randint(images, (queries,), generator=generator).to(device)
    place_of_image = torch.empty_like(shuffle)
    place_of_image[shuffle] = torch.arange(images, device=device)

    source = source_index.to(device)
    source_place = torch.where(source >= 0, place_of_image[source.clamp_min(0)], -1)
    labels = gallery_labels.to(device)[shuffle]
    wanted = query_labels.to(device)
    query_part = image_part = None
    if galleries is not None:
        query_part, image_part = galleries[0].to(device), galleries[1].to(device)[shuffle]
    gallery = gallery_embeddings.float()[shuffle].T
    by_label = _ByLabel(labels)

    kept = min(top_k, images)
    ranks = torch.empty(queries, dtype=torch.int64)
    relevant = torch.empty(queries, dtype=torch.int64)
    candidates = torch.full((queries,), images, dtype=torch.int64)
    top = torch.full((queries, top_k), -1, dtype=torch.int64)
    if batch_size is None:
        batch_size = max(1, _SIMILARITIES_AT_ONCE.get(device.type, 2**22) // images)
    for start in range(0, queries, batch_size):
        rows = slice(start, start + batch_size)
        with _exact_float32(device):
            similarity = query_embeddings[rows].float() @ gallery
        excluded = source_place[rows]
        has_source = (excluded >= 0).nonzero().squeeze(1)
        similarity[has_source, excluded[has_source]] = -torch.inf
        places, is_member = by_label.places(wanted[rows])
        is_relevant = is_member & (places != excluded[:, None])
        if query_part is None or image_part is None:
            candidates[rows] -= (excluded >= 0).long().cpu()
        else:
            similarity.masked_fill_(image_part != query_part[rows, None], -torch.inf)
            candidates[rows] = (similarity > -torch.inf).sum(1).cpu()
            is_relevant &= image_part[places] == query_part[rows, None]
        relevant[rows] = is_relevant.sum(1).cpu()
        ranks[rows] = _ranks(similarity, places, is_relevant, first_place[rows]).cpu()
        if kept:
            best_places = _top(similarity, kept, first_place[rows])
            gone = similarity.gather(1, best_places) == -torch.inf
            top[rows, :kept] = shuffle[best_places].masked_fill(gone, -1).cpu()
    return Ranking(ranks, relevant, candidates, top)


def _ranks(similarity: Tensor, places: Tensor, is_relevant: Tensor, first_place: Tensor) -> Tensor:
    """Ranks (R,) from similarities (R, G) and the relevant images' places (R, C), valid where `is_relevant`."""
    if places.shape[1] == 0:
        return torch.full_like(first_place, NO_RANK)
    of_relevant = similarity.gather(1, places).masked_fill(~is_relevant, -torch.inf)
    best = of_relevant.amax(1, keepdim=True)
    ranks = 1 + (similarity > best).sum(1)
    tied = (similarity == best).sum(1)
    for row in _pieces((tied > 1).nonzero().squeeze(1)):
        images = similarity.shape[1]
        turns = (places[row] - first_place[row, None]) % images
        earliest = turns.masked_fill(of_relevant[row] < best[row], images).amin(1, keepdim=True)
        turn_of_image = (torch.arange(images, device=similarity.device) - first_place[row, None]) % images
        ranks[row] += ((similarity[row] == best[row]) & (turn_of_image < earliest)).sum(1)
    return ranks.where(is_relevant.any(1), NO_RANK)


def _top(similarity: Tensor, kept: int, first_place: Tensor) -> Tensor:
    """Places (R, kept) of the most similar images in the order that `_ranks` counts in."""
    images = similarity.shape[1]
    values, places = similarity.topk(min(kept + 1, images), dim=1)
    ambiguous = (values[:, 1:] == values[:, :-1]).any(1)
    places = places[:, :kept]
    for row in _pieces(ambiguous.nonzero().squeeze(1)):
        turned = (torch.arange(images, device=similarity.device) + first_place[row, None]) % images
        order = similarity[row].gather(1, turned).sort(dim=1, descending=True, stable=True).indices[:, :kept]
        places[row] = turned.gather(1, order)
    return places


def _pieces(rows: Tensor) -> tuple[Tensor, ...]:
    """Rows with ties need eight-byte places for the whole gallery: an eighth of a batch at a time bounds the memory."""
    return torch.split(rows, max(1, len(rows) // 8)) if len(rows) else ()


class _ByLabel:
    """The places of each label's images in the shuffled gallery."""

    def __init__(self, labels: Tensor) -> None:
        self._labels, self._places = labels.sort(stable=True)

    def places(self, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Places (R, C) of the images with the wanted labels (R,), and a mask (R, C) of those that are real."""
        first = torch.searchsorted(self._labels, wanted)
        count = torch.searchsorted(self._labels, wanted, right=True) - first
        widest = int(count.max()) if len(count) else 0
        steps = torch.arange(widest, device=wanted.device)
        real = steps < count[:, None]
        return self._places[(first[:, None] + steps).clamp_max(len(self._places) - 1)], real


@contextmanager
def _exact_float32(device: torch.device) -> Iterator[None]:
    """Matrix products in full float32: training may have asked for bf16 autocast, TF32 or bf16 in oneDNN."""
    backends = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def _check(
    query_embeddings: Tensor,
    gallery_embeddings: Tensor,
    source_index: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    top_k: int,
    galleries: tuple[Tensor, Tensor] | None,
    batch_size: int | None,
) -> None:
    shapes = query_embeddings.shape, gallery_embeddings.shape
    if any(len(shape) != 2 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            f"query and gallery embeddings must be (Q, D) and (G, D), got {tuple(shapes[0])} and {tuple(shapes[1])}"
        )
    queries, images = len(query_embeddings), len(gallery_embeddings)
    if images == 0:
        raise ValueError("the gallery is empty: there is nothing to rank")
    expected = {"source_index": (source_index, queries), "query_labels": (query_labels, queries)}
    expected["gallery_labels"] = (gallery_labels, images)
    if galleries is not None:
        expected |= {"galleries[0]": (galleries[0], queries), "galleries[1]": (galleries[1], images)}
    for name, (values, length) in expected.items():
        if values.shape != (length,) or values.is_floating_point() or values.dtype == torch.bool:
            raise ValueError(f"{name} must be {length} integers, got {values.dtype} {tuple(values.shape)}")
    if queries and (int(source_index.min()) < -1 or int(source_index.max()) >= images):
        raise ValueError(f"source_index must be from -1 to {images - 1}, the last image of the gallery")
    if top_k < 0:
        raise ValueError(f"top_k must be 0 or more, got {top_k}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
    for name, embeddings in (("query", query_embeddings), ("gallery", gallery_embeddings)):
        usable = torch.linalg.vector_norm(embeddings, dim=1, dtype=torch.float32) <= _LONGEST_EMBEDDING
        if not usable.all():
            row = int((~usable).nonzero()[0])
            raise ValueError(f"{name} embedding {row} has NaN, infinite or enormous values: the model has diverged")
