"""The dataset card: README.md in a dataset's folder, for `datasets.load_dataset` and for people."""

import re
from pathlib import Path

from css_gen.storage.atomic import write_atomically
from css_gen.storage.configuration import CSS, Configuration
from css_gen.storage.geometry_columns import COLUMNS
from css_gen.storage.manifest import Manifest
from css_gen.storage.schema import DEPTH_STEPS, image_columns, image_schema, query_schema
from css_gen.tracks import registry

CARD_NAME = "README.md"


def write_card(root: Path, manifest: Manifest) -> None:
    """Write the dataset card."""
    write_atomically(root / CARD_NAME, card(manifest).encode())


def card(manifest: Manifest, *, place: str = "path/to/this/folder") -> str:
    """Return the text of the dataset card. `place` is what its example loads: a folder, or a repository of the Hub."""
    configuration = manifest.configuration
    size, columns = configuration.size, image_columns(configuration)
    kinds = {field.name: str(field.type) for field in image_schema(configuration)} | dict.fromkeys(columns, "image")
    counts = "\n".join(
        f"| {name} | {split.images} | {split.references} | {split.queries} |" for name, split in manifest.splits.items()
    )
    extras = {
        "mask": "\n- `mask`: greyscale PNG of the 3D image: 0 for the floor, for an object 1 to 9 by its cell,\n"
        "  row by row from the top left",
        "depth": "\n- `depth`: 16-bit PNG of the 3D image: distance along the viewing axis\n"
        f"  in {DEPTH_STEPS}ths of a world unit, 65535 for that and all that is farther",
    }
    title, track, shared, novel, distractors = about_track(configuration)
    # `datasets` caches a folder by its last name and this header, so a new rendering has to change the header.
    identity = f"fingerprint {manifest.fingerprint}"
    return f"""---
pretty_name: {title}
license: apache-2.0
language:
- en
tags:
- composed-image-retrieval
- synthetic
size_categories:
- {_size_category(configuration.images)}
configs:
- config_name: images
  description: {identity}
  default: true
{_data_files("images-*.parquet")}
- config_name: queries
  description: {identity}
{_data_files("queries.parquet")}
dataset_info:
- config_name: images
  features:
{_features(kinds)}
- config_name: queries
  features:
{_features({field.name: str(field.type) for field in query_schema(configuration)})}
---

# {title}
{track}
Simple scenes on a 3x3 grid, each drawn as a ray-traced 3D image and as a flat 2D image of {size}x{size} pixels, and
modification texts that lead from a source image to a target image. Rendered by `css-gen` {manifest.generator_version}
after the dataset of Vo et al., *Composing Text and Image for Image Retrieval - An Empirical Odyssey* (CVPR 2019).
{_about_nuisances(configuration)}
| split | images | references | queries |
|---|---|---|---|
{counts}

Images (`images`):

- `image_id`: the row's number in its split; the references come first
- `scene`: JSON, a list of objects with cell, size, colour and shape; `key`: the same as one canonical string. **Equal
  keys are equally correct answers**
- `is_reference`: whether queries start from this image
- `image_3d`, `image_2d`: PNG{"".join(extras[name] for name in columns[2:])}
{_about_geometry(configuration)}
Queries (`queries`):

- `query_id`: the row's number; `source_id`, `target_id`: image ids of the same split
- `modification_id`: equal for {shared}
- `text`: the modification in words; `modification`: the same as JSON; `kind`: its kind
- `novel`: whether {novel} of a combination that train never shows
{distractors}
```python
import datasets

images = datasets.load_dataset("{place}", "images", split="test")
queries = datasets.load_dataset("{place}", "queries", split="test")
source = images[queries[0]["source_id"]]["image_3d"]
```

`manifest.json` holds the configuration, the held-out combinations, a checksum of every file and the fingerprint of
the content: `{manifest.fingerprint}`.
{_split_fingerprints(manifest)}
`css-gen verify` checks all of it. Another CPU may compress the PNGs differently; their pixels, and the fingerprint,
are the same everywhere.
"""


def about_track(configuration: Configuration) -> tuple[str, str, str, str, str]:
    """Return what a track changes in the card: title, first sentence, modification_id, novel, more columns."""
    title = "CSS (Color-Shape-Size)"
    if configuration.track == CSS:
        return (
            title,
            "",
            "the three queries that share a modification",
            "the modification adds, removes or changes an object",
            "",
        )
    track = registry.get(configuration.track)
    reasons = ", ".join(track.contrasts)
    return (
        f"{title}, track {track.name}",
        f"\nA hard track of css, {track.title.lower()}: {track.about}.\n",
        "the queries that share a target",
        "an object that source and target do not share is",
        "- `distractor_ids`: wrong answers that are in the test split for this query; `distractor_why`: what is wrong\n"
        f"  with each, of {reasons}\n",
    )


def _about_nuisances(configuration: Configuration) -> str:
    if configuration.nuisance_seed is None:
        return ""
    return f"""
Scenes and queries are those of seed {configuration.seed}; lights, camera, positions, rotations and materials are drawn
as with seed {configuration.nuisance_seed}.
"""


def _about_geometry(configuration: Configuration) -> str:
    if "geometry" not in configuration.extras:
        return ""
    columns = "\n".join(f"- `{name}`: {column.about}" for name, column in COLUMNS.items())
    return f"""
Geometry, in the same rows; columns of objects have one entry an object, in the order of `scene`. Pixels go right and
down from the top left corner, and the first pixel's centre is at (0.5, 0.5). For a point at pixel (x, y) of `image_3d`
and depth d, `camera_intrinsics @ camera_rotation @ (point - camera_position)` is (x d, y d, d).

{columns}
"""


def _split_fingerprints(manifest: Manifest) -> str:
    splits = ", ".join(f"of {name} `{manifest.split_fingerprint(name)}`" for name in manifest.splits)
    return f"A fingerprint of one split is equal wherever the split is, whatever the other one holds: {splits}."


def _data_files(pattern: str) -> str:
    return f"""  data_files:
  - split: train
    path: train/{pattern}
  - split: test
    path: test/{pattern}"""


def _features(kinds: dict[str, str]) -> str:
    return "\n".join(f"  - name: {name}\n    {_dtype(kind)}" for name, kind in kinds.items())


def _dtype(kind: str) -> str:
    kind = kind.replace("double", "float64")
    nested = re.fullmatch(r"list<item: list<item: (\w+)>>", kind)
    if nested:
        return f"sequence:\n      sequence: {nested[1]}"
    listed = re.fullmatch(r"list<item: (\w+)>", kind)
    return f"sequence: {listed[1]}" if listed else f"dtype: {kind}"


def _size_category(images: int) -> str:
    for exponent, name in ((7, "10M<n<100M"), (6, "1M<n<10M"), (5, "100K<n<1M"), (4, "10K<n<100K"), (3, "1K<n<10K")):
        if images >= 10**exponent:
            return name
    return "n<1K"
