"""`tirg-bench search` on every kind of dataset and folder: hostile names, the page, and what goes wrong late."""

import base64
import html
import io
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import css_gen.dataset
from benchmark import tasks as datasets
from benchmark.cli.main import main
from benchmark.datasets.folder_images import decode
from benchmark.datasets.rendered_css import reduced
from benchmark.device import make_accelerator
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import Bench, make_record
from benchmark.scoring.evaluation import embed_gallery, embed_queries
from benchmark.scoring.ranking import rank_targets
from benchmark.search.embedding import Embedded, encode_gallery, encode_query, ranked
from benchmark.search.folder_gallery import FolderGallery
from benchmark.search.gallery import DatasetGallery
from benchmark.search.model import Model
from benchmark.search.query_image import query_from_file, resampling
from benchmark.search.wording import understood
from benchmark.tasks.css import Css
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import SilentRuns
from models.text_encoders.vocabulary import Vocabulary

TEXT = "make object red"
Search = Callable[..., Result]


@pytest.fixture(scope="session")
def runs(places: dict[str, Path], tiny_config: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with a model on CSS, one on its drawings, and one on MIT-States."""
    root = tmp_path_factory.mktemp("searched")
    bench = Bench(
        base=tiny_config, runtime=Runtime(), reporter=SilentRuns(), leaderboards=root / "boards", runs=root / "runs"
    )
    for protocol in ("css", "css-2d3d", "mit-states"):
        place = places[datasets.get(protocol).folder]
        opened = datasets.get(protocol).open(place, image_size=16, reporter=SilentRuns(), skip_broken=False)
        run = Run(protocol, "tirg", tiny_config, 0, opened.fingerprint, opened.spatial)
        make_record(run, opened, bench, protocol)
    return root / "runs"


@pytest.fixture(scope="session")
def model(runs: Path) -> Model:
    return Model.load(the_model(runs), device="cpu")


@pytest.fixture(scope="session")
def gallery(css_root: Path) -> DatasetGallery:
    return DatasetGallery("css", css_root, image_size=16, reporter=SilentRuns())


@pytest.fixture
def search(runs: Path, places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Run `tirg-bench search` on these models and datasets, in an empty folder; a place given here comes instead."""
    monkeypatch.chdir(tmp_path)
    given = [f"--data={name}={root}" for name, root in places.items()]

    def run(*options: object, composer: str | None = "tirg") -> Result:
        named = [f"--composer={composer}"] if composer else []
        asked = list(map(str, options))
        others = [place for place in given if not any(option.startswith(place.partition("=/")[0]) for option in asked)]
        arguments = ["search", *named, f"--runs={runs}", "--device=cpu", *others, *asked]
        return CliRunner().invoke(main, arguments)

    return run


@pytest.fixture
def folder(css_root: Path, tmp_path: Path) -> Path:
    """Test images 0 to 5 as files, one of them in a folder, beside files that are none."""
    test = css_gen.dataset.open(css_root).split("test")
    root = tmp_path / "mine"
    (root / "sub").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for row in range(6):
        (root / ("sub" if row == 5 else "") / f"{row}.png").write_bytes(test.png_3d(row))
    (root / ".hidden" / "7.png").write_bytes(test.png_3d(7))
    (root / "notes.txt").write_text("no image")
    return root


def found_by(search: Search, *options: object) -> list[tuple[str, ...]]:
    """The rows of the table: rank, similarity, image, and whether it is right."""
    result = search(*options)
    assert result.exit_code == 0, result.output
    return re.findall(r"(?m)^ +(\d+) +(-?\d\.\d{3})  (\S+(?: \S+)*) *(\S*)", result.stdout)


def embedded_by(model: Model, gallery: DatasetGallery, row: int, text: str) -> Embedded:
    accelerator = make_accelerator("cpu", "fp32")
    image = gallery.query_by_row(row)
    encoded = encode_gallery(model.network, gallery, accelerator=accelerator, reporter=SilentRuns())
    query = encode_query(model.network, image, text, accelerator=accelerator)
    return Embedded(query, encoded.images, encoded.rows, encoded.places_of(image, own_row=row))


def test_ranking_is_that_of_scoring(model: Model, gallery: DatasetGallery) -> None:
    """The same query through the functions that score a run gives the same embeddings and the same order."""
    split, accelerator = gallery.split, make_accelerator("cpu", "fp32")
    queries = embed_queries(model.network, split, accelerator=accelerator, batch_size=16)
    images = embed_gallery(model.network, split.gallery, accelerator=accelerator, batch_size=16)
    own, labels = (torch.from_numpy(rows) for rows in (split.queries.source_images, split.labels))
    top = rank_targets(queries, images, own, labels[split.queries.targets], labels, top_k=5).top
    for query in range(0, len(split.queries), 9):
        embedded = embedded_by(model, gallery, int(split.queries.sources[query]), split.queries.texts[query])
        assert torch.allclose(embedded.query, queries[query], atol=1e-5)
        assert [row for row, _ in ranked(embedded, 5)] == top[query].tolist()


def test_flat_names_are_read_as_solid_ones_where_the_model_knows_these_alone() -> None:
    solid = Vocabulary(("cube", "cylinder", "make", "red", "sphere"))
    assert understood("make circle red", solid.words, css_texts=True).text == "make sphere red"
    both = Vocabulary(("cube", "make", "rectangle"))
    assert understood("make cube", both.words, css_texts=True).notes == ()


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


def test_a_folder_needs_no_dataset(runs: Path, folder: Path) -> None:
    model = next((runs / "css/tirg").glob("quick-changed-*/model.safetensors"))
    arguments = ["search", f"--model={model}", f"--image={folder / '1.png'}", f"--text={TEXT}", f"--gallery={folder}"]
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


@pytest.mark.parametrize("side", [24, 100, 224])
def test_images_of_ones_own_are_reduced_as_those_of_css(side: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    method = resampling("css")
    assert np.array_equal(decode(path, 16, resampling=method), reduced(path.read_bytes(), 16))
    assert np.array_equal(
        query_from_file(path, image_size=16, resampling=method).pixels, reduced(path.read_bytes(), 16)
    )
    assert resampling("css-original") == Image.Resampling.BILINEAR


class Page(HTMLParser):
    """What a browser makes of a page: its tags, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def sources(self) -> list[str]:
        return [attributes["src"] or "" for tag, attributes in self.tags if tag == "img"]


def test_the_page_holds_the_answers_and_their_images(search: Search, css_root: Path, tmp_path: Path) -> None:
    query = css_gen.dataset.open(css_root).split("test").queries[0]
    asked = (f"--image={query.source_id}", f"--text={query.text}", "--k=4")
    rows = found_by(search, *asked)
    result = search(*asked, "--out=page.html")
    assert "the page is page.html" in result.stdout
    page = Page(tmp_path / "page.html")
    assert len(page.sources()) == 5
    for source in page.sources():
        kind, _, content = source.partition(",")
        assert kind == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(content)), formats=["WEBP"]) as image:
            image.load()
            assert image.size == (32, 32)
    for _, similarity, name, verdict in rows:
        assert similarity in page.text
        assert f"\n{name}\n" in page.text
        assert {"yes": "✓ right", "no": "not right"}[verdict] in page.text
    assert css_gen.dataset.open(css_root).split("test").scene(query.source_id).key.split("; ")[0] in page.text
    assert "prefers-color-scheme: dark" in page.text
    assert not re.search(r"https?://|url\(", (tmp_path / "page.html").read_text())
    assert not list(tmp_path.glob(".*"))


def test_hostile_names_and_texts_stay_text(search: Search, folder: Path, tmp_path: Path) -> None:
    names = ['<img src=x onerror="alert(1)">.png', "{{ 7 * 7 }}.png", "\x1b[31mred.png", "[bold]b.png"]
    for name in names:
        shutil.copy(folder / "2.png", folder / name)
    os.rename(os.fsencode(folder / "0.png"), os.fsencode(folder) + b"/\xff\xfe.png")  # noqa: PTH104  no str is this name
    text = '<script>alert("x")</script> {{ 1 + 1 }} [red]make\x1b[0m object red\u202e'
    result = search(f"--image={folder / '3.png'}", "--text", text, f"--gallery={folder}", "--out=page.html", "--k=20")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "[bold]b.png" in result.stdout
    page = Page(tmp_path / "page.html")
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags
    assert tags.count("img") == 10
    assert all(source.startswith("data:") for source in page.sources())
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert '<script>alert("x")</script> {{ 1 + 1 }}' in page.text
    assert names[0] in page.text
    assert names[1] in page.text
    assert "\N{REPLACEMENT CHARACTER}[31mred.png" in html.unescape(page.text)
    assert "\u202e" not in page.text
    assert "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.png" in page.text


def test_a_model_of_a_file_brings_its_dataset(search: Search, runs: Path) -> None:
    path = next((runs / "mit-states/tirg").glob("quick-changed-*/model.safetensors"))
    result = search(f"--model={path}", "--image=0", "--text=red", composer=None)
    assert result.exit_code == 0, result.output
    assert f"tirg on mit-states, seed 0, {path}" in result.stdout
    assert "Right" not in result.stdout


def the_model(runs: Path) -> Path:
    (path,) = (runs / "css/tirg").glob("*/model.safetensors")
    return path


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
            "no model of film on css; there is css/tirg/quick-",
        ),
        (["--image=0", "--text=red", "--dataset=css-original"], 1, "no model of tirg on css-original; there is css"),
        (["--image=0", "--text=red", "--seed=3"], 1, "with --seed 3; there is css/tirg/quick-"),
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
    options: list[str], code: int, expected: str, search: Search, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").touch()
    result = search(*(option.replace("MODEL", str(the_model(runs))) for option in options))
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


def test_a_diverged_model_is_said_to_be_one(search: Search, runs: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(the_model(runs))
    broken = {"model.head.weight": torch.full_like(checkpoint.tensors["model.head.weight"], float("nan"))}
    replace(checkpoint, tensors=checkpoint.tensors | broken).write(tmp_path / "nan.safetensors")
    result = search("--image=0", "--text=red", "--model=nan.safetensors")
    assert result.exit_code == 1
    assert "its training diverged" in result.stderr


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.html").write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = search("--image=0", "--text=red", "--out=page.html")
    assert result.exit_code == 1
    assert "--out page.html: cannot be written (No space left on device)" in result.stderr
    assert (tmp_path / "page.html").read_text() == "before"
    assert not list(tmp_path.glob(".page*"))


def test_a_lost_shard_is_said_to_be_unreadable(css: Css, tiny_copy: Path, folder: Path) -> None:
    del css
    opened = DatasetGallery("css", tiny_copy, image_size=16, reporter=SilentRuns())
    for shard in (tiny_copy / "test").glob("images-*"):
        shard.write_bytes(b"PAR1")
    with pytest.raises(BenchmarkError, match="an image cannot be read"):
        DatasetGallery.query_by_row(opened, len(opened) - 1)
    with pytest.raises(UsageError, match="there is no such folder"):
        FolderGallery(folder / "0.png", image_size=16, resampling=resampling("css"))
