"""Draw one flat shape into an image: square, disc or triangle, with 8 x 8 samples a pixel on its edges."""

from typing import Any

from css_gen.rendering.kernels.compiling import compiled, inlined

SQUARE, DISC, TRIANGLE = 0, 1, 2
_SAMPLES = 8


@compiled
def draw(image: Any, kind: int, across: float, down: float, half: float, colour: tuple[int, int, int]) -> None:
    """Blend one shape into an image.

    Args:
        image: (size, size, 3) uint8, written.
        kind: SQUARE, DISC or TRIANGLE.
        across, down: middle of the shape in pixels, from the top left corner.
        half: half its width and height in pixels.
        colour: display values.
    """
    size = image.shape[0]
    everything = _SAMPLES * _SAMPLES
    for row in range(max(int(down - half) - 1, 0), min(int(down + half) + 2, size)):
        for column in range(max(int(across - half) - 1, 0), min(int(across + half) + 2, size)):
            x = column - across
            y = row - down
            # The shapes are convex: with all four corners inside, the whole pixel is.
            whole = _inside(kind, x, y, half) and _inside(kind, x + 1, y, half)
            whole = whole and _inside(kind, x, y + 1, half) and _inside(kind, x + 1, y + 1, half)
            inside = everything
            if not whole:
                inside = 0
                # Half a pixel's diagonal more, and its middle would be inside if any of it were.
                if _inside(kind, x + 0.5, y + 0.5, half + 2.0):
                    for sample in range(everything):
                        u = x + (sample % _SAMPLES + 0.5) / _SAMPLES
                        v = y + (sample // _SAMPLES + 0.5) / _SAMPLES
                        inside += _inside(kind, u, v, half)
            for channel in range(3):
                behind = int(image[row, column, channel])
                value = behind * everything + (colour[channel] - behind) * inside
                image[row, column, channel] = (value + everything // 2) // everything


@inlined
def _inside(kind: int, x: float, y: float, half: float) -> bool:
    """Return whether a point is in a shape around the origin. The triangle points up and is as wide as it is high."""
    if kind == SQUARE:
        return abs(x) < half and abs(y) < half
    if kind == DISC:
        return x * x + y * y < half * half
    return abs(y) < half and abs(x) < 0.5 * (y + half)
