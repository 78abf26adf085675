"""The plain layout: PNG files in folders, with a table of the images and one of the queries."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

from css_gen.dataset import Dataset
from css_gen.storage.schema import image_columns


def export_png(dataset: Dataset, out: Path, on_progress: Callable[[int], None]) -> None:
    """Write `{split}/{column}/{image_id:06d}.png`, `{split}/images.csv` and `{split}/queries.jsonl`.

    Args:
        out: an empty folder.
        on_progress: called with the number of images done.
    """
    done = 0
    columns = image_columns(dataset.manifest.configuration)
    for name in dataset.split_names:
        split = dataset.split(name)
        for column in columns:
            (out / name / column).mkdir(parents=True)
        with (out / name / "images.csv").open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["image_id", "is_reference", *columns, "key", "scene"])
            rows = zip(split.is_reference, split.keys, split.iter_pngs(columns), strict=True)
            for image_id, (is_reference, key, pngs) in enumerate(rows):
                paths = [f"{column}/{image_id:06d}.png" for column in columns]
                for path, png in zip(paths, pngs, strict=True):
                    (out / name / path).write_bytes(png)
                table.writerow([image_id, int(is_reference), *paths, key, split.scene(image_id).to_json()])
                done += 1
                on_progress(done)
        with (out / name / "queries.jsonl").open("w") as file:
            for query in split.iter_queries():
                file.write(json.dumps(query.to_json()) + "\n")
