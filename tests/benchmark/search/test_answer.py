"""`tirg-bench search`: the ranking against a slow reference, the words, the verdicts, the page, and every bad input."""

import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import css_gen.dataset
from benchmark.cli.main import main
from benchmark.datasets.image_store import ImageStore
from benchmark.errors import BenchmarkError, UsageError
from benchmark.search.answer import right_keys
from benchmark.search.embedding import Embedded, ranked
from benchmark.search.model import Model
from benchmark.search.query_image import QueryImage, query_from_file, rows_like
from benchmark.search.stored_models import find_model
from benchmark.search.wording import understood
from css_gen.scenes.modification import parse
from css_gen.scenes.scene import Scene
from models.text_encoders.vocabulary import Vocabulary
from tests.benchmark.tiny import TINY

Search = Callable[..., Result]


@pytest.fixture(scope="module")
def trained(css_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `runs` folder of one TIRG model on each protocol of CSS."""
    root = tmp_path_factory.mktemp("search")
    arguments = ["run", "--composer=tirg", "--dataset=css", "--dataset=css-2d3d", f"--data=css={css_root}", *TINY]
    result = CliRunner().invoke(main, [*arguments, f"--out={root / 'boards'}", f"--runs={root / 'runs'}"])
    assert result.exit_code == 0, result.output
    return root / "runs"


@pytest.fixture
def search(trained: Path, css_root: Path) -> Search:
    """Run `tirg-bench search` on that model; later options win."""

    def run(*arguments: object, composer: str = "tirg", runs: Path = trained) -> Result:
        usual = [f"--composer={composer}", f"--runs={runs}", f"--data=css={css_root}", "--device=cpu"]
        return CliRunner().invoke(main, ["search", *usual, *map(str, arguments)])

    return run


def model_of(trained: Path, dataset: str = "css") -> Path:
    return find_model(trained, "tirg", dataset, None, None)


def answers(result: Result) -> list[list[str]]:
    """The words of each answer's line in the table: rank, similarity, image and what follows."""
    lines = [line.split() for line in result.stdout.splitlines()]
    return [words for words in lines if len(words) >= 3 and words[0].isdigit() and re.match(r"-?[01]\.", words[1])]


def first_query(css_root: Path) -> css_gen.dataset.QueryRow:
    return css_gen.dataset.open(css_root).split("test").queries[0]


@pytest.mark.parametrize("dataset", ["css", "css-2d3d"])
def test_the_order_is_that_of_embedding_each_image_by_itself(
    search: Search, trained: Path, css_root: Path, dataset: str
) -> None:
    query = first_query(css_root)
    result = search("--dataset", dataset, "--image", query.source_id, "--text", query.text, "--k", 5)
    assert result.exit_code == 0, result.output

    network = Model.load(model_of(trained, dataset), device="cpu").network
    split = css_gen.dataset.open(css_root).split("test")

    def pixels(image: np.ndarray) -> torch.Tensor:
        small = np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BOX))
        return ImageStore(small[None], torch.device("cpu")).batch(torch.tensor([0]))

    source = split.image_3d(query.source_id) if dataset == "css" else split.image_2d(query.source_id)
    with torch.no_grad():
        asked = network.embed_queries(
            network.encode_images(pixels(source)), *network.text_encoder.tokenize([query.text])
        )
        found = {
            row: float(torch.cosine_similarity(asked, network.embed_images(network.encode_images(pixels(image)))))
            for row in range(len(split))
            for image in [split.image_3d(row)]
            if row != query.source_id
        }
    expected = sorted(found, key=lambda row: -found[row])[:5]
    similarities = [float(words[1]) for words in answers(result)]
    assert similarities == pytest.approx([found[row] for row in expected], abs=2e-3)
    assert [found[int(words[2])] for words in answers(result)] == pytest.approx(similarities, abs=2e-3)
    assert f"{len(split) - 1} images were ranked" in result.stdout


def test_ranked_is_a_stable_sort_without_the_own_image() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.integers(-1, 2, (60, 3)).astype(np.float32)  # many ties, zero vectors too
    rows = np.arange(100, 160)
    query = torch.tensor([1.0, -1.0, 0.0]) / 2
    embedded = Embedded(query, torch.from_numpy(vectors), rows, own=np.array([7, 20]))
    scores = {int(row): float(v @ query.numpy()) for row, v in zip(rows, vectors, strict=True) if row not in (107, 120)}
    expected = sorted(scores, key=lambda row: (-scores[row], row))
    assert [row for row, _ in ranked(embedded, 100)] == expected
    assert [row for row, _ in ranked(embedded, 4)] == expected[:4]


def test_answers_are_judged_by_their_scenes(search: Search, css_root: Path) -> None:
    query = first_query(css_root)
    split = css_gen.dataset.open(css_root).split("test")
    result = search("--image", query.source_id, "--text", query.text, "--k", 1000)
    rows = answers(result)
    assert len(rows) >= len(split) - 1
    right = parse(query.text).targets(split.scene(query.source_id))
    verdicts = {int(words[2]): words[3] for words in rows if words[2].isdigit() and words[3] in ("yes", "no")}
    assert len(verdicts) == len(split) - 1
    for row, verdict in verdicts.items():
        assert (verdict == "yes") == (split.scene(row).key in right), row
    assert sum(verdict == "yes" for verdict in verdicts.values()) >= 1
    assert query.source_id not in verdicts


def test_a_text_that_does_not_apply_says_so() -> None:
    nothing = QueryImage("x", np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), None, Scene(()))
    assert right_keys(nothing, "remove red circle") == frozenset()
    assert right_keys(nothing, "what is this") is None


def test_words_are_put_as_the_model_knows_them() -> None:
    flat = Vocabulary.from_texts(["make top-left rectangle red", "add circle"])
    wording = understood("Make top-left CUBE red!", flat.words, css_texts=True)
    assert wording.text == "make top-left rectangle red"
    assert wording.notes == (
        "in the words that this model was trained on 'cube' is 'rectangle': "
        "the text is read as 'make top-left rectangle red'",
    )
    assert understood("make rectangle red", flat.words, css_texts=True).notes == ()
    assert understood("make cube red", flat.words, css_texts=False).text == "make cube red"
    assert understood("make rectangel pink", flat.words, css_texts=True).unknown == {
        "rectangel": ["rectangle"],
        "pink": [],
    }
    with pytest.raises(UsageError, match="expected words"):
        understood(" !? ", flat.words, css_texts=True)


def test_unknown_and_translated_words_are_named_on_stderr(search: Search) -> None:
    result = search("--image", 0, "--text", "make cube turquoise")
    assert result.exit_code == 0
    assert "'cube' is 'rectangle'" in result.stderr
    assert "was not trained on 'turquoise'" in result.stderr


def folder_of_images(root: Path, css_root: Path) -> Path:
    split = css_gen.dataset.open(css_root).split("test")
    (root / "deep").mkdir(parents=True)
    for row, name in enumerate(("a.png", "<b>bold.png", "deep/c.PNG", ".hidden.png")):
        Image.fromarray(split.image_3d(row)).save(root / name, format="PNG")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    (root / "note.txt").write_text("no image")
    return root


class Words(HTMLParser):
    """The tags and the addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_folder_is_searched_and_the_page_shows_it_all(search: Search, css_root: Path, tmp_path: Path) -> None:
    folder, page = folder_of_images(tmp_path / "images", css_root), tmp_path / "page.html"
    result = search("--image", folder / "a.png", "--text", "<script>x</script>", "--gallery", folder, "--out", page)
    assert result.exit_code == 0, result.output
    assert sorted(words[2] for words in answers(result)) == ["<b>bold.png", "deep/c.PNG"]  # not a.png: the query itself
    assert "left out: broken.jpg" in result.stderr
    parsed = Words(page.read_text())
    assert "script" not in parsed.tags
    assert "b" not in parsed.tags
    assert "<script>x</script>" in parsed.text
    assert "<b>bold.png" in parsed.text
    assert parsed.tags.count("img") == 3
    assert all(address.startswith("data:image/webp;base64,") for address in parsed.addresses)


def test_a_file_that_is_an_image_of_the_dataset_is_recognised(search: Search, css_root: Path, tmp_path: Path) -> None:
    query = first_query(css_root)
    split = css_gen.dataset.open(css_root).split("test")
    Image.fromarray(split.image_3d(query.source_id)).save(tmp_path / "own.png")
    by_file = search("--image", tmp_path / "own.png", "--text", query.text)
    by_row = search("--image", query.source_id, "--text", query.text)
    assert [words[:4] for words in answers(by_file)] == [words[:4] for words in answers(by_row)]


def test_rows_like_finds_every_equal_image_and_no_other() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3), dtype=np.uint8)
    images[4] = images[1]
    images[5] = images[1]
    images[5, 0, 0, 0] ^= 1
    assert rows_like(images, images[1]).tolist() == [1, 4]
    assert rows_like(images, np.zeros((5, 5, 3), np.uint8)).tolist() == []


def test_a_users_image_is_made_smaller_as_the_training_images_were(css_root: Path, tmp_path: Path, css: object) -> None:
    split = css_gen.dataset.open(css_root).split("test")
    Image.fromarray(split.image_3d(3)).save(tmp_path / "x.png")
    found = query_from_file(tmp_path / "x.png", image_size=16, resampling=Image.Resampling.BOX)
    np.testing.assert_array_equal(found.pixels, css.test.gallery[3])  # type: ignore[attr-defined]


def test_the_newest_model_that_fits_is_taken(tmp_path: Path) -> None:
    paths = [
        tmp_path / "css" / "tirg" / name / "model.safetensors"
        for name in ("quick-aa-s0-ff", "quick-aa-s1-ff", "paper-bb-s0-ff")
    ]
    for age, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (1_000 - age, 1_000 - age))
    assert find_model(tmp_path, "tirg", "css", None, None) == paths[0]
    assert find_model(tmp_path, "tirg", "css", None, 1) == paths[1]
    assert find_model(tmp_path, "tirg", "css", "paper", None) == paths[2]
    with pytest.raises(
        BenchmarkError, match=r"no model of tirg on css with --seed 7; there is css/tirg/paper-bb-s0-ff"
    ):
        find_model(tmp_path, "tirg", "css", None, 7)
    with pytest.raises(BenchmarkError, match=r"`tirg-bench run --composer film --dataset css` makes it"):
        find_model(tmp_path, "film", "css", None, None)
    (tmp_path / "submissions" / "mine-01234567").mkdir(parents=True)
    with pytest.raises(BenchmarkError, match="mine is a submission: its code is run by"):
        find_model(tmp_path, "mine", "css", None, None)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--image=0", "--text=add circle", "--composer=trig"], 2, "unknown composer 'trig': did you mean tirg?"),
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
def test_bad_input_ends_in_one_line(search: Search, arguments: list[str], code: int, expected: str) -> None:
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
