"""Compiled kernels on disk: an edit of any kernel is seen, damage is compiled again, and no folder at all is fine."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import css_gen
from css_gen import render as rendering
from css_gen.rendering.kernels import cache, flat
from css_gen.rendering.kernels.compiling import compiled
from css_gen.storage.configuration import Configuration

PACKAGE = Path(css_gen.__file__).parent

REACHED = """
import numpy as np
from css_gen.rendering.kernels.geometry import SOLID_COLUMNS
from css_gen.rendering.kernels.lighting import reach_of
print(reach_of(np.ones((1, SOLID_COLUMNS)), 0))
"""
RENDERED = """
import hashlib
from css_gen.rendering.nuisance import Nuisance
from css_gen.rendering.render3d import render_3d
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.scene import Scene, SceneObject
scene = Scene((SceneObject(Cell.MIDDLE_CENTER, Size.LARGE, Colour.RED, Shape.CIRCLE),))
print(hashlib.sha256(render_3d(scene, Nuisance(), size=32).image.tobytes()).hexdigest())
"""
DRAWN = """
import numpy as np
from css_gen.rendering.kernels import cache, flat
image = np.full((9, 9, 3), 255, np.uint8)
flat.draw(image, flat.DISC, 4.5, 4.5, 3.0, (10, 20, 30))
print(int(image.sum()), bool(cache.take_note()))
"""


def run_in(folder: Path, code: str, **environment: str) -> str:
    """Run code with the css_gen that is in a folder."""
    names = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "PYTHONPATH")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "PYTHONPATH": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A folder with a copy of css_gen, in which nothing is compiled."""
    shutil.copytree(PACKAGE, tmp_path / "css_gen", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit_geometry(folder: Path, old: str, new: str) -> None:
    path = folder / "css_gen" / "rendering" / "kernels" / "geometry.py"
    before = path.read_text()
    after = before.replace(old, new)
    assert after != before
    stamp = path.stat()
    path.write_text(after)
    # Not even the time of the change gives it away.
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def test_a_kernel_sees_the_edit_of_another_file(copied):
    """`reach_of` in lighting.py is compiled with the numbers that geometry.py gives the solids: 1 is a sphere's."""
    assert float(run_in(copied, REACHED)) == 1.0
    edit_geometry(copied, "CUBE, SPHERE, CYLINDER = 0, 1, 2", "CUBE, SPHERE, CYLINDER = 1, 0, 2")
    assert float(run_in(copied, REACHED)) == 1.7320509


@pytest.mark.slow
def test_flipped_normals_change_the_pixels(copied):
    before = run_in(copied, RENDERED)
    edit_geometry(copied, "nx * scale, ny * scale, nz * scale", "-nx * scale, -ny * scale, -nz * scale")
    assert run_in(copied, RENDERED) != before


@pytest.mark.parametrize("name", [file.name for file in sorted((PACKAGE / "rendering" / "kernels").glob("*.py"))])
def test_the_key_is_another_after_an_edit_of_any_kernel_file(monkeypatch, tmp_path, name):
    before = cache._sources_key()
    kernels = shutil.copytree(PACKAGE / "rendering" / "kernels", tmp_path / "kernels")
    monkeypatch.setattr(cache.resources, "files", lambda _package: kernels)
    assert cache._sources_key() == before
    with (kernels / name).open("a") as file:
        file.write("\n")
    assert cache._sources_key() != before


def test_without_sources_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(cache.resources, "files", lambda _package: tmp_path)
    (tmp_path / ".hidden.py").write_text("never read")
    assert cache._sources_key() is None


def test_a_kernel_outside_the_hashed_folder_is_refused():
    with pytest.raises(ValueError, match=r"test_kernel_cache.*must be in css_gen\.rendering\.kernels"):

        @compiled
        def double(number: int) -> int:
            return 2 * number


def drawn_here() -> int:
    """The pixel sum of the kernel as this process has it."""
    image = np.full((9, 9, 3), 255, np.uint8)
    flat.draw(image, flat.DISC, 4.5, 4.5, 3.0, (10, 20, 30))
    return int(image.sum())


def drawn(places: list[Path], monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, Any]:
    """Draw with a kernel that this process has not compiled; return the pixel sum, cache hits and misses."""
    monkeypatch.setattr(cache, "folders", lambda: tuple(places))
    kernel: Any = compiled(flat.draw.py_func)  # type: ignore[attr-defined]
    image = np.full((9, 9, 3), 255, np.uint8)
    kernel(image, flat.DISC, 4.5, 4.5, 3.0, (10, 20, 30))
    stats = kernel.stats
    return int(image.sum()), sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


DAMAGE = {
    "empty": lambda _content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "a flipped bit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "another program's": lambda _content: b"not a kernel " * 100,
    "sealed nonsense": lambda _content: cache.hashlib.sha256(b"nonsense").digest() + b"nonsense",
}


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory) -> tuple[Path, int]:
    """A folder with one compiled kernel, and the pixel sum that it draws. Not to be written to."""
    folder = tmp_path_factory.mktemp("compiled")
    with pytest.MonkeyPatch.context() as monkeypatch:
        total, hits, misses = drawn([folder], monkeypatch)
    assert (hits, misses) == (0, 1)
    return folder, total


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_compiled_again(monkeypatch, tmp_path, compiled_once, damage):
    folder, total = compiled_once
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    assert drawn([tmp_path], monkeypatch) == (total, 1, 0)
    (path,) = (path for path in tmp_path.iterdir() if path.name.startswith("draw"))
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert drawn([tmp_path], monkeypatch) == (total, 0, 1)
    assert drawn([tmp_path], monkeypatch) == (total, 1, 0)


def test_the_next_folder_is_used_where_the_first_cannot_be_written(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    total, hits, misses = drawn([blocked / "kernels", tmp_path / "user" / "kernels"], monkeypatch)
    assert (hits, misses) == (0, 1)
    assert cache.take_note() is None
    assert drawn([blocked / "kernels", tmp_path / "user" / "kernels"], monkeypatch) == (total, 1, 0)


def test_compiled_kernels_are_found_in_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    total, _, _ = drawn([tmp_path / "package"], monkeypatch)
    monkeypatch.setattr(cache, "_write", None)
    assert drawn([tmp_path / "missing", tmp_path / "package"], monkeypatch) == (total, 1, 0)


def test_no_place_at_all_is_said_once_and_nothing_else(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    _, hits, misses = drawn([blocked / "kernels"], monkeypatch)
    assert (hits, misses) == (0, 1)
    lines: list[str] = []

    class Listener(rendering.Silent):
        def message(self, text: str) -> None:
            lines.append(text)

    monkeypatch.setattr(rendering, "render_pixels", lambda *_given: [])
    for _ in range(2):
        rendering.warm_up(Configuration(images=40, size=16), Listener())
    (line,) = [line for line in lines if "NUMBA_CACHE_DIR" in line]
    assert str(blocked) in line


def test_kernels_work_where_nothing_can_be_written(copied):
    for folder in [copied, *(path for path in copied.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").write_text("in the way")
    unwritable = run_in(copied, DRAWN, HOME="/proc/none")
    total, noted = unwritable.split()
    assert noted == "True"
    assert int(total) == drawn_here()
    assert not [path for path in copied.rglob("*") if path.name.startswith(("kernels-", "~"))]


def test_processes_compile_and_write_at_once(copied):
    seen: list[str] = []
    place = copied / "shared"
    threads = [
        threading.Thread(target=lambda: seen.append(run_in(copied, DRAWN, NUMBA_CACHE_DIR=str(place))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 1
    assert len(seen) == 2
    (folder,) = place.iterdir()
    assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == ["_inside", "draw"]


def test_old_folders_do_not_pile_up(tmp_path):
    for number in range(20):
        folder = tmp_path / f"kernels-{number}"
        cache._write(folder, "kernel", b"content")
        os.utime(folder, (number, number))
    theirs = tmp_path / "module.cpython-311.pyc"
    theirs.write_bytes(b"")
    cache._write(tmp_path / "kernels-new", "kernel", b"content")
    names = {f"kernels-{number}" for number in range(13, 20)} | {"kernels-new", theirs.name}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_the_folders_in_their_order(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache._numba.config, "CACHE_DIR", "relative")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    cache.folders.cache_clear()
    try:
        package = Path(cache.__file__).parent / "__pycache__"
        assert [folder.parent for folder in cache.folders()] == [
            tmp_path / "relative", package, tmp_path / "user" / "css-bench",
        ]  # fmt: skip
        assert len({folder.name for folder in cache.folders()}) == 1
        monkeypatch.setattr(cache._numba.config, "CACHE_DIR", "")
        monkeypatch.setenv("XDG_CACHE_HOME", "~/.cache")
        cache.folders.cache_clear()
        assert [folder.parent for folder in cache.folders()] == [package]
    finally:
        cache.folders.cache_clear()
