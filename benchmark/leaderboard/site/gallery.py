"""Queries with their answers as pictures: a record's examples, shown on the dataset they were made on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.leaderboard.site.errors_counted import ErrorKind, kind_of_error
from benchmark.leaderboard.site.rendered import Rendered, view_of_sources
from benchmark.leaderboard.site.thumbnails import Thumbnails
from benchmark.records.store import Example, StoredRecord
from css_gen.contact_sheet import choose
from css_gen.dataset import QueryRow

_WHY = {
    "best": "Right at rank 1",
    "worst": "Worst misses",
    "sample": "An even sample, the same queries for every composer",
}
_OF_DATASET = 12
_SEED = 0

Mark = Literal["right", "fits", ""]


@dataclass(frozen=True)
class Picture:
    """A thumbnail; `key` is its scene's, in words."""

    file: str
    key: str
    mark: Mark = ""


@dataclass(frozen=True)
class Shown:
    """A query with its pictures.

    Attributes:
        source, target: what it starts from, and the answer that was drawn for it.
        top: the images ranked first, best first; "right" is marked what shows the drawn target's scene, "fits" what
            else satisfies the text. Recall counts both.
        rank: of the first right answer; None where the score knows of none.
        error: what is wrong with the first image; None if nothing is.
    """

    query: QueryRow
    source: Picture
    target: Picture
    top: tuple[Picture, ...]
    rank: int | None
    error: ErrorKind | None


@dataclass(frozen=True)
class Shelf:
    title: str
    shown: tuple[Shown, ...]


def shelves(run: StoredRecord, rendered: Rendered, thumbnails: Thumbnails) -> tuple[Shelf, ...]:
    """A record's examples by why they were kept: the best, the worst, a sample."""
    return tuple(
        Shelf(title, tuple(_shown(example, run, rendered, thumbnails) for example in kept))
        for why, title in _WHY.items()
        if (kept := [example for example in run.record.examples if example.why == why])
    )


def of_dataset(rendered: Rendered, thumbnails: Thumbnails) -> list[tuple[QueryRow, Sequence[Picture]]]:
    """Some queries of every kind with four pictures each: source and target, solid and flat."""
    return [
        (
            query,
            [
                _picture(rendered, thumbnails, image, column)
                for image in (query.source_id, query.target_id)
                for column in ("image_3d", "image_2d")
            ],
        )
        for query in choose(rendered.queries, _OF_DATASET, seed=_SEED)
    ]


def _shown(example: Example, run: StoredRecord, rendered: Rendered, thumbnails: Thumbnails) -> Shown:
    query = rendered.queries[example.query]
    source, target = rendered.scenes[query.source_id], rendered.scenes[query.target_id]

    def mark(image: int) -> Mark:
        if rendered.scenes[image] == target:
            return "right"
        return "fits" if query.modification.is_target(source, rendered.scenes[image]) else ""

    first_is_wrong = bool(example.top) and not mark(example.top[0])
    rank = int(run.outcomes.ranks[example.query])
    return Shown(
        query=query,
        source=_picture(rendered, thumbnails, query.source_id, view_of_sources(run.record.protocol)),
        target=_picture(rendered, thumbnails, query.target_id),
        top=tuple(_picture(rendered, thumbnails, image, mark=mark(image)) for image in example.top),
        rank=rank if rank <= run.record.dataset.gallery else None,
        error=kind_of_error(source, query.modification, rendered.scenes[example.top[0]]) if first_is_wrong else None,
    )


def _picture(
    rendered: Rendered, thumbnails: Thumbnails, image: int, column: str = "image_3d", mark: Mark = ""
) -> Picture:
    return Picture(thumbnails.name(rendered, image, column), rendered.scenes[image].key or "nothing", mark)
