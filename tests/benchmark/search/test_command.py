"""`tirg-bench search` on every kind of dataset and folder, and what goes wrong."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import css_gen.dataset
from benchmark.cli.main import main
from benchmark.errors import BenchmarkError, UsageError
from benchmark.search.folder_gallery import FolderGallery
from benchmark.search.gallery import DatasetGallery
from benchmark.search.query_image import resampling
from benchmark.search.stored_models import find_model
from benchmark.tasks.css import Css
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import SilentRuns
from tests.benchmark.search.reading import Search, answers, first_query, found_by

TEXT = "make object red"


@pytest.mark.parametrize("protocol", ["css", "css-2d3d", "mit-states"])
def test_the_own_image_is_left_out_in_every_protocol(protocol: str, search: Search, places: dict[str, Path]) -> None:
    rows = found_by(search, "--image=2", f"--text={TEXT}", f"--dataset={protocol}", "--k=1000")
    names = [name for _, _, name, _ in rows]
    assert [int(rank) for rank, *_ in rows] == list(range(1, len(rows) + 1))
    assert len(set(names)) == len(names)
    if protocol == "mit-states":
        opened = DatasetGallery(protocol, places["mitstates"], image_size=16, reporter=SilentRuns())
        assert set(names) == set(opened.split.files) - {opened.name(2)}
    else:
        assert "2" not in names
        assert {verdict for *_, verdict in rows} <= {"yes", "no"}


def test_a_drawing_that_starts_no_query_can_be_asked_about(css_root: Path) -> None:
    drawings = DatasetGallery("css-2d3d", css_root, image_size=16, reporter=SilentRuns())
    last = len(drawings) - 1
    assert last >= len(drawings.split.sources)
    test = css_gen.dataset.open(css_root).split("test")
    assert np.array_equal(drawings.query_by_row(last).picture, test.image_2d(last))
    assert np.array_equal(drawings.picture(last), test.image_3d(last))
    assert np.array_equal(drawings.query_by_row(0).pixels, drawings.split.sources[0])


def test_a_folder_is_searched_without_the_query_itself(search: Search, folder: Path) -> None:
    rows = found_by(search, f"--image={folder / '1.png'}", f"--text={TEXT}", f"--gallery={folder}")
    assert {name for _, _, name, _ in rows} == {"0.png", "2.png", "3.png", "4.png", "sub/5.png"}
    shutil.copy(folder / "1.png", folder / "copy.png")
    assert found_by(search, "--image=1", f"--text={TEXT}", f"--gallery={folder}") == rows


def test_a_folder_needs_no_dataset(model_file: Path, folder: Path) -> None:
    arguments = [
        "search",
        f"--model={model_file}",
        f"--image={folder / '1.png'}",
        f"--text={TEXT}",
        f"--gallery={folder}",
    ]
    result = CliRunner().invoke(main, [*arguments, "--data=css=missing", "--device=cpu"])
    assert result.exit_code == 0, result.output
    assert "5 images were ranked" in result.stdout


def test_broken_files_in_a_folder_are_named_and_left_out(search: Search, folder: Path) -> None:
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:200])
    (folder / "a.jpg").symlink_to("/etc/hostname")
    result = search(f"--image={folder / '1.png'}", f"--text={TEXT}", f"--gallery={folder}")
    assert result.exit_code == 0, result.output
    assert "left out: 0.png is truncated or damaged" in result.stderr
    assert "and 1 more" in result.stderr
    assert "4 images were ranked" in result.stdout


def test_a_model_of_a_file_brings_its_dataset(search: Search, runs: Path) -> None:
    path = find_model(runs, "tirg", "mit-states", None, None)
    result = search(f"--model={path}", "--image=0", "--text=red", composer=None)
    assert result.exit_code == 0, result.output
    assert f"tirg on mit-states, seed 0, {path}" in result.stdout
    assert "Right" not in result.stdout


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        (["--image=0"], 2, "Missing option '--text'"),
        (["--text=red"], 2, "Missing option '--image'"),
        (["--image=9999", "--text=red", "--dataset=mit-states"], 2, "the test images of mit-states are 0 to "),
        (["--image=-1", "--text=red"], 2, "--image -1: there is no such file"),
        (["--image=", "--text=red"], 2, "there is no such file"),
        (["--image=broken.png", "--text=red"], 1, "--image broken.png: is not an image of type JPEG or PNG"),
        (
            ["--image=0", "--text=red", "--composer=film"],
            1,
            "no model of film on css; there is css/tirg/quick-changed-",
        ),
        (["--image=0", "--text=red", "--dataset=css-original"], 1, "no model of tirg on css-original; there is css"),
        (["--image=0", "--text=red", "--seed=3"], 1, "with --seed 3; there is css/tirg/quick-changed-"),
        (["--image=0", "--text=red", "--preset=paper"], 1, "--dataset css --preset paper` makes it"),
        (["--image=0", "--text=red", "--model=no.safetensors"], 1, "no.safetensors: there is no such checkpoint"),
        (["--image=0", "--text=red", "--model=broken.png"], 1, "broken.png is not a checkpoint of tirg-bench"),
        (["--image=0", "--text=red", "--model=broken.png", "--seed=0"], 2, "--preset and --seed choose among"),
        (["--image=0", "--text=red", "--composer=film", "--model=MODEL"], 2, "is of tirg, not of film"),
        (["--image=0", "--text=red", "--gallery=empty"], 2, "--gallery empty: there is no .jpg, .jpeg, .png file in"),
        (["--image=0", "--text=red", "--gallery=bad"], 1, "bad: none of the 1 images can be used; a.png is empty"),
        (["--image=0", "--text=red", "--data=css=nowhere"], 1, "nowhere does not exist"),
        (["--image=0", "--text=red", "--out=no/page.html"], 2, "--out no/page.html: there is no folder no"),
        (["--image=0", "--text=red", "--out=empty"], 1, "--out empty: cannot be written"),
        (["--image=0", "--text=red", "--device=gpu"], 2, "--device gpu: expected cpu, cuda, or cuda:N"),
    ],
)
def test_bad_input_ends_in_one_line(
    options: list[str], code: int, expected: str, search: Search, model_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").touch()
    result = search(*(option.replace("MODEL", str(model_file)) for option in options))
    assert result.exit_code == code, result.output
    last = result.stderr.splitlines()[-1]
    assert last.startswith("tirg-bench: error: ")
    assert expected in last
    assert "Traceback" not in result.stderr
    assert "delete it" not in result.stderr
    assert "unexpected" not in result.stderr


def test_without_a_composer_or_model_there_is_nobody_to_answer(search: Search) -> None:
    result = search("--image=0", "--text=red", composer=None)
    assert result.exit_code == 2
    assert "either --composer NAME, or --model FILE" in result.stderr


def test_a_diverged_model_is_said_to_be_one(search: Search, model_file: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(model_file)
    broken = {"model.head.weight": torch.full_like(checkpoint.tensors["model.head.weight"], float("nan"))}
    replace(checkpoint, tensors=checkpoint.tensors | broken).write(tmp_path / "nan.safetensors")
    result = search("--image=0", "--text=red", "--model=nan.safetensors")
    assert result.exit_code == 1
    assert "its training diverged" in result.stderr


def test_a_lost_shard_is_said_to_be_unreadable(css: Css, tiny_copy: Path, folder: Path) -> None:
    del css
    opened = DatasetGallery("css", tiny_copy, image_size=16, reporter=SilentRuns())
    for shard in (tiny_copy / "test").glob("images-*"):
        shard.write_bytes(b"PAR1")
    with pytest.raises(BenchmarkError, match="an image cannot be read"):
        DatasetGallery.query_by_row(opened, len(opened) - 1)
    with pytest.raises(UsageError, match="there is no such folder"):
        FolderGallery(folder / "0.png", image_size=16, resampling=resampling("css"))


def test_unknown_and_translated_words_are_named_on_stderr(search: Search) -> None:
    result = search("--image", 0, "--text", "make cube turquoise")
    assert result.exit_code == 0
    assert "'cube' is 'rectangle'" in result.stderr
    assert "was not trained on 'turquoise'" in result.stderr


def test_a_file_that_is_an_image_of_the_dataset_is_recognised(search: Search, css_root: Path, tmp_path: Path) -> None:
    query = first_query(css_root)
    split = css_gen.dataset.open(css_root).split("test")
    Image.fromarray(split.image_3d(query.source_id)).save(tmp_path / "own.png")
    by_file = search("--image", tmp_path / "own.png", "--text", query.text)
    by_row = search("--image", query.source_id, "--text", query.text)
    assert [words[:4] for words in answers(by_file)] == [words[:4] for words in answers(by_row)]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--image=0", "--text=add circle", "--composer=trig"], 2, "unknown composer 'trig': did you mean tirg or"),
        (["--image=0", "--text=add circle", "--composer=film"], 1, "holds no model of film on css"),
        (["--image=0", "--text=add circle", "--dataset=cs"], 2, "unknown dataset 'cs'"),
        (["--image=9999", "--text=add circle"], 2, "the test images of css are 0 to"),
        (["--image=nowhere.png", "--text=add circle"], 2, "there is no such file"),
        (["--image=0", "--text= ?"], 2, "--text: expected words"),
        (["--image=0", "--text=add circle", "--k=0"], 2, "'--k'"),
        (["--image=0", "--text=add circle", "--gallery=nowhere"], 2, "--gallery nowhere: there is no such folder"),
        (["--image=0", "--text=add circle", "--out=nowhere/page.html"], 2, "there is no folder nowhere"),
        (["--image=0", "--text=add circle", "--data=css"], 2, "is not NAME=PATH"),
        (["--image=0", "--text=add circle", "--data=cs=x"], 2, "unknown dataset 'cs'"),
        (["--image=0", "--text=add circle", "--model=nowhere.safetensors"], 1, "there is no such checkpoint"),
        (["--image=0", "--text=add circle", "--model=x", "--seed=0"], 2, "--model names one file"),
    ],
)
def test_more_bad_input_ends_in_one_line(search: Search, arguments: list[str], code: int, expected: str) -> None:
    result = search(*arguments)
    assert result.exit_code == code
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_query_that_is_no_image_and_a_folder_without_any(search: Search, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no image")
    for arguments, code in (
        (["--image", tmp_path / "x.png", "--text=add circle"], 1),
        (["--image=0", "--text=add circle", "--gallery", tmp_path], 1),
        (["--image=0", "--text=add circle", "--gallery", tmp_path / "x.png"], 2),
    ):
        result = search(*arguments)
        assert result.exit_code == code
        assert "x.png" in result.stderr
