"""CSS as google/tirg released it: PNG files, and labels in a pickled file that is read without running it.

    images/css_{split}_{number:06d}.png
    css_toy_dataset_novel2_small.dup.npy      {split: {"objects_img": [...], "mods": [...], "labels": [...] or nothing}}

`css-gen export --format tirg` writes the same layout.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets import cache_place
from benchmark.datasets.image_cache import CachedImages, cached_files
from benchmark.datasets.original_scenes import relevant_labels, scene_of, third
from benchmark.datasets.plain_pickle import load_plain
from benchmark.datasets.problems import skipped_hash
from benchmark.datasets.splits import Queries, Rows, Split
from benchmark.errors import BenchmarkError
from css_gen.progress import Reporter
from css_gen.scenes.scene import Scene
from css_gen.storage.atomic import write_atomically

TABLE_NAME = "css_toy_dataset_novel2_small.dup.npy"
_SPLITS = ("train", "test")


class CssOriginal:
    """3D to 3D: the gallery is all images of the split, and every image is relevant that shows what the text asks for.

    Args:
        root: the folder that holds `images` and the pickled file.
        image_size: images are scaled until their short side has it, and cropped to their middle.
        reporter: told about the decoding, which happens once per image size.
        skip_broken: leave out broken images and the queries on them, instead of refusing the folder.

    Raises:
        BenchmarkError: the pickled file is missing, damaged or holds anything but such labels, or an image is broken.
            Also on first use of a split.
    """

    name = "css-original"
    spatial = True
    rendering = None

    def __init__(self, root: Path, *, image_size: int, reporter: Reporter, skip_broken: bool) -> None:
        self._root, self._image_size, self._reporter, self._skip = root, image_size, reporter, skip_broken
        self._sha256, self._tables = read_tables(root)

    @cached_property
    def skipped(self) -> Mapping[str, str]:
        return dict(self._images["train"].broken) | dict(self._images["test"].broken)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self._sha256} {skipped_hash(self.skipped) or ''}".encode()).hexdigest()

    @cached_property
    def train(self) -> Split:
        return self._split("train")

    @cached_property
    def test(self) -> Split:
        return self._split("test")

    def _split(self, name: str) -> Split:
        table, images = self._tables[name], self._images[name]
        rows = {path: row for row, path in enumerate(images.paths)}
        row_of = np.array([rows.get(path, -1) for path in image_paths(name, table)], dtype=np.int64)
        queries = [query for query in table["queries"] if min(row_of[query["source"]], row_of[query["target"]]) >= 0]
        if not queries:
            raise BenchmarkError(f"{self._root}: no query of the {name} split is left")
        sources: Rows = row_of[[query["source"] for query in queries]]
        labels = np.unique(np.array(table["labels"]), return_inverse=True)[1].astype(np.int64)
        pixels = images.pixels
        scenes = [None if scene is None else Scene.from_json(scene) for scene in table["scenes"]]
        relevant, unread = relevant_labels(queries, scenes, labels.tolist(), (row_of >= 0).tolist())
        if unread:
            self._reporter.message(
                f"{self.name}: {unread:,} of {len(queries):,} {name} queries count only the drawn target as relevant, "
                "because their text does not give it, or their objects are not a scene of the 3x3 grid"
            )
        return Split(
            sources=pixels,
            gallery=pixels,
            labels=labels[row_of >= 0],
            files=images.paths,
            relevant=relevant,
            queries=Queries(
                ids=tuple(str(query["id"]) for query in queries),
                sources=sources,
                targets=row_of[[query["target"] for query in queries]],
                source_images=sources,
                texts=tuple(query["text"] for query in queries),
                attributes={
                    "kind": np.array([query["kind"] for query in queries]),
                    "objects": np.array([str(table["objects"][query["source"]]) for query in queries]),
                },
            ),
        )

    @cached_property
    def _images(self) -> Mapping[str, CachedImages]:
        return {
            name: cached_files(
                self._root,
                self.name,
                name,
                image_paths(name, self._tables[name]),
                self._image_size,
                self._reporter,
                skip_broken=self._skip,
                key=self._sha256[:16],
            )
            for name in _SPLITS
        }


def image_paths(split: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    """The files of a split's images in their order, relative to the folder."""
    return tuple(f"images/css_{split}_{number:06d}.png" for number in range(len(table["labels"])))


def read_tables(root: Path) -> tuple[str, Mapping[str, Any]]:
    """The SHA-256 of the pickled file, and by split: labels, scenes and numbers of objects of images, and the queries.

    The pickle is read once; later starts read what it held from JSON, kept under its hash.

    Raises:
        BenchmarkError: the file is missing or damaged, or does not hold such labels.
    """
    path = root / TABLE_NAME
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BenchmarkError(
            f"{path}: cannot be read ({error.strerror}); expected the CSS release of google/tirg"
        ) from None
    relative = f"{digest[:16]}/tables-with-scenes.json"
    with suppress(OSError, ValueError):  # one that was cut short is made again
        if kept := cache_place.find(root, relative):
            before: dict[str, Any] = json.loads(kept.read_bytes())
            return digest, before
    content = load_plain(path)
    tables = {split: _table(path, split, content) for split in _SPLITS}
    if place := cache_place.writable_place(root):
        with suppress(OSError):  # what cannot be kept is read again each time
            (place / relative).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place / relative, json.dumps(tables).encode())
    return digest, tables


def _table(path: Path, split: str, content: Any) -> dict[str, Any]:
    where = f"{path}, split {split}"
    try:
        scenes, mods = content[split]["objects_img"], content[split]["mods"]
        read = [scene_of(scene) for scene in scenes]
        labels = content[split].get("labels") or [_label(scene) for scene in scenes]
        if len(labels) != len(scenes):
            raise BenchmarkError(f"{where}: has {len(scenes)} images and {len(labels)} labels")
        queries: list[dict[str, Any]] = []
        for number, mod in enumerate(mods):
            if len(mod["from"]) != len(mod["to"]):
                raise BenchmarkError(f"{where}: modification {number} has sources without targets")
            for source, target in zip(mod["from"], mod["to"], strict=True):
                if not (0 <= source < len(scenes) and 0 <= target < len(scenes)):
                    raise BenchmarkError(
                        f"{where}: modification {number} is on images {source} and {target}, there are {len(scenes)}"
                    )
                queries.append(
                    {"id": len(queries), "source": source, "target": target, "text": mod["to_str"], "kind": _kind(mod)}
                )
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise BenchmarkError(f"{where}: is not laid out as CSS labels are ({type(error).__name__}: {error})") from None
    return {
        "labels": labels,
        "objects": [len(scene) for scene in scenes],
        "scenes": [None if scene is None else scene.to_json() for scene in read],
        "queries": queries,
    }


def _label(scene: list[dict[str, Any]]) -> str:
    """A label that is equal for equal objects in equal cells, in any order."""
    return " ".join(
        sorted(
            f"{item['shape']},{item['color']},{item['size']},{third(item['pos'][0])},{third(item['pos'][1])}"
            for item in scene
        )
    )


def _kind(mod: Mapping[str, Any]) -> str:
    if mod["type"] != "make":
        return str(mod["type"])
    return "make-colour" if mod.get("make_new_color") else "make-size"
