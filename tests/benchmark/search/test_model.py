"""The Python interface: its examples run, it gives what the commands give, and importing it is cheap."""

import doctest
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import benchmark
import css_gen.dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.records.store import read_stored
from benchmark.runs.single_run import Bench
from benchmark.search import model as module
from benchmark.search.stored_models import find_model
from css_gen.scenes.modification import parse


@pytest.fixture(scope="module")
def trained(
    bench: Bench, model_file: Path, css_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[int, float]]:
    """A folder with the dataset in `data/css` and a model of it, and the Recall@K of the run's record."""
    root = tmp_path_factory.mktemp("model")
    shutil.copy(model_file, root / "model.safetensors")
    (root / "data").mkdir()
    (root / "data" / "css").symlink_to(css_root)
    path = bench.records / model_file.parent.relative_to(bench.runs).with_name(f"{model_file.parent.name}.json")
    return root, read_stored(path).record.metrics.recall


@pytest.fixture
def folder(trained: tuple[Path, dict[int, float]], monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder as the current one."""
    monkeypatch.chdir(trained[0])
    return trained[0]


@pytest.fixture
def model(folder: Path) -> benchmark.Model:
    """That model; the current folder is its own."""
    return benchmark.load_model(folder / "model.safetensors", device="cpu")


def test_the_examples_in_the_documentation_run(folder: Path) -> None:
    del folder
    result = doctest.testmod(module)
    assert result.attempted >= 9
    assert result.failed == 0


def test_everything_that_is_offered_is_there_and_nothing_else() -> None:
    assert set(benchmark.__all__) == {"Model", "evaluate", "load_model"}
    assert all(getattr(benchmark, name).__doc__ for name in benchmark.__all__)
    assert set(benchmark.__all__) <= set(dir(benchmark))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = benchmark.nothing


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, benchmark; print(sorted({'torch', 'numpy', 'pandas', 'PIL', 'click'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_evaluating_gives_the_record_of_the_run(
    model: benchmark.Model, trained: tuple[Path, dict[int, float]], css_root: Path
) -> None:
    assert benchmark.evaluate(model).recall == trained[1]
    assert benchmark.evaluate(model, "CSS", data=css_root).recall == trained[1]


def test_ranking_by_row_file_and_pixels_is_the_same(model: benchmark.Model, css_root: Path, tmp_path: Path) -> None:
    split = css_gen.dataset.open(css_root).split("test")
    query = split.queries[0]
    Image.fromarray(split.image_3d(query.source_id)).save(tmp_path / "a.png")
    by_row = model.rank(query.source_id, query.text)
    assert len(by_row.answers) == 10
    assert by_row.candidates == len(split) - 1
    for asked in (np.int64(query.source_id), tmp_path / "a.png", str(tmp_path / "a.png")):
        assert model.rank(asked, query.text).answers == by_row.answers
    assert model.rank(split.image_3d(query.source_id), query.text).answers == by_row.answers
    right = parse(query.text).targets(split.scene(query.source_id))
    assert [answer.is_relevant for answer in by_row.answers] == [
        split.keys[int(a.name)] in right for a in by_row.answers
    ]


def test_a_gallery_is_encoded_once_and_another_one_again(
    model: benchmark.Model, css_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = css_gen.dataset.open(css_root).split("test")
    for row in range(4):
        Image.fromarray(split.image_3d(row)).save(tmp_path / f"{row}.png")
    encoded: list[int] = []

    def counted(network: object, gallery: object, **options: object) -> object:
        encoded.append(len(gallery))  # type: ignore[arg-type]
        return encode(network, gallery, **options)  # type: ignore[arg-type]

    encode = module.encode_gallery
    monkeypatch.setattr(module, "encode_gallery", counted)
    first = model.rank(0, "make object red")
    assert model.rank(1, "make object red").answers != first.answers
    found = model.rank(tmp_path / "0.png", "make object red", gallery=tmp_path)
    assert {answer.name for answer in found.answers} == {"1.png", "2.png", "3.png"}
    assert model.rank(0, "make object red").answers == first.answers
    assert encoded == [75, 4, 75]


def test_pixels_that_are_not_square_are_cropped_as_a_file_is(model: benchmark.Model, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 61, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    found = model.rank(pixels, "make object red", 3)
    assert found.answers == model.rank(tmp_path / "wide.png", "make object red", 3).answers
    assert found.image.pixels.shape == (16, 16, 3)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
)
def test_pixels_of_another_shape_or_type_are_refused(model: benchmark.Model, pixels: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"image: expected uint8 pixels \(H, W, 3\), got"):
        model.rank(pixels, "make object red")


def test_what_does_not_exist_is_named(model: benchmark.Model, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean css"):
        benchmark.evaluate(model, "cs")
    with pytest.raises(UsageError, match="mit-states: composers get the pooled vector there"):
        benchmark.evaluate(model, "mit-states")
    with pytest.raises(BenchmarkError, match="nowhere does not exist"):
        benchmark.evaluate(model, data=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="k: expected 1 or more, got 0"):
        model.rank(0, "make object red", 0)
    with pytest.raises(UsageError, match="the test images of css are 0 to 74"):
        model.rank(75, "make object red")
    with pytest.raises(UsageError, match="there is no such file"):
        model.rank("nowhere.png", "make object red")
    with pytest.raises(UsageError, match="there is no such folder"):
        model.rank(0, "make object red", gallery=tmp_path / "nowhere")
    (folder / "damaged.safetensors").write_bytes(b"x")
    with pytest.raises(BenchmarkError, match=r"damaged\.safetensors is not a checkpoint") as caught:
        benchmark.load_model("damaged.safetensors")
    assert "delete" not in str(caught.value)


NAMES = ("quick-01234567-s0-89abcdef", "quick-01234567-s1-89abcdef", "paper-76543210-s0-89abcdef")


def test_the_newest_model_that_fits_is_taken(tmp_path: Path) -> None:
    paths = [tmp_path / "css" / "tirg" / name / "model.safetensors" for name in NAMES]
    for age, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (1_000 - age, 1_000 - age))
    assert find_model(tmp_path, "tirg", "css", None, None) == paths[0]
    assert find_model(tmp_path, "tirg", "css", None, 1) == paths[1]
    assert find_model(tmp_path, "tirg", "css", "paper", None) == paths[2]
    (tmp_path / "css" / "tirg" / "mine").mkdir()
    (tmp_path / "css" / "tirg" / "mine" / "model.safetensors").touch()  # not the folder of a run
    assert find_model(tmp_path, "tirg", "css", None, None) == paths[0]
    with pytest.raises(BenchmarkError, match=r"no model of tirg on css with --seed 7; there is css/tirg/mine"):
        find_model(tmp_path, "tirg", "css", None, 7)
    with pytest.raises(BenchmarkError, match=r"`tirg-bench run --composer film --dataset css` makes it"):
        find_model(tmp_path, "film", "css", None, None)
    (tmp_path / "submissions" / "mine-01234567").mkdir(parents=True)
    with pytest.raises(BenchmarkError, match="mine is a submission: its code is run by"):
        find_model(tmp_path, "mine", "css", None, None)


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
