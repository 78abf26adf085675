"""Rank by colour histogram: the images that look most like the source, whatever the text says. See docs/ranking.md.

tirg-bench queries css --out queries.parquet
python examples/rank_by_colour.py data/css queries.parquet ranking.parquet
tirg-bench score --task css ranking.parquet --name colour-histogram --author Me --url https://example.org
"""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import css_gen

folder, queries_file, out = sys.argv[1:]
queries = pq.read_table(queries_file)
images = css_gen.open_dataset(folder).split("test").iter_images(["image_3d"])
pixels = (image[::4, ::4].reshape(-1, 3) for (image,) in images)
bins = np.array([np.histogramdd(each, bins=4, range=[(0, 256)] * 3)[0].ravel() for each in pixels])
bins /= np.linalg.norm(bins, axis=1, keepdims=True)

lists = []
for source in queries["source_id"].to_numpy():
    best_first = np.argsort(-bins @ bins[source], kind="stable")[:51]
    lists.append(best_first[best_first != source][:50])

ranking = pa.table({"query_id": queries["query_id"], "image_ids": lists}, metadata=queries.schema.metadata)
pq.write_table(ranking, out)
