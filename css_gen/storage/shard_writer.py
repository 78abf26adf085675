"""Write one file of a dataset: a pure function of (configuration, split, shard), from scenes to Parquet."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from css_gen.rendering.locate import locate
from css_gen.rendering.render2d import render_2d
from css_gen.rendering.render3d import render_3d
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import Query
from css_gen.scenes.scene import Scene
from css_gen.storage.configuration import CSS, Configuration
from css_gen.storage.content import ContentHash
from css_gen.storage.geometry_columns import to_row
from css_gen.storage.plan import Plan, Shard, image_materials, split_name
from css_gen.storage.png import encode_png
from css_gen.storage.schema import DEPTH_STEPS, footer, image_columns, image_schema, query_schema
from css_gen.tracks.plan import TrackQuery

ROW_GROUP_IMAGES = 50
ROW_GROUP_QUERIES = 10_000
_REPEATED = ("text", "modification", "kind", "distractor_why.list.element")
"""Columns whose values repeat, so that they are stored as a dictionary."""


@dataclass(frozen=True)
class Written:
    """The outcome of writing a file: its number of rows and the hash of its content."""

    rows: int
    content: str


def render_pixels(
    configuration: Configuration, split: SplitId, image_id: int, scene: Scene, *, materials: tuple[str, ...] = ()
) -> list[NDArray[Any]]:
    """Render all images of one scene, in the order of `image_columns`.

    Args:
        materials: those to draw from; empty for the configuration's.
    """
    return _rendered(configuration, split, image_id, scene, materials)[0]


def _rendered(
    configuration: Configuration, split: SplitId, image_id: int, scene: Scene, materials: tuple[str, ...] = ()
) -> tuple[list[NDArray[Any]], dict[str, Any]]:
    """Return the images of `render_pixels`, and the values of the geometry columns; empty without `--with geometry`."""
    nuisance = configuration.nuisance(split, image_id, materials)
    solid = render_3d(
        scene, nuisance, size=configuration.size, view=configuration.view, with_depth="depth" in configuration.extras
    )
    pixels: list[NDArray[Any]] = [solid.image, render_2d(scene, nuisance, size=configuration.size)]
    if "masks" in configuration.extras:
        pixels.append(solid.mask)
    if "depth" in configuration.extras:
        steps = np.rint(solid.depth * np.float32(DEPTH_STEPS))
        pixels.append(np.clip(steps, 0, np.iinfo(np.uint16).max).astype(np.uint16))
    if "geometry" not in configuration.extras:
        return pixels, {}
    return pixels, to_row(locate(scene, nuisance, solid.mask, view=configuration.view))


def write_images(
    file: BinaryIO, configuration: Configuration, plan: Plan, shard: Shard, on_image: Callable[[], None]
) -> Written:
    """Render a shard's images and write them as Parquet.

    Args:
        on_image: called after each image; what it raises ends the work.
    """
    columns = image_columns(configuration)
    content = ContentHash()
    rows: list[dict[str, Any]] = []
    for image_id in range(shard.start, shard.stop):
        scene = plan.scene(image_id)
        is_reference = image_id < plan.references
        content.add_row([image_id, scene.key, is_reference])
        images, geometry = _rendered(configuration, shard.split, image_id, scene, image_materials(plan, image_id))
        if geometry:
            content.add_row([*geometry.values()])
        row = {"image_id": image_id, "scene": scene.to_json(), "key": scene.key, "is_reference": is_reference}
        row |= geometry
        for name, pixels in zip(columns, images, strict=True):
            content.add_pixels(pixels)
            path = f"{split_name(shard.split)}-{image_id:06d}-{name}.png"
            row[name] = {"bytes": encode_png(pixels), "path": path}
        rows.append(row)
        on_image()
    written = Written(len(rows), content.hexdigest())
    table = pa.Table.from_pylist(rows, schema=image_schema(configuration))
    with _writer(file, table.schema, raw=[f"{name}.bytes" for name in columns]) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_IMAGES)
        writer.add_key_value_metadata(footer(configuration, written.content))
    return written


def write_queries(file: BinaryIO, configuration: Configuration, plan: Plan, on_step: Callable[[], None]) -> Written:
    """Write a split's queries as Parquet, a row group at a time."""
    queries, schema = plan.query_count, query_schema(configuration)
    content = ContentHash()
    with _writer(file, schema, raw=[]) as writer:
        for start in range(0, queries, ROW_GROUP_QUERIES):
            rows: list[list[Any]] = []
            for query in plan.queries(start, min(start + ROW_GROUP_QUERIES, queries)):
                rows.append(query_values(query, configuration))
                content.add_row(rows[-1])
                on_step()
            table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
            writer.write_table(table, row_group_size=ROW_GROUP_QUERIES)
        written = Written(queries, content.hexdigest())
        writer.add_key_value_metadata(footer(configuration, written.content))
    return written


def query_values(query: Query | TrackQuery, configuration: Configuration) -> list[Any]:
    """Return a query's row, in the order of `query_schema`."""
    values = [
        query.index,
        query.source,
        query.target,
        query.modification_id,
        query.modification.text_with(configuration.names),
        query.modification.to_json(),
        query.modification.kind,
        query.novel,
    ]
    if configuration.track == CSS:
        return values
    return [*values, [image for _, image in query.distractors], [why for why, _ in query.distractors]]


@contextmanager
def _writer(file: BinaryIO, schema: pa.Schema, *, raw: Sequence[str]) -> Iterator[pq.ParquetWriter]:
    """Open a Parquet writer; every option that decides the bytes is given. `raw` columns are compressed already."""
    columns = [path for field in schema for path in _leaves(field)]
    options: dict[str, Any] = {
        "version": "2.6",
        "data_page_version": "1.0",
        "compression": {path: "NONE" if path in raw else "ZSTD" for path in columns},
        "compression_level": {path: 3 for path in columns if path not in raw},
        "use_dictionary": [path for path in columns if path in _REPEATED],
        "write_statistics": [path for path in columns if path not in raw],
        "write_page_checksum": True,
    }
    writer = pq.ParquetWriter(file, schema, **options)
    try:
        yield writer
        writer.close()
    except BaseException:
        # Its destructor would try to complete a file that is being given up.
        writer.is_open = False
        raise


def _leaves(field: Any) -> list[str]:
    if pa.types.is_struct(field.type):
        return [f"{field.name}.{inner.name}" for inner in field.type]
    path, kind = field.name, field.type
    while pa.types.is_list(kind):
        path, kind = f"{path}.list.element", kind.value_type
    return [path]
