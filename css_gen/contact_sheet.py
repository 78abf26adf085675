"""Draw queries as a picture: source, text and target, in 3D and 2D; on a track in 3D, with the distractors."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from css_gen.dataset import QueryRow, Split
from css_gen.errors import DatasetError
from css_gen.storage.configuration import CSS

_LARGEST_IMAGE = 256
_SHRUNK_IMAGE = 224
_MARGIN, _GAP, _ARROW, _TEXT_BAND, _HEADER = 40, 8, 56, 56, 44
_GROUND, _INK, _FAINT, _FRAME = "#ffffff", "#1f2328", "#6a737d", "#d0d7de"
_TEXT_SIZE, _LABEL_SIZE = 26, 20
_COLUMNS = ("source, 3D", "source, 2D", "target, 3D", "target, 2D")
_TILES_BEFORE_A_SECOND_COLUMN = 3
_REASON_BAND = 32


def draw(split: Split, *, queries: int, seed: int) -> Image.Image:
    """Draw some queries of a split, one tile each, as many of every kind as possible.

    Args:
        queries: how many at most.
        seed: decides which.

    Raises:
        DatasetError: the split has no queries.
    """
    chosen = choose(split.queries, queries, seed=seed)
    if not chosen:
        raise DatasetError(f"{split.root} has no queries in {split.name}")
    side = _shown_side(split.manifest.configuration.size)
    if split.manifest.configuration.track != CSS:
        return _draw_track(split, chosen, side)
    across = 1 if len(chosen) <= _TILES_BEFORE_A_SECOND_COLUMN else 2
    down = -(-len(chosen) // across)
    tile_width = 4 * side + 2 * _GAP + _ARROW
    tile_height = _TEXT_BAND + side + _MARGIN // 2
    width = across * (tile_width + 2 * _MARGIN)
    sheet = Image.new("RGB", (width, _MARGIN // 2 + _HEADER + down * tile_height + _MARGIN // 2), _GROUND)
    pen = ImageDraw.Draw(sheet)
    for column in range(across):
        x = _MARGIN + column * (tile_width + 2 * _MARGIN)
        for left, label in zip(_lefts(x, side), _COLUMNS, strict=True):
            _write(pen, (left + side // 2, _MARGIN // 2 + _HEADER // 2), label, _LABEL_SIZE, _FAINT, side)
    for number, query in enumerate(chosen):
        x = _MARGIN + number % across * (tile_width + 2 * _MARGIN)
        y = _MARGIN // 2 + _HEADER + number // across * tile_height
        _draw_tile(sheet, split, query, x, y, side)
    return sheet


def to_png(sheet: Image.Image) -> bytes:
    """Return the sheet as a PNG file."""
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def choose(queries: list[QueryRow], count: int, *, seed: int) -> list[QueryRow]:
    """Choose at most `count` queries in random order, taken from every kind in turn."""
    by_kind: dict[str, list[QueryRow]] = {}
    for number in np.random.Generator(np.random.PCG64(seed)).permutation(len(queries)):
        by_kind.setdefault(queries[number].kind, []).append(queries[number])
    turns = max(map(len, by_kind.values()), default=0)
    in_turn = [rows[turn] for turn in range(turns) for _, rows in sorted(by_kind.items()) if turn < len(rows)]
    return in_turn[:count]


def _draw_tile(sheet: Image.Image, split: Split, query: QueryRow, x: int, y: int, side: int) -> None:
    pen = ImageDraw.Draw(sheet)
    lefts = _lefts(x, side)
    middle = (lefts[0] + lefts[3] + side) // 2
    text = f"{query.text}  (novel)" if query.novel else query.text
    _write(pen, (middle, y + _TEXT_BAND // 2), text, _TEXT_SIZE, _INK, lefts[3] + side - lefts[0])
    images = [
        image
        for image_id in (query.source_id, query.target_id)
        for image in (split.image_3d(image_id), split.image_2d(image_id))
    ]
    top = y + _TEXT_BAND
    for left, image in zip(lefts, images, strict=True):
        _paste(sheet, image, left, top, side)
    _draw_arrow(pen, lefts[1] + side, lefts[2], top + side // 2)


def _draw_track(split: Split, queries: list[QueryRow], side: int) -> Image.Image:
    """Draw one query a row: source, target, and its distractors with what is wrong with each below."""
    most = max(len(query.distractors) for query in queries)
    lefts = [_MARGIN, *(_MARGIN + side + _ARROW + place * (side + _GAP) for place in range(1 + most))]
    tile_height = _TEXT_BAND + side + _REASON_BAND + _MARGIN // 2
    height = _MARGIN // 2 + _HEADER + len(queries) * tile_height
    sheet = Image.new("RGB", (lefts[-1] + side + _MARGIN, height), _GROUND)
    pen = ImageDraw.Draw(sheet)
    for left, label in zip(lefts, ("source", "target", *["wrong"] * most), strict=True):
        _write(pen, (left + side // 2, _MARGIN // 2 + _HEADER // 2), label, _LABEL_SIZE, _FAINT, side)
    for number, query in enumerate(queries):
        y = _MARGIN // 2 + _HEADER + number * tile_height
        text = f"{query.text}  (novel)" if query.novel else query.text
        _write(pen, (sheet.width // 2, y + _TEXT_BAND // 2), text, _TEXT_SIZE, _INK, sheet.width - 2 * _MARGIN)
        top = y + _TEXT_BAND
        shown = [("", query.source_id), ("", query.target_id), *query.distractors]
        for left, (why, image_id) in zip(lefts, shown, strict=False):
            _paste(sheet, split.image_3d(image_id), left, top, side)
            _write(pen, (left + side // 2, top + side + _REASON_BAND // 2), why, _LABEL_SIZE, _FAINT, side)
        _draw_arrow(pen, lefts[0] + side, lefts[1], top + side // 2)
    return sheet


def _paste(sheet: Image.Image, image: NDArray[np.uint8], left: int, top: int, side: int) -> None:
    sheet.paste(_shown(image, side), (left, top))
    ImageDraw.Draw(sheet).rectangle((left - 1, top - 1, left + side, top + side), outline=_FRAME)


def _lefts(x: int, side: int) -> tuple[int, int, int, int]:
    """Return the left edges of a tile's four images."""
    target = x + 2 * side + _GAP + _ARROW
    return x, x + side + _GAP, target, target + side + _GAP


def _draw_arrow(pen: ImageDraw.ImageDraw, left: int, right: int, y: int) -> None:
    start, tip = left + 12, right - 12
    pen.line((start, y, tip - 8, y), fill=_FAINT, width=3)
    pen.polygon(((tip, y), (tip - 12, y - 8), (tip - 12, y + 8)), fill=_FAINT)


def _write(pen: ImageDraw.ImageDraw, centre: tuple[int, int], text: str, size: int, ink: str, room: int) -> None:
    """Write one line of text around a centre, in smaller type if it would not fit."""
    font = ImageFont.load_default(size)
    while font.getlength(text) > room and size > 8:
        size -= 1
        font = ImageFont.load_default(size)
    pen.text(centre, text, fill=ink, font=font, anchor="mm")


def _shown_side(size: int) -> int:
    """Return the side of an image on the sheet: a whole multiple of its own size where that is small."""
    if size > _LARGEST_IMAGE:
        return _SHRUNK_IMAGE
    return size * max(1, _LARGEST_IMAGE // size)


def _shown(image: NDArray[np.uint8], side: int) -> Image.Image:
    shown = Image.fromarray(image)
    if shown.width == side:
        return shown
    way = Image.Resampling.NEAREST if shown.width < side else Image.Resampling.LANCZOS
    return shown.resize((side, side), way)
