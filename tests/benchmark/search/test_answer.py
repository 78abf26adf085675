"""Ranking against slow references, the words of a text, the verdicts, and images that are made smaller."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import css_gen.dataset
from benchmark.datasets.folder_images import decode
from benchmark.datasets.image_store import ImageStore
from benchmark.datasets.rendered_css import reduced
from benchmark.device import make_accelerator
from benchmark.errors import UsageError
from benchmark.scoring.evaluation import embed_gallery, embed_queries
from benchmark.scoring.ranking import rank_targets
from benchmark.search.answer import relevant_keys
from benchmark.search.embedding import Embedded, encode_gallery, encode_query, ranked
from benchmark.search.gallery import DatasetGallery
from benchmark.search.model import Model
from benchmark.search.query_image import QueryImage, query_from_file, resampling, rows_like
from benchmark.search.stored_models import find_model
from benchmark.search.wording import understood
from benchmark.training.progress import SilentRuns
from css_gen import tracks
from css_gen.scenes.modification import parse
from css_gen.scenes.scene import Scene
from models.text_encoders.vocabulary import Vocabulary
from tests.benchmark.search.reading import Search, answers, first_query


def embedded_by(model: Model, gallery: DatasetGallery, row: int, text: str) -> Embedded:
    accelerator = make_accelerator("cpu", "fp32")
    image = gallery.query_by_row(row)
    encoded = encode_gallery(model.network, gallery, accelerator=accelerator, reporter=SilentRuns())
    query = encode_query(model.network, image, text, accelerator=accelerator)
    return Embedded(query, encoded.images, encoded.rows, encoded.places_of(image, own_row=row))


@pytest.mark.parametrize("dataset", ["css", "css-2d3d"])
def test_the_order_is_that_of_embedding_each_image_by_itself(
    search: Search, runs: Path, css_root: Path, dataset: str
) -> None:
    query = first_query(css_root)
    result = search("--dataset", dataset, "--image", query.source_id, "--text", query.text, "--k", 5)
    assert result.exit_code == 0, result.output

    network = Model.load(find_model(runs, "tirg", dataset, None, None), device="cpu").network
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
    embedded = Embedded(query, vectors, rows, own=np.array([7, 20]))
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
    assert relevant_keys(nothing, "remove red circle", parse) == frozenset()
    assert relevant_keys(nothing, "what is this", parse) is None


@pytest.mark.parametrize("name", tracks.names())
def test_texts_of_every_track_are_judged_as_they_are_written(name: str, places: dict[str, Path]) -> None:
    split, read = css_gen.dataset.open(places[f"css-{name}"]).split("test"), tracks.get(name).parse
    pixels = np.zeros((4, 4, 3), np.uint8)
    for query in split.queries[::5]:
        image = QueryImage("x", pixels, pixels, None, split.scene(query.source_id))
        expected = query.modification.targets(image.scene)
        assert relevant_keys(image, query.text, read) == expected, query.text
        assert relevant_keys(image, f" {query.text.replace(' ', '  ')}", read) == expected


def test_words_are_put_as_the_model_knows_them() -> None:
    flat = Vocabulary.from_texts(["make top-left rectangle red", "add circle"])
    wording = understood("Make top-left CUBE red!", flat.words, names_shapes=True)
    assert wording.text == "make top-left rectangle red"
    assert wording.notes == (
        "in the words that this model was trained on 'cube' is 'rectangle': "
        "the text is read as 'make top-left rectangle red'",
    )
    assert understood("make rectangle red", flat.words, names_shapes=True).notes == ()
    assert understood("make cube red", flat.words, names_shapes=False).text == "make cube red"
    assert understood("make rectangel pink", flat.words, names_shapes=True).unknown == {
        "rectangel": ["rectangle"],
        "pink": [],
    }
    with pytest.raises(UsageError, match="expected words"):
        understood(" !? ", flat.words, names_shapes=True)


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
    assert understood("make circle red", solid.words, names_shapes=True).text == "make sphere red"
    both = Vocabulary(("cube", "make", "rectangle"))
    assert understood("make cube", both.words, names_shapes=True).notes == ()


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
