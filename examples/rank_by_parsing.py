"""Rank by reading scenes and parsing texts: a symbolic model that finds every relevant image. See docs/ranking.md.

tirg-bench queries css --out queries.parquet
python examples/rank_by_parsing.py data/css queries.parquet ranking.parquet
tirg-bench score --task css ranking.parquet --name symbolic --author Me --url https://example.org
"""

import sys
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import css_gen
from css_gen.scenes.modification import parse

folder, queries_file, out = sys.argv[1:]
queries = pq.read_table(queries_file)
test = css_gen.open_dataset(folder).split("test")
images_of = defaultdict(list)
for image, key in enumerate(test.keys):
    images_of[key].append(image)
rng = np.random.default_rng(0)

lists = []
for source, text in zip(queries["source_id"].to_pylist(), queries["text"].to_pylist(), strict=True):
    keys = rng.permutation(sorted(parse(text).targets(test.scene(source))))  # all are right, so in any order
    relevant = [image for key in keys for image in images_of.get(key, ())]
    best_first = dict.fromkeys([*relevant, *range(len(test))])
    best_first.pop(source)
    lists.append(list(best_first)[:50])

ranking = pa.table({"query_id": queries["query_id"], "image_ids": lists}, metadata=queries.schema.metadata)
pq.write_table(ranking, out)
