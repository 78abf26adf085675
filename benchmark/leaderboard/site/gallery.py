"""Queries with their answers as pictures: a record's examples, shown on the dataset they were made on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.explanation.answer_kinds import AnswerKind
from benchmark.explanation.rendered import Rendered, view_of_sources
from benchmark.explanation.track_kinds import Kind, kind_of_image
from benchmark.leaderboard.site.thumbnails import Thumbnails
from benchmark.records.store import StoredRecord
from css_gen.contact_sheet import choose
from css_gen.dataset import QueryRow

_WHY = {
    "best": "Relevant at rank 1",
    "worst": "Worst misses",
    "sample": "An even sample, the same queries for every composer",
}
_OF_DATASET = 12
_OF_KIND = 3
_SEED = 0

Mark = Literal["target", "completion", ""]


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
        top: the images ranked first, best first; "target" marks the drawn target's scene, "completion" another one that
            satisfies the text. Both are relevant.
        rank: of the first relevant image; None where the score knows of none.
        kind: of the first image; None if there is none.
    """

    query: QueryRow
    source: Picture
    target: Picture
    top: tuple[Picture, ...]
    rank: int | None
    kind: Kind | None


@dataclass(frozen=True)
class Shelf:
    title: str
    shown: tuple[Shown, ...]


def shelves(run: StoredRecord, rendered: Rendered, thumbnails: Thumbnails) -> tuple[Shelf, ...]:
    """A record's examples by why they were kept: the best, the worst, a sample."""
    return tuple(
        Shelf(title, tuple(_shown(each.query, each.top, run, rendered, thumbnails) for each in kept))
        for why, title in _WHY.items()
        if (kept := [example for example in run.record.examples if example.why == why])
    )


def examples_of_kinds(
    kinds: Sequence[Kind], run: StoredRecord, rendered: Rendered, thumbnails: Thumbnails
) -> dict[Kind, tuple[Shown, ...]]:
    """Return up to three queries of each kind of answer, evenly spread, with the first image alone.

    Args:
        kinds: of the run's answers. Queries that were answered with the drawn target are left out.
    """
    rows: dict[Kind, list[int]] = {kind: [] for kind in rendered.kinds if kind is not AnswerKind.DRAWN}
    for row, kind in enumerate(kinds):
        if kind in rows and run.outcomes.top1[row] >= 0:
            rows[kind].append(row)
    found = {}
    for kind, of_kind in rows.items():
        count = min(_OF_KIND, len(of_kind))
        chosen = [of_kind[place * len(of_kind) // count] for place in range(count)]
        found[kind] = tuple(_shown(row, [int(run.outcomes.top1[row])], run, rendered, thumbnails) for row in chosen)
    return found


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


def _shown(row: int, top: Sequence[int], run: StoredRecord, rendered: Rendered, thumbnails: Thumbnails) -> Shown:
    query = rendered.queries[row]
    source, target = rendered.scenes[query.source_id], rendered.scenes[query.target_id]
    rank = int(run.outcomes.ranks[row])

    def mark(image: int) -> Mark:
        if rendered.scenes[image] == target:
            return "target"
        return "completion" if query.modification.is_target(source, rendered.scenes[image]) else ""

    return Shown(
        query=query,
        source=_picture(rendered, thumbnails, query.source_id, view_of_sources(run.record.protocol)),
        target=_picture(rendered, thumbnails, query.target_id),
        top=tuple(_picture(rendered, thumbnails, image, mark=mark(image)) for image in top),
        rank=rank if rank <= run.record.dataset.gallery else None,
        kind=kind_of_image(query, rendered.scenes, top[0]) if top else None,
    )


def _picture(
    rendered: Rendered, thumbnails: Thumbnails, image: int, column: str = "image_3d", mark: Mark = ""
) -> Picture:
    return Picture(thumbnails.name(rendered, image, column), rendered.scenes[image].key or "nothing", mark)
