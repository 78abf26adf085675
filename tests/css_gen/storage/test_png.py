import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from css_gen.storage import png
from css_gen.storage.png import encode_png

SIDES = st.integers(1, 40)
IMAGES = st.one_of(
    st.tuples(SIDES, SIDES).flatmap(lambda side: hnp.arrays(np.uint8, (*side, 3))),
    st.tuples(SIDES, SIDES).flatmap(lambda side: hnp.arrays(np.uint8, side)),
    st.tuples(SIDES, SIDES).flatmap(lambda side: hnp.arrays(np.uint16, side)),
)


def decoded_by_hand(png: bytes) -> tuple[int, int, int, int, list[bytes]]:
    """Width, height, depth, colour type and unfiltered rows, by the PNG specification, a byte at a time."""
    position, body = 8, b""
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        name, content = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        assert struct.unpack(">I", png[position + 8 + length : position + 12 + length]) == (zlib.crc32(name + content),)
        if name == b"IHDR":
            width, height, depth, colour_type = struct.unpack(">IIBB", content[:10])
        body += content if name == b"IDAT" else b""
        position += 12 + length
    step = depth // 8 * {0: 1, 2: 3}[colour_type]
    raw, rows = zlib.decompress(body), []
    for number in range(height):
        row = raw[number * (1 + width * step) : (number + 1) * (1 + width * step)]
        assert row[0] == 1
        plain = bytearray(row[1:])
        for place in range(step, len(plain)):
            plain[place] = (plain[place] + plain[place - step]) % 256
        rows.append(bytes(plain))
    return width, height, depth, colour_type, rows


@given(IMAGES)
def test_pillow_decodes_to_the_same_pixels(image):
    with Image.open(io.BytesIO(encode_png(image)), formats=["PNG"]) as decoded:
        decoded.verify()
    with Image.open(io.BytesIO(encode_png(image)), formats=["PNG"]) as decoded:
        assert decoded.mode == {3: "RGB", 2: "L" if image.dtype == np.uint8 else "I;16"}[image.ndim]
        np.testing.assert_array_equal(np.array(decoded), image)


@given(IMAGES)
def test_the_bytes_are_what_the_specification_says(image):
    width, height, depth, colour_type, rows = decoded_by_hand(encode_png(image))
    assert (height, width) == image.shape[:2]
    assert (depth, colour_type) == (8 * image.itemsize, 2 if image.ndim == 3 else 0)
    assert rows == [row.astype(row.dtype.newbyteorder(">")).tobytes() for row in image]


def test_strided_views_are_encoded_as_they_look():
    image = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)[::-2, ::3]
    assert encode_png(image) == encode_png(image.copy())


def isal_slot(number: int) -> int:
    """Return the entry of isal's hash table for four bytes: the last 13 bits of their CRC-32C."""
    for _ in range(32):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    return number % 2**13


def test_the_bytes_do_not_depend_on_where_the_compressor_is_in_memory(monkeypatch):
    make = png.isal_zlib.compressobj
    here, there = make(1), make(1)
    # The entry that isal confuses with the third byte's, and a colour whose pixels need that entry.
    slot = isal_slot(id(here) >> 16 & 0xFFFFFFFF)
    colour = next(colour for colour in range(2**24) if isal_slot(1 + (colour << 8)) == slot)
    image = np.full((16, 16, 3), list(colour.to_bytes(3, "little")), np.uint8)
    files = []
    for compressor in (here, there):
        monkeypatch.setattr(png.isal_zlib, "compressobj", lambda _, made=compressor: made)
        files.append(encode_png(image))
    assert files[0] == files[1]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((4, 4), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_not_an_image_is_refused(image):
    with pytest.raises(ValueError, match="expected uint8"):
        encode_png(image)
