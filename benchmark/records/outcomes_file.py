"""The outcome of every query, as a Parquet file that any tool reads: some 30 kB for 10,000 queries.

Row i is query i of the dataset. Columns: rank, relevant, candidates, top1, source, as in `recall.Outcomes`, one of
ranks for every part of the meaning, such as "rank of the noun", and one of words for every attribute.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.scoring.recall import Outcomes, Words

_PART = "rank of the "
_COLUMNS = {"rank": "ranks", "relevant": "relevant", "candidates": "candidates", "top1": "top1", "source": "sources"}


def encode(outcomes: Outcomes) -> bytes:
    """The file's content, a pure function of the outcomes and pyarrow's version.

    Raises:
        ValueError: an attribute has the name of another column.
    """
    if taken := sorted(outcomes.attributes.keys() & _COLUMNS.keys()):
        raise ValueError(f"an attribute cannot be called {taken[0]!r}: the table has such a column")
    columns: dict[str, Any] = {}
    for name, field in _COLUMNS.items():
        columns[name] = pa.array(getattr(outcomes, field), pa.int32())
    for name, ranks in outcomes.part_ranks.items():
        columns[_PART + name] = pa.array(ranks, pa.int32())
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
        names = [name for name in table.column_names if name not in _COLUMNS]
        parts = {name.removeprefix(_PART): table.column(name).to_numpy() for name in names if name.startswith(_PART)}
    except (pa.ArrowException, KeyError, OSError) as error:
        raise ValueError(f"it is damaged: {error}") from None
    if any(column.dtype.kind != "i" for column in (*numbers.values(), *parts.values())):
        raise ValueError("its numbers are not whole")
    attributes: dict[str, Words] = {}
    for name in names:
        if not name.startswith(_PART):
            words = [word for word in table.column(name).to_pylist() if isinstance(word, str)]
            if len(words) != queries:
                raise ValueError(f"its column {name} is not made of words")
            attributes[name] = np.array(words, dtype=np.str_)
    return Outcomes(**numbers, attributes=attributes, part_ranks=parts)
