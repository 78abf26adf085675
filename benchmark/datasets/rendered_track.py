"""What a rendered track's split holds beyond css's: slices of its programs, labelled wrong images, and its shortcut."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.datasets.splits import Rows, Shortcut, Words
from css_gen.dataset import QueryRow
from css_gen.scenes.scene import Scene
from css_gen.tracks import Program, Track


def slices_of(track: Track, rows: Sequence[QueryRow], scenes: Sequence[Scene]) -> dict[str, Words]:
    """Return the columns (Q,) of `Track.slices`, and "kind" where it is not among them.

    Args:
        rows: the queries of a split.
        scenes: of every image of the split.

    Raises:
        ValueError: a program has no value of a slice.
    """
    found = {"kind": [row.kind for row in rows]}
    values = [program_of(row).attributes(scenes[row.source_id]) for row in rows]
    for name in track.slices:
        if missing := next((row for row, each in zip(rows, values, strict=True) if name not in each), None):
            raise ValueError(f"query {missing.query_id}: its program has no attribute {name!r}")
        found[name] = [each[name] for each in values]
    return {name: np.array(column, dtype=np.str_) for name, column in found.items()}


def contrasts_of(track: Track, rows: Sequence[QueryRow]) -> dict[str, Rows]:
    """Return the wrong images of each query by the heading of their contrast: (Q, M), -1 where a query has fewer.

    Every heading of the track is there, in its order; none in a split without distractors, as for training.

    Raises:
        ValueError: a distractor's reason is not one of the track's.
    """
    if not any(row.distractors for row in rows):
        return {}
    named: dict[str, list[list[int]]] = {heading: [[] for _ in rows] for heading in track.contrasts.values()}
    for place, row in enumerate(rows):
        for why, image in row.distractors:
            if why not in track.contrasts:
                raise ValueError(f"query {row.query_id}: {why!r} is no reason of the track {track.name}")
            named[track.contrasts[why]][place].append(image)
    found = {}
    for heading, images in named.items():
        columns = np.full((len(rows), max(map(len, images))), -1, dtype=np.int64)
        for place, some in enumerate(images):
            columns[place, : len(some)] = some
        found[heading] = columns
    return found


def shortcut_of(track: Track, rows: Sequence[QueryRow], scenes: Sequence[Scene]) -> Shortcut:
    """Return how many images of the split the track's shortcut takes for right, and how many of these are relevant.

    A query's own source image does not count.
    """
    images = Counter(scene.key for scene in scenes)
    candidates, hits = [], []
    for row in rows:
        program, source = program_of(row), scenes[row.source_id]
        taken = track.shortcut.targets(program, source)
        right = taken & program.targets(source)
        candidates.append(_count(taken, images, source))
        hits.append(_count(right, images, source))
    return Shortcut(np.array(candidates, dtype=np.int64), np.array(hits, dtype=np.int64))


def program_of(row: QueryRow) -> Program:
    """Return the program of a track's query. Raises ValueError if it is a modification of css."""
    if not isinstance(row.modification, Program):
        raise ValueError(f"query {row.query_id}: {row.text!r} is not a program of a track")
    return row.modification


def _count(keys: frozenset[str], images: Mapping[str, int], source: Scene) -> int:
    return sum(images[key] for key in keys if key in images) - (source.key in keys)
