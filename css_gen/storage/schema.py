"""The columns of a dataset's Parquet files, and the footer in which each file says what it was made from."""

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from css_gen.storage.configuration import CSS, Configuration
from css_gen.storage.geometry_columns import COLUMNS
from css_gen.storage.manifest import generator_version

FOOTER_KEY = "css-gen"
DEPTH_STEPS = 1000
"""Steps of the depth image in one world unit; its greatest value, 65535, also means anything farther away."""

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

_QUERY_FIELDS: list[tuple[str, Any]] = [
    ("query_id", pa.int64()),
    ("source_id", pa.int64()),
    ("target_id", pa.int64()),
    ("modification_id", pa.int64()),
    ("text", pa.string()),
    ("modification", pa.string()),
    ("kind", pa.string()),
    ("novel", pa.bool_()),
]
_DISTRACTOR_FIELDS: list[tuple[str, Any]] = [
    ("distractor_ids", pa.list_(pa.int64())),
    ("distractor_why", pa.list_(pa.string())),
]


def query_schema(configuration: Configuration) -> pa.Schema:
    """Return the schema of the queries; a track's have two columns more, one entry a distractor in both."""
    return pa.schema(_QUERY_FIELDS if configuration.track == CSS else _QUERY_FIELDS + _DISTRACTOR_FIELDS)


def image_columns(configuration: Configuration) -> tuple[str, ...]:
    """Return the image columns of a dataset, in the order of the file."""
    extras = {"masks": ("mask",), "depth": ("depth",), "geometry": ()}
    return ("image_3d", "image_2d", *(column for name in configuration.extras for column in extras[name]))


def image_schema(configuration: Configuration) -> pa.Schema:
    """Return the schema of an image shard."""
    columns = image_columns(configuration)
    fields: list[tuple[str, Any]] = [
        ("image_id", pa.int64()),
        ("scene", pa.string()),
        ("key", pa.string()),
        ("is_reference", pa.bool_()),
    ]
    if "geometry" in configuration.extras:
        fields += ((name, column.type) for name, column in COLUMNS.items())
    return pa.schema([*fields, *((name, _IMAGE) for name in columns)], {"huggingface": _features(fields, columns)})


def _features(fields: list[tuple[str, Any]], columns: tuple[str, ...]) -> str:
    """Return the metadata that lets Hugging Face's datasets decode image columns without the dataset card."""
    features = {name: _feature(kind) for name, kind in fields}
    return json.dumps({"info": {"features": features | {name: {"_type": "Image"} for name in columns}}})


def _feature(kind: Any) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind)), "_type": "Value"}


@dataclass(frozen=True)
class Footer:
    """The origin of a data file, as stored in its footer; `content` is the hash of its content."""

    generator_version: str
    configuration: Configuration
    content: str


def read_footer(metadata: pq.FileMetaData) -> Footer:
    """Read the footer of a data file.

    Raises:
        ValueError: it is missing or not in the expected form.
    """
    try:
        values = json.loads((metadata.metadata or {}).get(FOOTER_KEY.encode(), b"null"))
    except RecursionError:
        values = None
    if not isinstance(values, dict) or values.keys() != {"generator_version", "configuration", "content"}:
        raise ValueError("it was not written by css-gen")
    return Footer(
        str(values["generator_version"]), Configuration.from_json(values["configuration"]), str(values["content"])
    )


def footer(configuration: Configuration, content: str) -> dict[str, str]:
    values = {"generator_version": generator_version(), "configuration": configuration.to_json(), "content": content}
    return {FOOTER_KEY: json.dumps(values)}
