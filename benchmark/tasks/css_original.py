"""CSS as google/tirg released it: the paper's own images, from a 3D image to a 3D image."""

from pathlib import Path

from benchmark.datasets.contents import Contents, Count
from benchmark.datasets.css_original import CssOriginal, image_paths, read_tables
from benchmark.tasks.base import Task
from benchmark.tasks.css import LATER_3D, PUBLISHED_3D, SLICES
from benchmark.tasks.registry import register
from css_gen.scenes.modification import parse


def contents(root: Path) -> Contents:
    _, tables = read_tables(root)
    queries = [query for table in tables.values() for query in table["queries"]]
    return Contents(
        counts=(
            Count("training images", len(tables["train"]["labels"]), 19_012),
            Count("test images", len(tables["test"]["labels"]), 19_012),
            Count("training queries", len(tables["train"]["queries"]), 18_012),
            Count("test queries", len(tables["test"]["queries"]), 18_012),
            Count("modification texts", len({query["text"] for query in queries})),
        ),
        images=tuple(path for split, table in tables.items() for path in image_paths(split, table)),
        problems=(),
        notes=(),
    )


register(
    Task(
        name="css-original",
        title="CSS, the original images: 3D query, 3D gallery",
        about="CSS as google/tirg released it, 3D to 3D",
        folder="css-original",
        features="map",
        has_exact_answers=True,
        parse=parse,
        images="owned",
        open=CssOriginal,
        check=contents,
        slices={name: SLICES[name] for name in ("kind", "objects")},
        published=PUBLISHED_3D,
        later=LATER_3D,
    )
)
