"""Rank the gallery for each query: the place of its best relevant image, and which of its first images are relevant.

The gallery is every image of the split, or of the part of it that the query is ranked among. The query's own source
image is excluded, nothing else is. An image is relevant if its label answers the query (`Relevance`). The rank of a
query is the place of its best relevant image, from 1; its drawn rank that of the best image with the target's label,
which the paper counts alone.

Tie rule: ties neither help nor harm. Images of equal similarity are ordered by one fixed shuffle of the gallery, which
does not depend on labels and starts at another image for each query. So a model whose embeddings have collapsed scores
chance. (Counting ties for the query would give it 100, against it 0.) The images are also *compared* in that shuffled
order, because the last bits of a matrix product can depend on the column.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.datasets.relevance import Relevance
from benchmark.scoring.answers import Answers, Found, first_of_label, require_targets
from benchmark.scoring.contrasts import best_of, contrast
from benchmark.scoring.recall import NO_RANK

_SHUFFLE_SEED = 20190615
_LONGEST_EMBEDDING = 1e19  # the dot product of two such vectors is still finite in float32
_SIMILARITIES_AT_ONCE = {"cpu": 2**23, "cuda": 2**27}


class Ranking(NamedTuple):
    """What `rank_targets` finds for each of Q queries; on the CPU, int64 but for `hits`.

    Attributes:
        ranks: (Q,), 1 to the number of candidates, or `NO_RANK` where no candidate is relevant.
        drawn_ranks: (Q,), likewise, where the images with the target's label alone count.
        relevant: (Q,), how many candidates are relevant.
        relevant_labels: (Q,), how many different labels they have.
        candidates: (Q,), the size of the query's gallery without its own source image.
        top: (Q, top_k), gallery indices, best first; -1 where the gallery has fewer.
        hits: (Q, top_k), bool, which of `top` are relevant.
        contrasts, distractors: (Q, contrasts), as `contrasts.contrast` returns them.
    """

    ranks: Tensor
    drawn_ranks: Tensor
    relevant: Tensor
    relevant_labels: Tensor
    candidates: Tensor
    top: Tensor
    hits: Tensor
    contrasts: Tensor
    distractors: Tensor


@torch.no_grad()
def rank_targets(
    query_embeddings: Tensor,
    gallery_embeddings: Tensor,
    source_index: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    *,
    top_k: int,
    relevant: Relevance | None = None,
    galleries: tuple[Tensor, Tensor] | None = None,
    contrasts: Sequence[Tensor] = (),
    batch_size: int | None = None,
) -> Ranking:
    """Rank the gallery for every query by dot product, in float32 even under autocast or TF32.

    Memory beyond input and output depends on the gallery and on the answers of the queries compared at once. The same
    input gives the same ranks on one machine.

    Args:
        query_embeddings: (Q, D), floating point. Cosine similarity is the caller's: normalise before.
        gallery_embeddings: (G, D), on the same device.
        source_index: (Q,), integers; the query's own source image in the gallery, -1 if it is not in it.
        query_labels: (Q,), integers; the label of the query's target.
        gallery_labels: (G,), integers.
        top_k: how many of the best images to return for each query, 0 or more.
        relevant: the labels that answer each query, its target's among them; None where the target's does alone.
        galleries: where a query is ranked among a part of the images alone: the number of each query's part (Q,) and of
            each image's (G,), integers.
        contrasts: wrong images to compare the best relevant one with: (Q, M) integers each, -1 where a query has fewer.
        batch_size: queries compared at once; by default as many as keep a batch near 32 MiB on a CPU, 512 MiB on a GPU.

    Raises:
        ValueError: shapes do not fit, the gallery is empty, a source index is out of range, a query's target is not
            relevant to it, or an embedding is not finite (the message names its row).
    """
    _check(
        query_embeddings, gallery_embeddings, source_index, query_labels, gallery_labels, top_k, galleries, batch_size
    )
    _check_contrasts(contrasts, len(query_embeddings), len(gallery_embeddings))
    answers = Relevance.of_targets(query_labels.cpu().numpy()) if relevant is None else relevant
    require_targets(answers, query_labels)
    device = query_embeddings.device
    images, queries = len(gallery_embeddings), len(query_embeddings)
    generator = torch.Generator().manual_seed(_SHUFFLE_SEED)
    shuffle = torch.randperm(images, generator=generator).to(device)
    first_place = torch.randint(images, (queries,), generator=generator).to(device)
    place_of_image = torch.empty_like(shuffle)
    place_of_image[shuffle] = torch.arange(images, device=device)

    def placed(rows: Tensor) -> Tensor:
        """The places of images; -1 stays."""
        rows = rows.to(device)
        return torch.where(rows >= 0, place_of_image[rows.clamp_min(0)], -1)

    source_place = placed(source_index)
    distractor_places = [placed(images_of_contrast) for images_of_contrast in contrasts]
    drawn = query_labels.to(device)
    query_part = image_part = None
    if galleries is not None:
        query_part, image_part = galleries[0].to(device), galleries[1].to(device)[shuffle]
    gallery = gallery_embeddings.float()[shuffle].T
    relevant_images = Answers(answers, gallery_labels.to(device)[shuffle])

    kept = min(top_k, images)
    counts = {name: torch.zeros(queries, dtype=torch.int64) for name in Ranking._fields[:5]}
    top = torch.full((queries, top_k), -1, dtype=torch.int64)
    hits = torch.zeros((queries, top_k), dtype=torch.bool)
    holds, distractors = (torch.zeros((queries, len(contrasts)), dtype=torch.int64) for _ in range(2))
    if batch_size is None:
        batch_size = max(1, _SIMILARITIES_AT_ONCE.get(device.type, 2**23) // images)
    for start in range(0, queries, batch_size):
        rows = slice(start, min(start + batch_size, queries))
        with _exact_float32(device):
            similarity = query_embeddings[rows].float() @ gallery
        excluded = source_place[rows]
        has_source = (excluded >= 0).nonzero().squeeze(1)
        similarity[has_source, excluded[has_source]] = -torch.inf
        found = relevant_images.images(rows)
        is_there = found.place != excluded[found.query]
        if query_part is None or image_part is None:
            candidates = images - (excluded >= 0).long()
        else:
            similarity.masked_fill_(image_part != query_part[rows, None], -torch.inf)
            candidates = (similarity > -torch.inf).sum(1)
            is_there &= image_part[found.place] == query_part[rows][found.query]
        found = Found(*(part[is_there] for part in found))
        of_drawn = found.label == drawn[rows][found.query]
        ranks = _ranks(similarity, found.query, found.place, first_place[rows])
        counted = {
            "ranks": ranks,
            "drawn_ranks": _drawn_ranks(similarity, found, of_drawn, first_place[rows], ranks),
            "relevant": torch.bincount(found.query, minlength=len(ranks)),
            "relevant_labels": torch.bincount(found.query[first_of_label(found)], minlength=len(ranks)),
            "candidates": candidates,
        }
        for name, values in counted.items():
            counts[name][rows] = values.cpu()
        for column, places in enumerate(distractor_places):
            best = best_of(similarity, found.query, found.place, first_place[rows])
            is_above, count = contrast(similarity, best, places[rows], first_place[rows])
            holds[rows, column], distractors[rows, column] = is_above.cpu(), count.cpu()
        if kept:
            best_places = _top(similarity, kept, first_place[rows])
            gone = similarity.gather(1, best_places) == -torch.inf
            top[rows, :kept] = shuffle[best_places].masked_fill(gone, -1).cpu()
            is_right = torch.zeros_like(similarity, dtype=torch.bool)
            is_right[found.query, found.place] = True
            hits[rows, :kept] = is_right.gather(1, best_places).cpu()
    return Ranking(**counts, top=top, hits=hits, contrasts=holds, distractors=distractors)


def _drawn_ranks(similarity: Tensor, found: Found, of_drawn: Tensor, first_place: Tensor, ranks: Tensor) -> Tensor:
    """Ranks (R,) of the best images `of_drawn`; most are `ranks`, because all that is relevant is of that label."""
    has_more = torch.zeros_like(ranks, dtype=torch.bool)
    has_more[found.query[~of_drawn]] = True
    drawn_ranks = ranks.clone()
    for row in _pieces(has_more.nonzero().squeeze(1)):
        place_among = torch.full_like(ranks, -1)
        place_among[row] = torch.arange(len(row), device=row.device)
        query = place_among[found.query]
        is_here = of_drawn & (query >= 0)
        drawn_ranks[row] = _ranks(similarity[row], query[is_here], found.place[is_here], first_place[row])
    return drawn_ranks


def _ranks(similarity: Tensor, query: Tensor, place: Tensor, first_place: Tensor) -> Tensor:
    """Ranks (R,) of each row's best image among those that are relevant: row `query[i]` has one at `place[i]`."""
    images = similarity.shape[1]
    best, earliest = best_of(similarity, query, place, first_place)
    ranks = 1 + _count(torch.gt, similarity, best)
    tied = _count(torch.eq, similarity, best)
    for row in _pieces(((tied > 1) & (earliest < images)).nonzero().squeeze(1)):
        turn_of_image = (torch.arange(images, device=similarity.device) - first_place[row, None]) % images
        is_before = (similarity[row] == best[row, None]) & (turn_of_image < earliest[row, None])
        ranks[row] += is_before.sum(1)
    return ranks.where(earliest < images, NO_RANK)


def _count(compares: Callable[..., Tensor], similarity: Tensor, value: Tensor) -> Tensor:
    """How many similarities of each row compare so with the row's value (R,).

    Summed as float32, which takes a third of the time of sums of bool, and is exact up to 2**24 images.
    """
    wide = torch.float64 if similarity.shape[1] > 2**24 else torch.float32
    return compares(similarity, value[:, None], out=torch.empty_like(similarity)).sum(1, dtype=wide).long()


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


def _check_contrasts(contrasts: Sequence[Tensor], queries: int, images: int) -> None:
    for rows in contrasts:
        if rows.ndim != 2 or len(rows) != queries or rows.dtype != torch.int64:
            raise ValueError(f"a contrast must be ({queries}, M) integers, got {rows.dtype} {tuple(rows.shape)}")
        if rows.numel() and (int(rows.min()) < -1 or int(rows.max()) >= images):
            raise ValueError(f"the images of a contrast must be from -1 to {images - 1}, the last of the gallery")


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
