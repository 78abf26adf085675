"""A full disk, a quota that is used up and a file that would be too large are one kind of error."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets import cache_place
from benchmark.datasets.image_cache import cached_files
from benchmark.datasets.image_file import new_file
from benchmark.errors import BenchmarkError
from benchmark.submissions.machine import is_of_the_machine
from benchmark.training.progress import SilentRuns
from css_gen.storage.atomic import NO_ROOM

CODES = pytest.mark.parametrize("code", sorted(NO_ROOM), ids=errno.errorcode.get)


def refusing(code: int) -> object:
    def refused(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return refused


@CODES
@pytest.mark.parametrize("place", ["os.posix_fallocate", "numpy.lib.format.open_memmap"])
def test_no_room_for_decoded_images_is_one_line(
    place: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    monkeypatch.setattr(place, refusing(code), raising=False)
    with pytest.raises(BenchmarkError, match=rf"decoded images cannot be kept here .*{os.strerror(code)}.*make room"):
        cached_files(tmp_path, "css", "all", ["0.png"], 8, SilentRuns(), skip_broken=False, key="key")
    assert not list(tmp_path.rglob("*.partial")), "nothing is left that takes room"


def test_a_file_system_that_reserves_no_room_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.EOPNOTSUPP), raising=False)
    pixels = new_file(tmp_path / "0.npy", (2, 4, 4, 3))
    assert np.array_equal(pixels, np.zeros((2, 4, 4, 3), dtype=np.uint8))


@CODES
def test_a_folder_without_room_is_still_the_place(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", refusing(code))
    assert cache_place.writable_place(tmp_path) == tmp_path / ".cache"


@CODES
def test_no_room_is_no_fault_of_a_submission(code: int) -> None:
    assert is_of_the_machine(OSError(code, os.strerror(code)))
