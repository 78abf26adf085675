"""`tirg-bench embed`, and searching the files that it writes: the same answers, and clear errors."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from benchmark.errors import BenchmarkError, UsageError
from benchmark.search import embedded_gallery
from benchmark.search.embedded_gallery import EmbeddedGallery
from benchmark.search.gallery import DatasetGallery
from benchmark.search.model import Model
from benchmark.search.stored_models import find_model
from benchmark.serve.service import Service
from benchmark.training.progress import SilentRuns
from tests.benchmark.search.reading import Search, answers, found_by

TEXT = "make object red"

pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have galleries of a test consist of several batches."""
    monkeypatch.setattr(embedded_gallery, "_BATCH", 4)


def embed(runs: Path, out: Path, *options: object) -> Result:
    return CliRunner().invoke(
        main, ["embed", "--composer=tirg", f"--runs={runs}", "--device=cpu", f"--out={out}", *map(str, options)]
    )


@pytest.mark.parametrize("dataset", ["css", "css-2d3d"])
@pytest.mark.parametrize("index", ["exact", "faiss"])
def test_a_file_of_test_images_gives_the_answers_of_the_dataset(
    search: Search, runs: Path, css_root: Path, tmp_path: Path, dataset: str, index: str
) -> None:
    result = embed(runs, tmp_path / "g.npy", f"--dataset={dataset}", f"--data=css={css_root}")
    assert result.exit_code == 0, result.output
    asked = ["--image=3", f"--text={TEXT}", f"--dataset={dataset}", "--k=20"]
    expected, page = search(*asked), tmp_path / "page.html"
    found = search(*asked, f"--gallery={tmp_path / 'g.npy'}", f"--index={index}", f"--out={page}")
    assert found.exit_code == 0, found.output
    assert answers(found) == answers(expected)
    assert expected.stdout.splitlines()[-1] in found.stdout  # how many were ranked, and how many are relevant
    assert page.read_text().count("data:image/webp") == 21
    assert ("100.0% of the first 10 images of exact search" in found.stderr) == (index == "faiss")
    assert ("faiss found 20 of the first 20" in found.stderr) == (index == "faiss")


def test_the_page_shows_the_test_images_of_a_file_for_an_image_of_ones_own(
    search: Search, runs: Path, css_root: Path, folder: Path, tmp_path: Path
) -> None:
    assert embed(runs, tmp_path / "g.npy", f"--data=css={css_root}").exit_code == 0
    page = tmp_path / "page.html"
    asked = [f"--image={folder / '1.png'}", f"--text={TEXT}", f"--gallery={tmp_path / 'g.npy'}", f"--out={page}"]
    result = search(*asked, "--k=5")
    assert result.exit_code == 0, result.output
    assert page.read_text().count("data:image/webp") == 6


def test_a_file_of_a_folder_gives_the_answers_of_the_folder(
    search: Search, runs: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:200])
    result = embed(runs, tmp_path / "g.npy", f"--gallery={folder}")
    assert result.exit_code == 0, result.output
    assert "left out: 0.png is truncated or damaged" in result.stderr
    assert f"{tmp_path / 'g.npy'}: 5 images of {folder}, by tirg on css, seed 0" in result.stdout
    asked = [f"--image={folder / '1.png'}", f"--text={TEXT}"]
    expected = found_by(search, *asked, f"--gallery={folder}")
    assert len(expected) == 4  # neither the broken one nor the query's own image
    assert found_by(search, *asked, f"--gallery={tmp_path / 'g.npy'}") == expected


def test_rows_names_scenes_and_own_images_are_those_of_the_dataset(
    model: Model, gallery: DatasetGallery, tmp_path: Path
) -> None:
    assert model.embed(gallery, tmp_path / "g.npy") == len(gallery)
    found = EmbeddedGallery(tmp_path / "g.npy")
    assert np.array_equal(np.load(tmp_path / "g.npy"), model.encode(gallery).images)
    assert list(found.keys) == list(gallery.keys)
    assert found.keys[2:5] == list(gallery.keys[2:5])
    wanted = {gallery.keys[0], gallery.keys[9]}
    expected = [row for row, key in enumerate(gallery.keys) if key in wanted]
    assert found.rows_of(wanted).tolist() == gallery.rows_of(wanted).tolist() == expected
    image = gallery.query_by_row(9)
    assert found.places_of(image, own_row=None).tolist() == [9]
    same = [row for row, pixels in enumerate(gallery.split.gallery) if np.array_equal(pixels, image.pixels)]
    assert found.places_of(replace(image, row=None), own_row=None).tolist() == same
    assert found.places_of(replace(image, fingerprint="other", row=7), own_row=None).tolist() == same


def test_a_file_without_a_table_is_searched_by_row(search: Search, folder: Path, model: Model, tmp_path: Path) -> None:
    width = model.network.head.out_features
    np.save(tmp_path / "g.npy", np.eye(width, dtype=np.float16)[:5])
    result = search(f"--image={folder / '1.png'}", f"--text={TEXT}", f"--gallery={tmp_path / 'g.npy'}")
    assert result.exit_code == 0, result.output
    assert {words[2] for words in answers(result)} == set("01234")
    assert "g.npy does not say which model made it" in result.stderr


def test_what_does_not_fit_is_refused(search: Search, runs: Path, folder: Path, model: Model, tmp_path: Path) -> None:
    file = tmp_path / "g.npy"
    asked = [f"--image={folder / '1.png'}", f"--text={TEXT}", f"--gallery={file}"]
    np.save(file, np.eye(3, dtype=np.float32))
    assert f"have 3 columns, expected {model.network.head.out_features}" in search(*asked).output
    assert embed(runs, file, f"--gallery={folder}").exit_code == 0
    other = search(*asked, f"--model={find_model(runs, 'tirg', 'css-2d3d', None, None)}", composer=None)
    assert other.exit_code == 2
    assert "are of another model than tirg on css-2d3d, seed 0; run `tirg-bench embed`" in other.output
    np.save(file, np.load(file)[:4])
    assert "has 4 rows and g.arrow has 6; run `tirg-bench embed` again" in search(*asked).output
    missing = search(*asked[:2], f"--gallery={folder}", "--index=faiss")
    assert missing.exit_code == 2
    assert "--index faiss searches files of embeddings: add --gallery FILE.npy" in missing.output
    assert "expected the name of a .npy file" in embed(runs, tmp_path / "g.bin").output


def test_an_interrupted_embed_leaves_the_earlier_files(
    model: Model, gallery: DatasetGallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.embed(gallery, tmp_path / "g.npy")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {*before} == {"g.arrow", "g.npy"}
    monkeypatch.setattr(DatasetGallery, "name", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.embed(gallery, tmp_path / "g.npy")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_table_is_never_beside_embeddings_that_it_is_not_of(
    model: Model, gallery: DatasetGallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table takes its name before the embeddings do; here the process ends in between."""
    model.embed(gallery, tmp_path / "g.npy")
    replaced = Path.replace

    def failing(path: Path, target: Path) -> Path:
        if target.suffix == ".npy":
            raise KeyboardInterrupt
        return replaced(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(KeyboardInterrupt):
        model.embed(gallery, tmp_path / "g.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["g.arrow"]
    with pytest.raises(BenchmarkError, match=r"g\.npy: cannot be read"):
        EmbeddedGallery(tmp_path / "g.npy")


def test_serve_answers_from_a_file(
    model_file: Path, model: Model, css_root: Path, folder: Path, tmp_path: Path
) -> None:
    tests = model.test_images("css", css_root)
    model.embed(tests, tmp_path / "g.npy")

    def service(*files: EmbeddedGallery) -> Service:
        return Service({"tirg": model_file}, "css", css_root, device="cpu", reporter=SilentRuns(), embedded=files)

    def said(made: Service, image: int | bytes) -> str:
        return json.dumps(made.answer("tirg", image, TEXT, 12) | {"milliseconds": 0})

    one, other = service(), service(EmbeddedGallery(tmp_path / "g.npy"))
    content = (folder / "2.png").read_bytes()
    assert [said(other, image) for image in (3, content)] == [said(one, image) for image in (3, content)]
    assert other.picture(5, of_query=False) == one.picture(5, of_query=False)
    with pytest.raises(UsageError, match="two files hold embeddings by the same model"):
        service(*(EmbeddedGallery(tmp_path / "g.npy") for _ in range(2)))
    np.save(tmp_path / "h.npy", np.load(tmp_path / "g.npy"))
    with pytest.raises(UsageError, match=r"h\.npy: holds other images than the test images of css"):
        service(EmbeddedGallery(tmp_path / "h.npy"))


def test_a_leaderboard_is_never_scored_by_an_approximate_index(css_root: Path, tmp_path: Path) -> None:
    (tmp_path / "g.faiss").write_bytes(b"")
    options = ["--task=css", "--name=mine", "--author=Me", "--url=https://example.org", f"--out={tmp_path / 'boards'}"]
    files = [f"--queries={tmp_path / 'g.faiss'}", f"--gallery={tmp_path / 'g.faiss'}"]
    result = CliRunner().invoke(main, ["score", *options, *files, f"--data=css={css_root}"])
    assert result.exit_code == 2
    assert "g.faiss: is an approximate index; scores are of exact search" in result.output
    for command in ("run", "score", "verify", "submit"):
        assert "--index" not in CliRunner().invoke(main, [command, "--help"]).output
