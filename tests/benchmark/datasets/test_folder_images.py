"""Images that others made: what they decode to, and what is refused."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets.folder_images import BrokenImage, decode, safe_path


def smooth(width: int, height: int) -> np.ndarray:
    """uint8 (height, width, 3) that changes slowly."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 100 * np.sin(x / width * 5 + phase) * np.cos(y / height * 4 - phase) for phase in (0, 1, 2)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def slow_decode(image: np.ndarray, size: int) -> np.ndarray:
    """Means over the boxes of the middle square; its side has to be a multiple of `size`."""
    height, width, _ = image.shape
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = image[top : top + short, left : left + short].astype(float)
    return middle.reshape(size, short // size, size, short // size, 3).mean(axis=(1, 3))


@pytest.mark.parametrize(("width", "height"), [(640, 320), (320, 640), (320, 320), (322, 320)])
@pytest.mark.parametrize("size", [16, 32, 80])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_the_middle_square_is_scaled_down(tmp_path: Path, width: int, height: int, size: int, suffix: str) -> None:
    image = smooth(width, height)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(image).save(path, **({"quality": 95, "subsampling": 0} if suffix == "jpg" else {}))
    found = decode(path, size)
    assert (found.dtype, found.shape) == (np.uint8, (size, size, 3))
    off = np.abs(found - slow_decode(image, size))
    assert off.mean() < 2
    assert off.max() < 16


def test_an_image_of_that_size_comes_back_to_the_last_bit_and_a_smaller_one_grows(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decode(tmp_path / "a.png", 24), image)
    Image.fromarray(np.full((1, 9, 3), 77, dtype=np.uint8)).save(tmp_path / "thin.png")
    np.testing.assert_array_equal(decode(tmp_path / "thin.png", 8), np.full((8, 8, 3), 77))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_every_kind_of_colour_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (40, 40), (255, 255, 255)).convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image.save(path)
    assert decode(path, 10).min() > 250


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_samples(samples: np.ndarray, bits: int) -> bytes:
    """A PNG of (height, width, channels) samples of that many bits, written by hand from the format's description."""
    height, width, channels = samples.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    if bits == 16:
        rows = [b"\0" + row.astype(">u2").tobytes() for row in samples]
    elif bits == 8:
        rows = [b"\0" + row.astype(np.uint8).tobytes() for row in samples]
    else:
        expanded = (samples[:, :, 0, None] >> np.arange(bits)[::-1]) & 1
        rows = [b"\0" + np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in expanded]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("channels", "bits"), [(1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (2, 8), (2, 16), (3, 8), (3, 16), (4, 8), (4, 16)]
)
def test_samples_of_every_depth_keep_their_brightness(tmp_path: Path, channels: int, bits: int) -> None:
    """Every sample is that share of its most, whatever the depth: 16 bits of grey were white once."""
    most = 2**bits - 1
    rng = np.random.default_rng(bits)
    samples = rng.integers(0, most + 1, (24, 24, channels))
    if channels in (2, 4):
        samples[:, :, -1] = most
    (tmp_path / "a.png").write_bytes(png_of_samples(samples, bits))
    colours = samples[:, :, :1] if channels < 3 else samples[:, :, :3]
    expected = np.broadcast_to(colours / most * 255, (24, 24, 3))
    assert np.abs(decode(tmp_path / "a.png", 24) - expected).max() <= 1


def png_of(width: int, height: int) -> bytes:
    """A PNG of one colour, written by hand, since no library would make it of that size."""

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + width // 8)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_small_file_of_a_huge_image_is_refused_and_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(50_000, 50_000))
    assert path.stat().st_size < 400_000
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from benchmark.datasets.folder_images import decode, BrokenImage\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: decode(Path(sys.argv[1]), 16)\n"
        "except BrokenImage as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    said, grown = done.stdout.splitlines()
    assert said == "is too large: more than 64,000,000 pixels"
    assert int(grown) < 20 * 1024


def test_a_large_image_is_refused_by_its_header(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of(8_000, 9_000))
    with pytest.raises(BrokenImage, match="is too large: 8000 x 9000 pixels"):
        decode(tmp_path / "a.png", 16)


FAULTS = {
    "empty": (lambda _: b"", "is empty"),
    "text": (lambda _: b"<html>404</html>", "is not an image"),
    "truncated": (lambda whole: whole[: len(whole) // 2], "is truncated or damaged"),
    "only the header": (lambda whole: whole[:200], "is truncated or damaged|is not an image"),
    "GIF": (lambda whole: b"GIF89a" + whole, "is not an image"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_apart(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(200, 160)).save(path)
    mangle, said = FAULTS[fault]
    path.write_bytes(mangle(path.read_bytes()))
    with pytest.raises(BrokenImage, match=said):
        decode(path, 16)


@pytest.mark.parametrize(
    "name", ["../a.jpg", "x/../../a.jpg", "/etc/passwd", "C:\\a.jpg", "..\\a.jpg", "x/..", "\\\\host\\share\\a"]
)
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jpg").touch()
    root = tmp_path / "root"
    (root / "x").mkdir(parents=True)
    with pytest.raises(BrokenImage, match="outside the folder"):
        safe_path(root, name)


def test_links_may_stay_inside_but_not_leave(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "real" / "a.jpg").touch()
    (tmp_path / "secret.jpg").touch()
    (root / "inside.jpg").symlink_to(root / "real" / "a.jpg")
    (root / "outside.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "folder").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    assert safe_path(root, "inside.jpg").is_file()
    for name in ("outside.jpg", "folder/secret.jpg"):
        with pytest.raises(BrokenImage, match="outside the folder"):
            safe_path(root, name)
    for name, said in (("loop", "."), ("gone.jpg", "is missing"), ("real", "is not a file"), ("a\0b", "has a name")):
        with pytest.raises(BrokenImage, match=said):
            safe_path(root, name)


def test_a_root_that_is_itself_a_link_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.jpg").touch()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert safe_path(tmp_path / "root", "a.jpg").is_file()
