"""Rank by reading scenes and parsing texts: a symbolic model that finds every relevant image. See docs/ranking.md.

    tirg-bench queries css --out queries.parquet
    python examples/rank_by_parsing.py data/css queries.parquet ranking.parquet
    tirg-bench score --task css ranking.parquet --name symbolic --author Me --url https://example.org
"""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import css_gen
from css_gen.scenes.modification import parse

folder, queries_file, out = sys.argv[1:]
queries = pq.read_table(queries_file)
test = css_gen.open_dataset(folder).split("test")
keys = np.array(test.keys)
rng = np.random.default_rng(0)

lists = []
for source, text in zip(queries["source_id"].to_pylist(), queries["text"].to_pylist(), strict=True):
    wanted = sorted(parse(text).targets(test.scene(source)))
    place = dict(zip(wanted, rng.permutation(len(wanted)).tolist(), strict=True))  # of equally right scenes, any first
    order = np.array([place.get(key, len(wanted)) for key in keys])
    best_first = np.argsort(order, kind="stable")
    lists.append(best_first[best_first != source][:50])

ranking = pa.table({"query_id": queries["query_id"], "image_ids": lists}, metadata=queries.schema.metadata)
pq.write_table(ranking, out)
