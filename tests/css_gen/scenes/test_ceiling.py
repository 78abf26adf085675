"""The most that Recall@1 can be, against trying every image of the gallery."""

import pytest

from css_gen.scenes.ceiling import best_recall_at_1
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.modification import parse
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import SplitPlan
from css_gen.scenes.scene import Scene, SceneObject

RED = SceneObject(Cell("top-left"), Size.LARGE, Colour.RED, Shape("circle"))
BLUE = SceneObject(Cell("top-right"), Size.SMALL, Colour.BLUE, Shape("circle"))
CORNER = SceneObject(Cell("top-right"), Size.SMALL, Colour.BLUE, Shape("triangle"))
GALLERY = frozenset({Scene(objects).key for objects in ((RED,), (RED, BLUE), (RED, CORNER), ())})


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("remove red object", 100),
        ("add small blue circle to top-right", 100),
        ("add blue object", 50),
        ("add object to top-right", 50),
        ("add triangle", 100),
    ],
)
def test_a_query_counts_one_in_as_many_answers_as_the_gallery_has(text: str, best: float) -> None:
    assert best_recall_at_1([(Scene((RED,)), parse(text))], GALLERY) == best


def test_it_is_the_mean_over_queries() -> None:
    queries = [(Scene((RED,)), parse(text)) for text in ("remove red object", "add blue object", "add blue object")]
    assert best_recall_at_1(queries, GALLERY) == pytest.approx(200 / 3)


def test_it_is_what_an_oracle_gets_that_tries_every_image_of_a_split() -> None:
    held_out = HeldOut.sample(seed=0)
    split = SplitPlan(400, seed=0, split=SplitId.TEST, held_out=held_out)
    scenes = [split.scene(image) for image in range(split.images)]
    found, queries = [], split.queries(0, split.images - split.references)
    for query in queries:
        right = {image.key for image in scenes if query.modification.is_target(query.source_scene, image)}
        assert query.target_scene.key in right
        found.append(100 / len(right))
    assert min(found) < 100
    asked = [(query.source_scene, query.modification) for query in queries]
    assert best_recall_at_1(asked, {image.key for image in scenes}) == pytest.approx(sum(found) / len(found))


def test_what_has_no_answer_is_an_error() -> None:
    with pytest.raises(ValueError, match="there are no queries"):
        best_recall_at_1([], GALLERY)
    with pytest.raises(ValueError, match="'add large object' has no right answer in the gallery"):
        best_recall_at_1([(Scene((RED,)), parse("add large object"))], GALLERY)
