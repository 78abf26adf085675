"""Check one file of a dataset, row by row: does it decode, and is it what its configuration implies?"""

import bisect
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from css_gen.pool import Step
from css_gen.rendering.locate import locate
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.storage import folder, geometry_columns
from css_gen.storage.configuration import Configuration
from css_gen.storage.content import ContentHash
from css_gen.storage.manifest import FileEntry
from css_gen.storage.plan import Plan, Shard, Unit, image_materials, shards, split_plan
from css_gen.storage.reader import decode_png, modification_reader, open_parquet, text_parser
from css_gen.storage.schema import image_columns, image_schema, query_schema, read_footer
from css_gen.tracks import registry
from css_gen.tracks.plan import TrackPlan

_DAMAGE = (pa.ArrowException, OSError, ValueError, SyntaxError, KeyError, TypeError, AttributeError)
_ROWS_AT_ONCE = 50
_CACHED_SHARDS = 256


@dataclass(frozen=True)
class Problem:
    """Something wrong in a file, in a row of it (from 0) or in all of it."""

    file: str
    row: int | None
    what: str

    def __str__(self) -> str:
        return f"{self.file}{'' if self.row is None else f', row {self.row}'}: {self.what}"


@dataclass(frozen=True)
class FileReport:
    """Problems of a file, and its entry for the manifest.

    The entry is None where the file is missing, and its content is empty where there are problems.
    """

    problems: list[Problem]
    entry: FileEntry | None


def check_file(root: Path, configuration: Configuration, unit: Unit, step: Step) -> FileReport:
    """Check one file of a dataset against its configuration.

    Args:
        step: called with numbers of images checked.
    """
    images = unit.stop - unit.start if isinstance(unit, Shard) else 0
    path = root / unit.name
    if not path.is_file():
        step(images)
        return FileReport([Problem(unit.name, None, "is missing")], None)
    plan = split_plan(configuration, unit.split)
    content = ContentHash()
    problems: list[Problem] = []
    rows = steps = 0
    try:
        # Without the pages' checksums, which would hide the row that is damaged.
        file = open_parquet(path, verify_pages=False)
        footer = read_footer(file.metadata)
        if footer.configuration != configuration:
            raise ValueError("it was made for another configuration")
        expected_rows = images if isinstance(unit, Shard) else plan.query_count
        if file.metadata.num_rows != expected_rows:
            raise ValueError(f"it has {file.metadata.num_rows} rows where {expected_rows} belong")
        if isinstance(unit, Shard):
            faults = _image_faults(file, configuration, plan, unit, content)
        else:
            faults = _query_faults(file, _scene_reader(root, configuration, unit.split), configuration, plan, content)
        for what in faults:
            problems += [Problem(unit.name, rows, each) for each in what]
            rows += 1
            if isinstance(unit, Shard):
                step(1)
                steps += 1
        if not problems and content.hexdigest() != footer.content:
            problems.append(Problem(unit.name, None, "its content does not match the hash in its footer"))
    except _DAMAGE as error:
        problems.append(Problem(unit.name, None, f"cannot be read: {_reason(error)}"))
    step(images - steps)
    entry = FileEntry(rows, path.stat().st_size, folder.file_sha256(path), "" if problems else content.hexdigest())
    return FileReport(problems, entry)


def _image_faults(
    file: pq.ParquetFile, configuration: Configuration, plan: Plan, shard: Shard, content: ContentHash
) -> Iterator[list[str]]:
    """Yield the faults of each row of an image shard, and add the row to the hash."""
    columns = image_columns(configuration)
    _require_schema(file, image_schema(configuration))
    image_id = shard.start
    for batch in file.iter_batches(_ROWS_AT_ONCE):
        for row in batch.to_pylist():
            content.add_row([row["image_id"], row["key"], row["is_reference"]])
            if "geometry" in configuration.extras:
                content.add_row([row[name] for name in geometry_columns.COLUMNS])
            yield [
                *_scene_faults(row, image_id, plan),
                *_geometry_faults(row, image_id, configuration, plan),
                *(fault for name in columns for fault in _png_faults(name, row[name], configuration.size, content)),
            ]
            image_id += 1


def _scene_faults(row: dict[str, Any], image_id: int, plan: Plan) -> Iterator[str]:
    if row["image_id"] != image_id:
        yield f"image_id is {row['image_id']} where {image_id} belongs"
    if row["is_reference"] != (image_id < plan.references):
        yield f"is_reference is {row['is_reference']}; the references are the split's first {plan.references} images"
    try:
        scene = Scene.from_json(row["scene"])
    except (ValueError, TypeError) as error:
        yield f"its scene cannot be read: {_reason(error)}"
        return
    if scene.key != row["key"]:
        yield f'key is "{row["key"]}" where its scene has "{scene.key}"'
    allowed = plan.held_out.allowed(plan.split)
    for item in scene:
        if (item.shape, item.colour) not in allowed:
            yield f"shows a {item.colour} {item.shape}, which is held out from this split"


def _geometry_faults(row: dict[str, Any], image_id: int, configuration: Configuration, plan: Plan) -> Iterator[str]:
    """Yield the geometry columns that do not follow from scene and nuisances.

    Boxes in the 3D image follow from its mask, which is not rendered here; the hash of the content covers them.
    """
    if "geometry" not in configuration.extras:
        return
    mask = np.zeros((configuration.size, configuration.size), np.uint8)
    nuisance = configuration.nuisance(plan.split, image_id, image_materials(plan, image_id))
    expected = geometry_columns.to_row(locate(plan.scene(image_id), nuisance, mask, view=configuration.view))
    for name, value in expected.items():
        if name != "object_box_image_3d" and row[name] != value:
            yield f"{name} is not that of its scene and nuisances"


def _png_faults(name: str, stored: dict[str, Any], size: int, content: ContentHash) -> Iterator[str]:
    try:
        # `load` alone ignores the checksums of PNG's chunks.
        with Image.open(io.BytesIO(stored["bytes"]), formats=["PNG"]) as image:
            image.verify()
        pixels = decode_png(stored["bytes"])
    except _DAMAGE as error:
        yield f"{name} does not decode: {_reason(error)}"
        return
    expected = {"mask": ((size, size), np.uint8), "depth": ((size, size), np.uint16)}
    shape, kind = expected.get(name, ((size, size, 3), np.uint8))
    if pixels.shape != shape or pixels.dtype != kind:
        yield f"{name} is {pixels.dtype} {pixels.shape} where {np.dtype(kind)} {shape} belongs"
    content.add_pixels(pixels)


def _query_faults(
    file: pq.ParquetFile,
    scene: Callable[[int], Scene | None],
    configuration: Configuration,
    plan: Plan,
    content: ContentHash,
) -> Iterator[list[str]]:
    """Yield the faults of each row of a queries file, and add the row to the hash."""
    schema = query_schema(configuration)
    _require_schema(file, schema)
    query_id = 0
    for batch in file.iter_batches():
        for row in batch.to_pylist():
            content.add_row([row[name] for name in schema.names])
            yield list(_faults_of_query(row, query_id, scene, configuration, plan))
            query_id += 1


def _faults_of_query(
    row: dict[str, Any],
    query_id: int,
    scene: Callable[[int], Scene | None],
    configuration: Configuration,
    plan: Plan,
) -> Iterator[str]:
    if row["query_id"] != query_id:
        yield f"query_id is {row['query_id']} where {query_id} belongs"
    source_id, target_id = row["source_id"], row["target_id"]
    if not 0 <= source_id < plan.references:
        yield f"source_id {source_id} is not one of the {plan.references} references"
    expected_target, modification_id = plan.place_of(query_id)
    if target_id != expected_target:
        yield f"target_id is {target_id} where {expected_target} belongs"
    if row["modification_id"] != modification_id:
        yield f"modification_id is {row['modification_id']} where {modification_id} belongs"
    try:
        modification = modification_reader(configuration.track)(row["modification"])
        read = text_parser(configuration.track)(row["text"])
        if read != modification or modification.text_with(configuration.names) != row["text"]:
            yield f'text "{row["text"]}" does not say what its modification does'
    except _DAMAGE as error:
        yield f"its modification cannot be read: {_reason(error)}"
        return
    if row["kind"] != modification.kind:
        yield f"kind is {row['kind']} where {modification.kind} belongs"
    source, target = scene(source_id), scene(target_id)
    if source is None or target is None:
        return
    if not modification.is_target(source, target):
        yield f'target {target_id} does not satisfy "{row["text"]}" on source {source_id}'
    changed = {*source} ^ {*target}
    novel = any((item.shape, item.colour) in plan.held_out.test_only for item in changed)
    if row["novel"] != novel:
        yield f"novel is {row['novel']} where {novel} belongs"
    if isinstance(plan, TrackPlan):
        yield from _distractor_faults(row, target_id, modification, source, scene, plan)


def _distractor_faults(
    row: dict[str, Any],
    target_id: int,
    program: Any,
    source: Scene,
    scene: Callable[[int], Scene | None],
    plan: TrackPlan,
) -> Iterator[str]:
    ids, reasons = row["distractor_ids"], row["distractor_why"]
    expected = list(range(target_id + 1, target_id + plan.block))
    if ids != expected:
        yield f"distractor_ids are {ids} where {expected} belong"
    if len(reasons) != len(ids):
        yield f"distractor_why has {len(reasons)} entries where distractor_ids has {len(ids)}"
    known = registry.get(plan.track).contrasts
    for why in reasons:
        if why not in known:
            yield f"distractor_why has {why!r}, which is not one of {', '.join(known)}"
    for image_id in ids:
        shown = scene(image_id)
        if shown is not None and program.is_target(source, shown):
            yield f'distractor {image_id} satisfies "{row["text"]}" on source {row["source_id"]}'


def _scene_reader(root: Path, configuration: Configuration, split: SplitId) -> Callable[[int], Scene | None]:
    """Look up the scene of an image; None where its shard cannot be read, which is that shard's own problem."""
    parts = tuple(shards(configuration, split))
    starts = [part.start for part in parts]

    @lru_cache(_CACHED_SHARDS)
    def texts(index: int) -> list[Any]:
        try:
            column: list[Any] = open_parquet(root / parts[index].name).read(["scene"])["scene"].to_pylist()
        except _DAMAGE:
            return []
        return column

    def scene(image_id: int) -> Scene | None:
        index = bisect.bisect_right(starts, image_id) - 1
        try:
            return Scene.from_json(texts(index)[image_id - starts[index]])
        except (IndexError, ValueError, TypeError):
            return None

    return scene


def _require_schema(file: pq.ParquetFile, expected: pa.Schema) -> None:
    if not file.schema_arrow.equals(expected):
        raise ValueError(f"it has the columns {file.schema_arrow.names} where {expected.names} belong, or other types")


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
