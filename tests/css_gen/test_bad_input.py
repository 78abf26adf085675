"""Every bad input that issue 2 lists ends in one clear line and the right exit code, and loses nothing."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from css_gen.cli import main
from css_gen.storage import estimate
from css_gen.storage.configuration import Configuration
from css_gen.storage.folder import begin
from tests.css_gen.one_line import RENDER, assert_one_line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--n", "0"], ["--n must be from 1 to 10,000,000", "got 0"]),
        (["--n", "-3"], ["--n must be from 1", "got -3"]),
        (["--n", "11"], ["--n must be at least 12 with --test-fraction 0.5, got 11"]),
        (["--n", "100", "--test-fraction", "0.01"], ["--n must be at least 550 with --test-fraction 0.01"]),
        (["--n", "100", "--test-fraction", "0.99"], ["--n must be at least 551"]),
        (["--n", "1" + "0" * 30], ["--n must be from 1 to 10,000,000"]),
        (["--n", "many"], ["'--n'", "not a valid integer"]),
        (["--n", "1e4"], ["'--n'", "not a valid integer"]),
        ([], ["give the number of images either by --n, or by --train and --test"]),
        (["--train", "24"], ["either by --n, or by --train and --test"]),
        (["--test", "24"], ["either by --n, or by --train and --test"]),
        (["--n", "24", "--test", "12"], ["either by --n, or by --train and --test"]),
        (["--n", "24", "--train", "12", "--test", "12"], ["either by --n, or by --train and --test"]),
        (["--train", "12", "--test", "12", "--test-fraction", "0.5"], ["--test-fraction divides what --n gives"]),
        (["--train", "0", "--test", "12"], ["--train and --test must be from 1 image each", "got 0 and 12"]),
        (["--train", "12", "--test", "-1"], ["--train and --test must be from 1 image each", "got 12 and -1"]),
        (["--train", "9999999", "--test", "12"], ["to 10,000,000 together", "got 9999999 and 12"]),
        (["--train", "5", "--test", "12"], ["--train must be at least 6 and --test at least 6, got 5 and 12"]),
        (["--train", "5", "--test", "5"], ["--train must be at least 6 and --test at least 6, got 5 and 5"]),
        (["--train", "many", "--test", "12"], ["'--train'", "not a valid integer"]),
        (["--n", "24", "--seed", "-1"], ["--seed must be 0 or more"]),
        (["--n", "24", "--size", "0"], ["--size must be 16 to 4096 pixels"]),
        (["--n", "24", "--size", "5000"], ["--size must be 16 to 4096 pixels"]),
        (["--n", "24", "--jobs", "0"], ["'--jobs'"]),
        (["--n", "24", "--test-fraction", "0"], ["--test-fraction must be between 0 and 1"]),
        (["--n", "24", "--test-fraction", "nan"], ["--test-fraction must be between 0 and 1"]),
        (["--n", "24", "--names", "4d"], ["'--names'", "'2d', '3d'"]),
        (["--n", "24", "--view", "top"], ["'--view'", "'grid', 'clevr'"]),
        (["--n", "24", "--materials", "rubber,wood"], ["'--materials'", "'wood' is not one of rubber, metal"]),
        (["--n", "24", "--materials", ""], ["'--materials'", "name some of rubber, metal"]),
        (
            ["--n", "24", "--track", "systematic", "--materials", "rubber,metal"],
            ["--materials must be left out with --track systematic", "got rubber, metal"],
        ),
        (["--n", "24", "--no-jitter", "wind"], ["'--no-jitter'", "'wind' is not one of position, rotation"]),
        (["--n", "24", "--with", "normals"], ["'--with'", "'normals' is not one of masks, depth"]),
        (["--n", "24", "--wit", "masks"], ["No such option", "--with"]),
        (["--n", "24", "stray"], ["unexpected extra argument"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_of_render(run_css_gen, tmp_path, monkeypatch, arguments, parts):
    monkeypatch.chdir(tmp_path)
    assert_one_line(run_css_gen("render", *arguments), 2, *parts, "css-gen render --help")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["rendr"], ["unknown command 'rendr': did you mean render?"]),
        (["info"], ["Missing argument 'FOLDER'"]),
        (["show", "x", "--queries", "0"], ["'--queries'"]),
        (["show", "x", "--split", "validation"], ["'--split'"]),
        (["export", "x", "--format", "zip", "--out", "y"], ["'--format'"]),
        (["export", "x", "--format", "png"], ["Missing option '--out'"]),
        (["verify", "x", "--jobs", "-1"], ["'--jobs'"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_of_the_others(run_css_gen, arguments, parts):
    assert_one_line(run_css_gen(*arguments), 2, *parts)


def test_a_dataset_larger_than_the_disk_asks_for_yes(run_css_gen, tmp_path, monkeypatch):
    out = tmp_path / "css"
    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda _: SimpleNamespace(free=20_000))
    assert_one_line(run_css_gen(*RENDER, "--out", out), 2, "the dataset needs about", "20.0 kB free", "--yes")
    assert not out.exists()
    assert run_css_gen(*RENDER, "--out", out, "--yes").exit_code == 0


def test_the_largest_dataset_is_estimated_at_once(run_css_gen, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    result = run_css_gen("render", "--n", 10_000_000, "--size", 16, "--out", tmp_path / "css")
    assert_one_line(result, 2, "the dataset needs about", " GB and ", "1.0 GB free")


def test_the_estimate_is_near_the_truth(tiny_dataset, tiny_configuration):
    truth = sum(path.stat().st_size for path in tiny_dataset.rglob("*.parquet"))
    # Of so small a dataset, footers and schemas are a sizeable part.
    assert 0.5 * truth < estimate.estimated_bytes(tiny_configuration) < 1.3 * truth


@pytest.mark.parametrize("place", ["css", "css/below", "css/below/further"])
def test_a_file_where_the_folder_should_be(run_css_gen, tmp_path, place):
    (tmp_path / "css").write_text("precious")
    assert_one_line(run_css_gen(*RENDER, "--out", tmp_path / place), 1, tmp_path / "css", "file")
    assert (tmp_path / "css").read_text() == "precious"


@pytest.mark.parametrize("name", ["photo.jpg", "README.md", "train", "manifest.json"])
@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_a_folder_of_somebody_elses(run_css_gen, tmp_path, name, force):
    (tmp_path / name).write_text('{"format": "theirs"}')
    result = run_css_gen(*RENDER, "--out", tmp_path, *force)
    assert_one_line(result, 1, tmp_path)
    assert (tmp_path / name).read_text() == '{"format": "theirs"}'
    assert {path.name for path in tmp_path.iterdir()} <= {name, ".css-gen.lock"}


def test_a_folder_in_the_place_of_a_shard(run_css_gen, tiny_copy):
    path = tiny_copy / "train" / "images-00001-of-00004.parquet"
    path.unlink()
    path.mkdir()
    result = run_css_gen("verify", tiny_copy, "--repair", "--jobs", 1)
    assert result.exit_code == 1
    assert f"a folder is in the place of a file ({path})" in result.stderr
    assert "Traceback" not in result.stderr


def test_two_at_once_in_one_folder(run_css_gen, tmp_path):
    with FileLock(tmp_path / ".css-gen.lock"):
        assert_one_line(run_css_gen(*RENDER, "--out", tmp_path), 1, "another css-gen process is using", tmp_path)


def test_half_a_dataset_of_another_configuration(run_css_gen, tmp_path):
    begun = {"generator_version": "unknown", "configuration": {}}
    (tmp_path / ".progress").mkdir()
    (tmp_path / ".progress" / "configuration.json").write_text(json.dumps(begun))
    assert_one_line(run_css_gen(*RENDER, "--out", tmp_path), 1, "configuration.json is damaged", "--force")
    assert run_css_gen(*RENDER, "--out", tmp_path, "--force").exit_code == 0
    assert run_css_gen("verify", tmp_path, "--jobs", 1).exit_code == 0


def test_going_on_with_another_configuration(run_css_gen, tmp_path):
    begin(tmp_path, Configuration(images=24, size=64, test_fraction=0.25), {})
    result = run_css_gen(*RENDER, "--out", tmp_path)
    assert_one_line(result, 1, "size is 64 there and 16 here; test-fraction is 0.25 there and 0.5 here", "--force")


def test_going_on_with_another_version(run_css_gen, tmp_path, monkeypatch):
    begin(tmp_path, Configuration(images=24, size=16), {})
    monkeypatch.setattr("css_gen.render.generator_version", lambda: "99.0")
    assert_one_line(run_css_gen(*RENDER, "--out", tmp_path), 1, "there and 99.0 here", "--out", "--force")


def test_rendering_over_a_manifest_that_does_not_fit(run_css_gen, tiny_copy):
    manifest = tiny_copy / "manifest.json"
    values = json.loads(manifest.read_text())
    arguments = ("render", "--n", 150, "--size", 32, "--seed", 3, "--jobs", 1, "--out", tiny_copy)
    manifest.write_text(json.dumps({**values, "format_version": 2}))
    assert_one_line(run_css_gen(*arguments), 1, "format version 2")
    manifest.write_text(json.dumps({**values, "fingerprint": "0"}))
    assert_one_line(run_css_gen(*arguments), 1, "was edited", "--repair")
    manifest.write_text("{")
    assert_one_line(run_css_gen(*arguments), 1, "is not JSON", "--repair")
    manifest.write_text(json.dumps({**values, "format_version": 2}))
    assert run_css_gen(*arguments, "--force").exit_code == 0
    assert json.loads(manifest.read_text()) == values


COMMANDS = {
    "info": (),
    "verify": ("--jobs", 1),
    "show": ("--out", "sheet.png"),
    "export": ("--format", "png", "--out", "exported"),
    "push": ("me/css", "--dry-run"),
}


def test_every_command_that_reads_a_dataset_is_tested_here():
    assert {*COMMANDS, "render"} == set(main.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_reading_what_is_no_dataset(run_css_gen, tiny_copy, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)

    def refused(folder: Path, *parts: str) -> None:
        result = run_css_gen(command, folder, *COMMANDS[command])
        assert_one_line(result, 1, folder, *parts)

    refused(tmp_path / "nowhere", "does not exist", "css-gen render --n 20000 --out")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no finished dataset", "manifest.json is missing")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "is a file; expected the folder of a dataset")
    manifest = tiny_copy / "manifest.json"
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**values, "format_version": 2}))
    refused(tiny_copy, "format version 2", "reads up to 1", "pip install --upgrade css-bench")
    manifest.write_text(json.dumps({**values, "format": "coco"}))
    refused(tiny_copy, "not a manifest of css-gen")
    manifest.write_text(json.dumps(values)[:-10])
    refused(tiny_copy, "is not JSON", "--repair")
    manifest.write_bytes(b"\xff\xfe\x00")
    refused(tiny_copy, "damaged", "--repair")
    assert not (tmp_path / "exported").exists()
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_reading_an_edited_manifest(run_css_gen, tiny_copy, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    manifest = tiny_copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 3', '"seed": 4'))
    result = run_css_gen(command, tiny_copy, *COMMANDS[command])
    assert result.exit_code == 1
    if command == "verify":
        assert "manifest.json: was edited: its checksum of itself is wrong" in result.stdout
    else:
        assert_one_line(result, 1, manifest, "was edited", "--repair")


@pytest.mark.parametrize("damage", ["missing", "truncated"])
@pytest.mark.parametrize("command", ["show", "export", "info"])
def test_reading_a_damaged_shard(run_css_gen, tiny_copy, tmp_path, monkeypatch, command, damage):
    monkeypatch.chdir(tmp_path)
    for path in tiny_copy.rglob("*.parquet"):
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-200])
    result = run_css_gen(command, tiny_copy, *COMMANDS[command])
    assert_one_line(result, 1, str(tiny_copy), ".parquet", f"css-gen verify {tiny_copy} --repair")
    assert {path.name for path in tmp_path.iterdir()} == {"css"}


@pytest.mark.parametrize("layout", ["png", "tirg", "webdataset"])
def test_exporting_into_what_is_there_already(run_css_gen, tiny_dataset, tmp_path, layout):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious")
    for name in ("file", "full"):
        result = run_css_gen("export", tiny_dataset, "--format", layout, "--out", tmp_path / name)
        assert_one_line(result, 1, tmp_path / name, "not an empty folder")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "file", "full"]


def test_showing_into_a_folder_that_is_not_there(run_css_gen, tiny_dataset, tmp_path):
    result = run_css_gen("show", tiny_dataset, "--out", tmp_path / "no" / "sheet.png")
    assert_one_line(result, 1, "No such file or directory", tmp_path / "no")
