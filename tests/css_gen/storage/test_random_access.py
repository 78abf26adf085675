"""Values read in any order are those that Parquet and Pillow read in order, whatever is remembered or forgotten."""

import io
import multiprocessing
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from css_gen import dataset
from css_gen.errors import DatasetError
from css_gen.render import render
from css_gen.rendering.nuisance import Jitter
from css_gen.storage import random_access
from css_gen.storage.configuration import Configuration
from css_gen.storage.png import encode_png
from css_gen.storage.reader import decode_png

IMAGES = ("image_3d", "image_2d", "mask", "depth")


def by_parquet(root: Path, column: str) -> list[bytes]:
    """All PNGs of the test split, read file by file."""
    files = sorted((root / "test").glob("images-*.parquet"))
    return [value["bytes"] for file in files for value in pq.read_table(file)[column].to_pylist()]


def by_pillow(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.array(image)


def read_shuffled(root: Path, column: str, *, passes: int = 2) -> list[bytes]:
    """Read the test split twice in shuffled orders that differ; return the PNGs of the last pass in order."""
    split = dataset.open(root).split("test")
    found: dict[int, bytes] = {}
    for number in range(passes):
        for index in np.random.default_rng(number).permutation(len(split)):
            found[int(index)] = split.png(int(index), column)
            assert split.scene(int(index)).key == split.keys[index]
    return [found[index] for index in range(len(split))]


@pytest.mark.parametrize("remembered", ["as usual", "almost nothing"])
@pytest.mark.parametrize("column", IMAGES)
def test_any_order_reads_the_bytes_that_parquet_reads(
    rich_dataset: Path, column: str, remembered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if remembered == "almost nothing":
        for name in ("_OPEN_SHARDS", "_INDEXED_COLUMNS", "_CACHED_BYTES"):
            monkeypatch.setattr(random_access, name, 1)
    expected = by_parquet(rich_dataset, column)
    assert len(set(expected)) > 10
    assert read_shuffled(rich_dataset, column) == expected


def test_row_groups_of_every_size_and_equal_images_in_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without nuisances, images of one scene are the same bytes: each has a place of its own all the same."""
    monkeypatch.setattr("css_gen.storage.shard_writer.ROW_GROUP_IMAGES", 7)
    still = Jitter(position=False, rotation=False, camera=False, lights=False)
    render(tmp_path / "css", Configuration(images=150, size=16, jitter=still), jobs=1)
    expected = by_parquet(tmp_path / "css", "image_2d")
    assert read_shuffled(tmp_path / "css", "image_2d") == expected


def test_a_row_group_is_read_once_for_each_column(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[tuple[int, int, str]] = Counter()
    plain = random_access._Shard.column

    def counted(shard: random_access._Shard, group: int, name: str) -> object:
        read[id(shard), group, name] += 1
        return plain(shard, group, name)

    monkeypatch.setattr(random_access._Shard, "column", counted)
    read_shuffled(tiny_dataset, "image_3d")
    assert len(read) == 2 * 4
    assert set(read.values()) == {1}


@pytest.mark.parametrize("compression", ["ZSTD", "NONE"])
def test_a_file_that_another_program_wrote_again_is_read(tiny_copy: Path, compression: str) -> None:
    """Compressed, or with a dictionary: its PNGs are not in the file as they are."""
    expected = by_parquet(tiny_copy, "image_3d")
    for file in (tiny_copy / "test").glob("images-*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table, file, compression=compression, use_dictionary=True, data_page_size=5000)
    assert read_shuffled(tiny_copy, "image_3d") == expected


def test_a_shard_that_was_replaced_is_read_again(tiny_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_access, "_OPEN_SHARDS", 1)
    split = dataset.open(tiny_copy).split("test")
    before = split.image_3d(0)
    split.image_3d(74)
    (shard,) = (tiny_copy / "test").glob("images-00000-*")
    table = pq.read_table(shard)
    rows = table["image_3d"].to_pylist()
    longer = [{**row, "bytes": _stored_otherwise(row["bytes"])} for row in rows]
    written = tiny_copy / "other"
    column = table.column_names.index("image_3d")
    pq.write_table(table.set_column(column, table.schema.field(column), [longer]), written, compression="NONE")
    written.replace(shard)
    assert split.png_3d(0) == longer[0]["bytes"] != rows[0]["bytes"]
    np.testing.assert_array_equal(split.image_3d(0), before)


def _stored_otherwise(png: bytes) -> bytes:
    stored = io.BytesIO()
    Image.fromarray(by_pillow(png)).save(stored, "PNG", compress_level=0)
    return stored.getvalue()


def test_a_shard_that_is_cut_short_is_an_error_in_one_line(tiny_copy: Path) -> None:
    split = dataset.open(tiny_copy).split("test")
    split.png_3d(0)
    (shard,) = (tiny_copy / "test").glob("images-00000-*")
    with shard.open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(DatasetError, match=r"images-00000-of-00004.parquet cannot be read \(it ends within an image"):
        split.png_3d(17)


def test_a_page_with_a_wrong_byte_is_an_error(tiny_copy: Path) -> None:
    (shard,) = (tiny_copy / "test").glob("images-00000-*")
    content = bytearray(shard.read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match="cannot be read"):
        dataset.open(tiny_copy).split("test").png_3d(3)


def test_a_split_that_was_read_is_read_on_after_a_fork(tiny_dataset: Path) -> None:
    split = dataset.open(tiny_dataset).split("test")
    expected = [split.png_3d(index) for index in range(40)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(split.png_3d, range(75))[:40] == expected
    assert [split.png_3d(index) for index in range(40)] == expected


IMAGE = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["RGB", "L", "I;16"]), st.integers(0, 2**32))


def drawn(height: int, width: int, mode: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        return rng.integers(0, 2**16, (height, width), np.uint16)
    return rng.integers(0, 256, (height, width, 3) if mode == "RGB" else (height, width), np.uint8)


@given(IMAGE)
def test_pngs_of_ours_and_of_pillow_decode_as_pillow_decodes_them(image: tuple[int, int, str, int]) -> None:
    pixels = drawn(*image)
    by_us, theirs = encode_png(pixels), io.BytesIO()
    Image.fromarray(pixels).save(theirs, "PNG")
    for png in (by_us, theirs.getvalue()):
        decoded = decode_png(png)
        assert decoded.dtype == pixels.dtype
        assert decoded.flags.c_contiguous
        assert decoded.flags.writeable
        np.testing.assert_array_equal(decoded, pixels)
        np.testing.assert_array_equal(by_pillow(png), pixels)


@given(IMAGE, st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_a_damaged_png_is_what_it_is_to_pillow(
    image: tuple[int, int, str, int], place: int, change: int, is_cut: bool
) -> None:
    png = bytearray(encode_png(drawn(*image)))
    place %= len(png)
    if is_cut:
        del png[place:]
    else:
        png[place] ^= change
    assert outcome(decode_png, bytes(png)) == outcome(decoded_in_full, bytes(png))


def decoded_in_full(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()
        return np.array(image)


def outcome(decode: object, png: bytes) -> tuple[object, ...]:
    try:
        pixels = decode(png)  # type: ignore[operator]
    except (OSError, ValueError, SyntaxError) as error:
        return (type(error),)
    return pixels.dtype, pixels.shape, pixels.tobytes()
