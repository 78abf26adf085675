"""Encode a query and the images of a gallery, and rank the images by similarity."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.datasets.splits import Pixels, Queries, Rows, Split
from benchmark.device import is_out_of_memory
from benchmark.errors import BenchmarkError, UsageError
from benchmark.scoring.evaluation import embed_gallery, embed_queries
from benchmark.search.exact import Sliceable, Vectors, exact_search
from benchmark.search.gallery import Gallery
from benchmark.search.query_image import QueryImage
from css_gen.progress import Reporter
from models.errors import ModelError
from models.network import Network

_AT_ONCE = 128


class Nearest(Protocol):
    """A search: `exact.exact_search` of a gallery, or an index."""

    def __call__(self, queries: Vectors, k: int, *, excluded: Rows | None = None) -> tuple[Rows, Vectors]: ...


class Encoded(Protocol):
    """The embeddings of a gallery."""

    @property
    def images(self) -> Sliceable:
        """(N, D), of length one."""
        ...

    @property
    def rows(self) -> Rows | range:
        """(N,), the gallery's row of each embedding."""
        ...

    @property
    def nearest(self) -> Nearest | None:
        """An approximate search; None for the exact one."""
        ...

    def places_of(self, image: QueryImage, *, own_row: int | None) -> Rows:
        """Find the query's own image: the places of `own_row`, or of all images with the same pixels if it is None."""
        ...


class EncodedGallery(NamedTuple):
    """The images of a gallery that could be read, in memory.

    Attributes:
        images: (N, D), of length one.
        rows: (N,), the gallery's row of each image.
        digests: of each image's pixels, so that equal images are found again.
    """

    images: Vectors
    rows: Rows
    digests: tuple[bytes, ...]
    nearest: Nearest | None = None

    def places_of(self, image: QueryImage, *, own_row: int | None) -> Rows:
        if own_row is not None:
            return np.flatnonzero(self.rows == own_row)
        digest = digest_of(image.pixels)
        return np.flatnonzero([each == digest for each in self.digests])


class Embedded(NamedTuple):
    """A query and a gallery, as embeddings of length one on the CPU.

    Attributes:
        query: (D,).
        images: (N, D).
        rows: (N,), the gallery's row of each image.
        own: the places in `rows` that show the query's own image.
        nearest: an approximate search; None for the exact one.
    """

    query: Tensor
    images: Sliceable
    rows: Rows | range
    own: Rows
    nearest: Nearest | None = None


@torch.inference_mode()
def encode_gallery(
    network: Network, gallery: Gallery, *, accelerator: Accelerator, reporter: Reporter
) -> EncodedGallery:
    """Encode all images of a gallery; those that cannot be read are left out and named in `gallery.broken`.

    Args:
        network: on the accelerator's device.

    Raises:
        BenchmarkError: memory ran out, no image can be used, or the model gives numbers that are not finite.
    """
    parts = list(encoded_parts(network, gallery, accelerator=accelerator, reporter=reporter))
    rows, images, digests = zip(*parts, strict=True)
    return EncodedGallery(np.concatenate(images), np.concatenate(rows), tuple(chain.from_iterable(digests)))


@torch.inference_mode()
def encoded_parts(
    network: Network, gallery: Gallery, *, accelerator: Accelerator, reporter: Reporter
) -> Iterator[tuple[Rows, Vectors, list[bytes]]]:
    """Encode a gallery in parts: yield the rows (n,), the embeddings (n, D) and the n digests of each.

    Raises:
        BenchmarkError: as `encode_gallery`.
    """
    is_empty = True
    with _advice(), reporter.track("encoding the gallery", len(gallery), "images") as report:
        for rows, pixels in gallery.chunks(_AT_ONCE):
            images = embed_gallery(network, pixels, accelerator=accelerator, batch_size=_AT_ONCE).cpu()
            yield rows, _finite(images).numpy(), [*map(digest_of, pixels)]
            is_empty = False
            report(int(rows[-1]) + 1)
    if is_empty:
        name, why = next(iter(gallery.broken.items()))
        raise BenchmarkError(f"{gallery.title}: none of the {len(gallery)} images can be used; {name} {why}")


@torch.inference_mode()
def encode_query(network: Network, image: QueryImage, text: str, *, accelerator: Accelerator) -> Tensor:
    """Encode one query: (D,), of length one, on the CPU. Raises BenchmarkError as `encode_gallery` does.

    Raises UsageError if the model's text encoder cannot read the text.
    """
    try:
        network.text_encoder.tokenize([text])
    except ModelError as error:
        raise UsageError(f"--text: {error}") from None
    with _advice():
        return _finite(embed_queries(network, _as_split(image, text), accelerator=accelerator, batch_size=1)[0].cpu())


def ranked(embedded: Embedded, k: int) -> list[tuple[int, float]]:
    """Rows of the gallery and their cosine similarities, the K best first; equal ones in the order of their rows.

    The query's own image is left out.
    """
    query = embedded.query.numpy()[None]
    search = embedded.nearest or partial(exact_search, gallery=embedded.images)
    places, scores = search(query, k=k, excluded=embedded.own)
    similarities = np.clip(scores[0], -1, 1).tolist()
    return [(int(embedded.rows[place]), score) for place, score in zip(places[0].tolist(), similarities, strict=True)]


@contextmanager
def _advice() -> Iterator[None]:
    """Turn running out of memory into a BenchmarkError that says what to do."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise BenchmarkError("out of memory while encoding the gallery: make room, or use --device cpu") from error
        raise


def _finite(embeddings: Tensor) -> Tensor:
    if not embeddings.isfinite().all():
        raise BenchmarkError("the model gives embeddings that are not finite: its training diverged; train it again")
    return embeddings


def digest_of(pixels: Pixels) -> bytes:
    """Return a hash of an image (S, S, 3), 16 bytes. Equal images have equal hashes."""
    return blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()


def _as_split(image: QueryImage, text: str) -> Split:
    """The one query as scoring takes it; its target means nothing."""
    first, pixels = np.zeros(1, dtype=np.int64), image.pixels[None]
    queries = Queries(ids=("query",), sources=first, targets=first, source_images=first, texts=(text,), attributes={})
    return Split(sources=pixels, gallery=pixels, labels=first, queries=queries)
