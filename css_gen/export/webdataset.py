"""The WebDataset layout: tar files of a few thousand images each, to be read in a stream."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from css_gen.dataset import Dataset
from css_gen.storage.geometry_columns import to_row
from css_gen.storage.schema import image_columns

IMAGES_PER_TAR = 2000


def export_webdataset(dataset: Dataset, out: Path, on_progress: Callable[[int], None]) -> None:
    """Write `{split}-{number:06d}.tar` and `{split}-queries.jsonl`.

    A sample's key is its image id; it has `3d.png`, `2d.png` (and `mask.png`, `depth.png`) and `json` with image_id,
    key, is_reference, scene and, where the dataset has its columns, geometry. Equal datasets give equal tar files:
    members carry no time and no owner.

    Args:
        out: an empty folder.
        on_progress: called with the number of images done.
    """
    done = 0
    columns = image_columns(dataset.manifest.configuration)
    has_geometry = "geometry" in dataset.manifest.configuration.extras
    for name in dataset.split_names:
        split = dataset.split(name)
        samples = zip(split.is_reference, split.keys, split.iter_pngs(columns), strict=True)
        for number, start in enumerate(range(0, len(split), IMAGES_PER_TAR)):
            with tarfile.open(out / f"{name}-{number:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
                for image_id in range(start, min(start + IMAGES_PER_TAR, len(split))):
                    is_reference, key, pngs = next(samples)
                    for column, png in zip(columns, pngs, strict=True):
                        _add(tar, f"{image_id:09d}.{column.removeprefix('image_')}.png", png)
                    scene = json.loads(split.scene(image_id).to_json())
                    geometry = {"geometry": to_row(split.geometry(image_id))} if has_geometry else {}
                    about = {"image_id": image_id, "key": key, "is_reference": is_reference, "scene": scene, **geometry}
                    _add(tar, f"{image_id:09d}.json", json.dumps(about).encode())
                    done += 1
                    on_progress(done)
        with (out / f"{name}-queries.jsonl").open("w") as file:
            file.writelines(json.dumps(query.to_json()) + "\n" for query in split.iter_queries())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
