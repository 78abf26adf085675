"""`css-gen verify` finds every kind of damage and names it; `--repair` undoes it, to the byte."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from css_gen import dataset
from css_gen.errors import DatasetError
from css_gen.render import render
from css_gen.repair import repair
from css_gen.storage.configuration import Configuration
from css_gen.storage.png import encode_png
from css_gen.verify import verify

SHARD = "train/images-00001-of-00004.parquet"
QUERIES = "test/queries.parquet"


@pytest.fixture(scope="module")
def small_dataset(tmp_path_factory) -> Path:
    """64 images of 16 pixels, 8 a shard: little to render, much to break."""
    root = tmp_path_factory.mktemp("small") / "css"
    render(root, Configuration(images=64, size=16, seed=3), jobs=1)
    return root


@pytest.fixture
def small_copy(small_dataset, tmp_path) -> Path:
    return Path(shutil.copytree(small_dataset, tmp_path / "css"))


def found(root: Path) -> list[str]:
    return [str(problem) for problem in verify(root, jobs=1)]


def rewrite(root: Path, name: str, row: int, **values: object) -> None:
    """Change some columns of one row of a data file, and keep all else, footer included."""
    path = root / name
    table = pq.read_table(path)
    rows = table.to_pylist()
    for column, value in values.items():
        rows[row][column] = value(rows[row][column]) if callable(value) else value
    footer = {key: value for key, value in pq.read_metadata(path).metadata.items() if key != b"ARROW:schema"}
    pq.write_table(pa.Table.from_pylist(rows, table.schema.with_metadata(footer)), path)


def sign_again(root: Path, change: Callable[[dict], None]) -> None:
    """Edit the manifest and give it a right checksum of itself, as only a forger would."""
    values = json.loads((root / "manifest.json").read_text())
    del values["manifest_sha256"]
    change(values)
    values["manifest_sha256"] = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    (root / "manifest.json").write_text(json.dumps(values))


def edit(root: Path, old: str, new: str) -> None:
    path = root / "manifest.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def truncate(root: Path) -> None:
    path = root / SHARD
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit_of_an_image(root: Path) -> None:
    path = root / SHARD
    content = bytearray(path.read_bytes())
    png = dataset.open(root).split("train").png_3d(8 + 5)
    place = bytes(content).index(png) + len(png) // 2
    content[place] ^= 1
    path.write_bytes(content)


def flip_a_bit_of_the_footer(root: Path, name: str = SHARD) -> None:
    path = root / name
    content = bytearray(path.read_bytes())
    content[-20] ^= 16
    path.write_bytes(content)


def swap_two_shards(root: Path) -> None:
    one, two = root / SHARD, root / SHARD.replace("00001", "00002")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def another_image(stored: dict[str, object]) -> dict[str, object]:
    pixels = dataset.decode_png(stored["bytes"])
    pixels[3, 4, 0] ^= 1
    return {**stored, "bytes": encode_png(pixels)}


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated shard": (truncate, f"{SHARD}: cannot be read"),
    "flipped bit in an image": (flip_a_bit_of_an_image, f"{SHARD}, row 5: image_3d does not decode"),
    "flipped bit in a footer": (flip_a_bit_of_the_footer, f"{SHARD}: "),
    "missing shard": (lambda root: (root / SHARD).unlink(), f"{SHARD}: is missing"),
    "empty shard": (lambda root: (root / SHARD).write_bytes(b""), f"{SHARD}: cannot be read"),
    "missing queries": (lambda root: (root / QUERIES).unlink(), f"{QUERIES}: is missing"),
    "swapped shards": (swap_two_shards, f"{SHARD}, row 0: image_id is 16 where 8 belongs"),
    "stray shard": (
        lambda root: shutil.copy(root / SHARD, root / "train/images-00004-of-00005.parquet"),
        "train/images-00004-of-00005.parquet: is not part of the dataset",
    ),
    "missing card": (lambda root: (root / "README.md").unlink(), "README.md: is missing"),
    "another image": (
        lambda root: rewrite(root, SHARD, 5, image_3d=another_image),
        f"{SHARD}: its content does not match the hash in its footer",
    ),
    "image of another size": (
        lambda root: rewrite(
            root, SHARD, 5, image_2d=lambda old: {**old, "bytes": encode_png(np.zeros((8, 8, 3), np.uint8))}
        ),
        f"{SHARD}, row 5: image_2d is uint8 (8, 8, 3) where uint8 (16, 16, 3) belongs",
    ),
    "no image": (
        lambda root: rewrite(root, SHARD, 5, image_2d=None),
        f"{SHARD}, row 5: image_2d does not decode",
    ),
    "another scene": (
        lambda root: rewrite(root, SHARD, 7, scene="[]"),
        f'{SHARD}, row 7: key is "',
    ),
    "unreadable scene": (
        lambda root: rewrite(root, SHARD, 7, scene="{"),
        f"{SHARD}, row 7: its scene cannot be read",
    ),
    "wrong image id": (
        lambda root: rewrite(root, SHARD, 0, image_id=3),
        f"{SHARD}, row 0: image_id is 3 where 8 belongs",
    ),
    "wrong reference": (
        lambda root: rewrite(root, SHARD, 0, is_reference=True),
        f"{SHARD}, row 0: is_reference is True",
    ),
    "wrong query id": (
        lambda root: rewrite(root, QUERIES, 4, query_id=5),
        f"{QUERIES}, row 4: query_id is 5 where 4 belongs",
    ),
    "wrong source": (
        lambda root: rewrite(root, QUERIES, 4, source_id=-1),
        f"{QUERIES}, row 4: source_id -1 is not one of the 5 references",
    ),
    "another reference as source": (
        lambda root: rewrite(root, QUERIES, 4, source_id=lambda old: (old + 1) % 5),
        f"{QUERIES}, row 4: target 9 does not satisfy",
    ),
    "wrong target": (
        lambda root: rewrite(root, QUERIES, 4, target_id=30),
        f"{QUERIES}, row 4: target_id is 30 where 9 belongs",
    ),
    "another text": (
        lambda root: rewrite(root, QUERIES, 4, text="remove object"),
        f'{QUERIES}, row 4: text "remove object" does not say what its modification does',
    ),
    "unreadable text": (
        lambda root: rewrite(root, QUERIES, 4, text="paint it black"),
        f"{QUERIES}, row 4: its modification cannot be read",
    ),
    "unreadable modification": (
        lambda root: rewrite(root, QUERIES, 4, modification="null"),
        f"{QUERIES}, row 4: its modification cannot be read",
    ),
    "wrong kind": (lambda root: rewrite(root, QUERIES, 4, kind="swap"), f"{QUERIES}, row 4: kind is swap where"),
    "wrong novel": (
        lambda root: rewrite(root, QUERIES, 4, novel=lambda old: not old),
        f"{QUERIES}, row 4: novel is",
    ),
    "wrong modification number": (
        lambda root: rewrite(root, QUERIES, 4, modification_id=8),
        f"{QUERIES}, row 4: modification_id is 8 where 1 belongs",
    ),
    "manifest's seed edited": (lambda root: edit(root, '"seed": 3', '"seed": 4'), "manifest.json: was edited"),
    "manifest's counts forged": (
        lambda root: sign_again(root, lambda values: values["splits"]["train"].update(queries=26)),
        "manifest.json: its counts are not those of its configuration",
    ),
    "manifest's held-out combinations forged": (
        lambda root: sign_again(root, lambda values: values["held_out"]["train_only"].pop()),
        "manifest.json: its held-out combinations are not those of its configuration",
    ),
    "manifest's files forged": (
        lambda root: sign_again(root, lambda values: values["files"].pop(SHARD)),
        "manifest.json: its files are not those of its configuration",
    ),
    "manifest's fingerprint forged": (
        lambda root: sign_again(root, lambda values: values.update(fingerprint="0" * 64)),
        "manifest.json: its fingerprint is not that of its files' contents",
    ),
    "manifest's checksum forged": (
        lambda root: sign_again(root, lambda values: values["files"][SHARD].update(sha256="0" * 64)),
        f"{SHARD}: its checksum is not the manifest's",
    ),
    "manifest's seed forged": (
        lambda root: sign_again(root, lambda values: values["configuration"].update(seed=4)),
        f"{SHARD}: cannot be read: it was made for another configuration",
    ),
}


def test_a_sound_dataset_has_no_problems(tiny_dataset, rich_dataset):
    assert found(tiny_dataset) == []
    assert found(rich_dataset) == []


def test_verifying_with_several_processes_finds_the_same(small_copy):
    flip_a_bit_of_an_image(small_copy)
    (small_copy / QUERIES).unlink()
    assert verify(small_copy, jobs=2) == verify(small_copy, jobs=1) != []


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_repaired_to_the_byte(small_dataset, small_copy, contents, name):
    damage, expected = DAMAGES[name]
    damage(small_copy)
    lines = found(small_copy)
    assert any(expected in line for line in lines), lines
    assert repair(small_copy, jobs=1) != []
    assert contents(small_copy) == contents(small_dataset)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("{"),
        lambda path: path.write_text('{"format": "css", "format_version": 1}'),
        lambda path: path.write_text(path.read_text().replace('"rows": 8', '"rows": "8"')),
        lambda path: path.write_text(path.read_text().replace('"names": "2d"', '"names": "4d"')),
    ],
    ids=["missing", "not JSON", "incomplete", "wrong type", "impossible configuration"],
)
def test_a_manifest_that_cannot_be_read_is_made_anew(small_dataset, small_copy, contents, damage):
    damage(small_copy / "manifest.json")
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        verify(small_copy, jobs=1)
    repair(small_copy, jobs=1)
    assert contents(small_copy) == contents(small_dataset)


def test_repair_makes_only_what_is_broken(small_copy):
    (small_copy / SHARD).unlink()
    before = {path: path.stat().st_mtime_ns for path in small_copy.rglob("*.parquet")}
    assert repair(small_copy, jobs=1) == [SHARD]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert repair(small_copy, jobs=1) == []


def test_several_damages_are_all_named(small_copy):
    (small_copy / SHARD).unlink()
    flip_a_bit_of_the_footer(small_copy, "test/images-00000-of-00004.parquet")
    rewrite(small_copy, QUERIES, 1, kind="swap")
    rewrite(small_copy, QUERIES, 2, kind="swap")
    assert {line.partition(":")[0] for line in found(small_copy)} == {
        SHARD,
        "test/images-00000-of-00004.parquet",
        QUERIES,
        f"{QUERIES}, row 1",
        f"{QUERIES}, row 2",
    }


def test_a_damaged_shard_does_not_hide_or_blame_the_queries(small_copy):
    """Queries whose scenes cannot be read are not called wrong, and the others are still checked."""
    (small_copy / "test/images-00003-of-00004.parquet").unlink()
    rewrite(small_copy, QUERIES, 1, kind="swap")
    rows = [line for line in found(small_copy) if line.startswith(f"{QUERIES}, row")]
    assert len(rows) == 1


def test_files_of_nobody_are_no_problem(small_copy):
    (small_copy / "notes.txt").write_text("mine")
    (small_copy / "train" / "cache.bin").write_text("mine")
    assert found(small_copy) == []


def test_another_version_does_not_repair(small_copy, monkeypatch):
    (small_copy / SHARD).unlink()
    for module in ("storage.manifest", "storage.schema", "repair"):
        monkeypatch.setattr(f"css_gen.{module}.generator_version", lambda: "99.0")
    with pytest.raises(DatasetError, match=r"and this is 99\.0.*pip install"):
        repair(small_copy, jobs=1)


def test_nothing_to_repair_from(tmp_path):
    with pytest.raises(DatasetError, match="no readable manifest and no readable data file"):
        repair(tmp_path, jobs=1)
