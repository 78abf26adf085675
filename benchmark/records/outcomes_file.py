"""Write and read the outcome of every query as a Parquet file: some 30 kB for 10,000 queries.

Row i is query i of the dataset. Columns: rank, relevant, relevant_labels, candidates, top1, source, as in
`recall.Outcomes`; drawn_rank, null where it is the rank; further_hits, a list of the places, from 1, of the other
relevant images among the first `DEPTH`; source_oracle_rank, text_candidates, group, shortcut_candidates and
shortcut_hits, where they are known; one of ranks for every part of the meaning, such as "rank of the noun"; two for
every contrast, such as "contrast: order accuracy" and "distractors: order accuracy"; and one of words for every
attribute.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.scoring.recall import DEPTH, Mask, Outcomes, Words

_DRAWN, _HITS = "drawn_rank", "further_hits"
_COLUMNS = {
    "rank": "ranks",
    "relevant": "relevant",
    "relevant_labels": "relevant_labels",
    "candidates": "candidates",
    "top1": "top1",
    "source": "sources",
}
_OPTIONAL = {
    "source_oracle_rank": "source_oracle_ranks",
    "text_candidates": "text_candidates",
    "group": "groups",
    "shortcut_candidates": "shortcut_candidates",
    "shortcut_hits": "shortcut_hits",
}
_TABLES = {"rank of the ": "part_ranks", "contrast: ": "contrasts", "distractors: ": "distractors"}
"""Columns of `Outcomes` with names of their own, by what the names of the file's columns start with."""


def encode(outcomes: Outcomes) -> bytes:
    """The file's content, a pure function of the outcomes and pyarrow's version.

    Raises:
        ValueError: an attribute has the name of another column.
    """
    own = {*_COLUMNS, _DRAWN, _HITS, *_OPTIONAL}
    if taken := sorted(name for name in outcomes.attributes if name in own or name.startswith(tuple(_TABLES))):
        raise ValueError(f"an attribute cannot be called {taken[0]!r}: the table has such a column")
    columns: dict[str, Any] = {}
    for name, field in _COLUMNS.items():
        columns[name] = pa.array(getattr(outcomes, field), pa.int32())
    for name, field in _OPTIONAL.items():
        if (column := getattr(outcomes, field)) is not None:
            columns[name] = pa.array(column, pa.int32())
    columns[_DRAWN] = pa.array(outcomes.drawn_ranks, pa.int32(), mask=outcomes.drawn_ranks == outcomes.ranks)
    further = outcomes.hits & (outcomes.hits.cumsum(1) > 1)
    ends = [0, *further.sum(1).cumsum().tolist()]
    places = pa.array(1 + further.nonzero()[1], pa.int32())
    columns[_HITS] = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), places)
    for prefix, field in _TABLES.items():
        for name, column in getattr(outcomes, field).items():
            columns[prefix + name] = pa.array(column, pa.int32())
    for name, words in outcomes.attributes.items():
        columns[name] = pa.array(words.tolist(), pa.string())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd", compression_level=9)
    return bytes(sink.getvalue())


def decode(content: bytes, queries: int) -> Outcomes:
    """The outcomes of that many queries.

    Raises:
        ValueError: the content is not such a table, or has another number of rows.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        if file.metadata.num_rows != queries:
            raise ValueError(f"it has {file.metadata.num_rows} rows")
        table = file.read()
        numbers = {field: table.column(name).to_numpy() for name, field in _COLUMNS.items()}
        known = {name: field for name, field in _OPTIONAL.items() if name in table.column_names}
        numbers |= {field: table.column(name).to_numpy() for name, field in known.items()}
        if not pa.types.is_integer(table.column(_DRAWN).type):
            raise ValueError("its numbers are not whole")
        drawn_ranks = table.column(_DRAWN).fill_null(0).to_numpy()
        further = _mask(table.column(_HITS), queries)
        names = [name for name in table.column_names if name not in (*_COLUMNS, _DRAWN, _HITS, *_OPTIONAL)]
        tables: dict[str, Any] = {
            field: {
                name.removeprefix(prefix): table.column(name).to_numpy() for name in names if name.startswith(prefix)
            }
            for prefix, field in _TABLES.items()
        }
    except (pa.ArrowException, KeyError, OSError) as error:
        raise ValueError(f"it is damaged: {error}") from None
    of_tables = [column for columns in tables.values() for column in columns.values()]
    if any(column.dtype.kind != "i" for column in (*numbers.values(), *of_tables)):
        raise ValueError("its numbers are not whole")
    attributes: dict[str, Words] = {}
    for name in names:
        if not name.startswith(tuple(_TABLES)):
            words = [word for word in table.column(name).to_pylist() if isinstance(word, str)]
            if len(words) != queries:
                raise ValueError(f"its column {name} is not made of words")
            attributes[name] = np.array(words, dtype=np.str_)
    ranks = numbers["ranks"]
    return Outcomes(
        **numbers,
        drawn_ranks=np.where(drawn_ranks == 0, ranks, drawn_ranks),
        hits=further | (ranks[:, None] == 1 + np.arange(DEPTH)),
        attributes=attributes,
        **tables,
    )


def _mask(places: pa.ChunkedArray, queries: int) -> Mask:
    """The mask (queries, DEPTH) of places from 1. Raises ValueError if they are not such lists."""
    if places.type != pa.list_(pa.int32()) or places.null_count:
        raise ValueError("its further_hits are not lists of places")
    lists = places.combine_chunks()
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    if flat.dtype.kind != "i" or ((flat < 1) | (flat > DEPTH)).any():
        raise ValueError(f"its further_hits are not at places from 1 to {DEPTH}")
    hits = np.zeros((queries, DEPTH), dtype=np.bool_)
    hits[np.repeat(np.arange(queries), lists.value_lengths().to_numpy(zero_copy_only=False)), flat - 1] = True
    return hits
