"""A folder that is searched again is not encoded again, unless a file in it has changed."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import benchmark
from benchmark.search import model as module


def picture(path: Path, colour: tuple[int, int, int]) -> None:
    Image.new("RGB", (20, 20), colour).save(path)


def test_a_folder_is_encoded_once_and_again_after_a_change(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        picture(folder / f"{number}.png", (80 * number, 0, 0))
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    encoded: list[int] = []
    real = module.encode_gallery

    def counting(*arguments: object, **options: object) -> object:
        encoded.append(1)
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "encode_gallery", counting)
    model = benchmark.load_model(model_file, device="cpu")
    query = np.zeros((20, 20, 3), dtype=np.uint8)

    def names() -> set[str]:
        found = model.rank(query, "make object red", k=9, gallery=str(folder))
        return {answer.name for answer in found.answers}

    first = names()
    assert names() == first == {"1.png", "2.png"}, "the query's own image is 0.png"
    monkeypatch.chdir(tmp_path)
    folder = Path("pictures")
    assert names() == first
    assert len(encoded) == 1, "another spelling of the same folder"
    picture(folder / "3.png", (0, 0, 80))
    assert names() == {*first, "3.png"}
    assert len(encoded) == 2
    before = (folder / "1.png").stat()
    picture(folder / "1.png", (0, 0, 0))
    os.utime(folder / "1.png", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert names() == {"2.png", "3.png"}, "it has become the query's own image"
    assert len(encoded) == 3
