"""The layout of google/tirg, which its `CSSDataset` reads: PNG files and one pickled NumPy file of plain containers.

That loader calls `np.load` without `allow_pickle=True`, which NumPy has demanded since 1.16.3: it must be added there.
A pickle can run code when it is read. This one holds dictionaries, lists, strings and numbers only, which any reader
can insist on.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from css_gen.dataset import Dataset, QueryRow, Split
from css_gen.errors import DatasetError
from css_gen.rendering.render2d import position_2d
from css_gen.scenes.randomness import SplitId
from css_gen.storage.configuration import CSS

TABLE_NAME = "css_toy_dataset_novel2_small.dup.npy"


def export_tirg(dataset: Dataset, out: Path, on_progress: Callable[[int], None]) -> None:
    """Write `images/css_{split}_{image_id:06d}.png`, the 3D images, and the table of objects, labels and modifications.

    Images of equal scenes share a label. An object's `pos` is its place (down, across) in the 2D image, in [0, 1].

    Args:
        out: an empty folder.
        on_progress: called with the number of images done.

    Raises:
        DatasetError: the dataset is of a track, whose texts are more than one modification of css.
    """
    if dataset.track != CSS:
        raise DatasetError(
            f"{dataset.root} is of the track {dataset.track}, whose texts the layout tirg has no fields for; "
            "export it with --format png or webdataset"
        )
    done = 0
    (out / "images").mkdir()
    table = {}
    for name in dataset.split_names:
        split = dataset.split(name)
        for image_id, (png,) in enumerate(split.iter_pngs(["image_3d"])):
            (out / "images" / f"css_{name}_{image_id:06d}.png").write_bytes(png)
            done += 1
            on_progress(done)
        table[name] = {
            "objects_img": [_objects(split, image_id) for image_id in range(len(split))],
            "labels": _labels(split.keys),
            "mods": _mods(split.queries),
        }
    with (out / TABLE_NAME).open("wb") as file:
        np.save(file, np.array(table, dtype=object), allow_pickle=True)


def _objects(split: Split, image_id: int) -> list[dict[str, Any]]:
    nuisance = split.manifest.configuration.nuisance(SplitId[split.name.upper()], image_id)
    objects = []
    for item in split.scene(image_id):
        across, down = position_2d(item, nuisance)
        objects.append(
            {"shape": str(item.shape), "color": str(item.colour), "size": str(item.size), "pos": (down, across)}
        )
    return objects


def _labels(keys: list[str]) -> list[int]:
    """Return each image's label: the number of its scene, counted as they first appear."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _mods(queries: list[QueryRow]) -> list[dict[str, Any]]:
    """Return the modifications in order, each with the sources and targets of all its queries."""
    mods: dict[int, dict[str, Any]] = {}
    for query in queries:
        mod = mods.setdefault(query.modification_id, _mod(query))
        mod["from"].append(query.source_id)
        mod["to"].append(query.target_id)
    return list(mods.values())


def _mod(query: QueryRow) -> dict[str, Any]:
    modification = query.modification
    kind, selector = query.text.partition(" ")[0], modification.selector
    return {
        "type": kind,
        "str": [kind],
        "to_str": query.text,
        "from": [],
        "to": [],
        "target_shape": _word(selector.shape),
        "target_pos": _word(selector.cell),
        "target_size": _word(selector.size),
        "target_color": _word(selector.colour),
        "make_new_color": _word(getattr(modification, "new_colour", None)),
        "make_new_size": _word(getattr(modification, "new_size", None)),
    }


def _word(value: str | None) -> str | None:
    """Return a plain string, since an enumeration's member would need our package to be read back."""
    return None if value is None else str(value)
