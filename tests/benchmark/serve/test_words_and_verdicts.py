"""What the page completes, against all texts that there are, and what it says of answers, against their scenes."""

from collections import defaultdict
from itertools import product

import numpy as np
import pytest

from benchmark.explanation.answer_kinds import kind_of_answer
from benchmark.serve.completion import CssGrammar, DatasetTexts, complete
from benchmark.serve.verdict import Judge, scene_of
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import Add, Make, Remove, Selector, parse
from css_gen.scenes.scene import Scene, SceneObject


@pytest.fixture(scope="module")
def texts() -> set[str]:
    """Every text of CSS, in flat names."""
    found = set()
    for cell, size, colour, shape in product((None, *Cell), (None, *Size), (None, *Colour), (None, *Shape)):
        selector = Selector(cell, size, colour, shape)
        found |= {Add(selector).text, Remove(selector).text}
        found |= {Make(selector, new_colour=new).text for new in Colour}
        found |= {Make(selector, new_size=new).text for new in Size}
    return found


def test_completion_offers_exactly_the_words_that_lead_to_a_text(texts: set[str]) -> None:
    following: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        words = text.split()
        for place in range(len(words)):
            following["".join(f"{word} " for word in words[:place])].add(words[place])
    grammar = CssGrammar("2d")
    for begun, expected in following.items():
        found = complete(grammar, begun)
        assert set(found.words) == expected, begun
        assert (found.keep, found.is_text) == (begun, begun.strip() in texts)
    for text in sorted(texts)[::97]:
        assert complete(grammar, text).is_text
        assert complete(grammar, f"{text} please") == (f"{text} please ", (), False)


def test_a_begun_word_is_completed_and_a_whole_one_is_followed() -> None:
    grammar = CssGrammar("2d")
    assert complete(grammar, "Make TOP-l") == ("Make ", ("top-left",), False)
    assert complete(grammar, "remove r") == ("remove ", ("red", "rectangle"), False)
    assert complete(grammar, "make red").words == ("rectangle", "circle", "triangle", "object")
    assert complete(grammar, "add cube").is_text, "names of solids are understood"
    assert complete(CssGrammar("3d"), "add red ").words == ("cube", "sphere", "cylinder", "object")


def test_texts_of_a_dataset_are_completed_by_the_two_words_before() -> None:
    language = DatasetTexts(
        ["remove the red one", "remove the blue one", "remove the blue one there", "make the red one"]
    )
    assert complete(language, "").words == ("remove", "make")
    assert complete(language, "remove the ").words == ("blue", "red")
    assert complete(language, "keep the ").words == ()
    assert complete(language, "Remove the BLUE one").is_text
    assert complete(DatasetTexts(["I want it"]), "i").words == ("want",)
    assert complete(DatasetTexts(["I want it"]), "").words == ("I",)
    assert not complete(language, "remove the blue").is_text


def some_scene(rng: np.random.Generator, objects: int) -> Scene:
    cells = rng.permutation(list(Cell))[:objects]
    parts = [(rng.choice(list(Size)), rng.choice(list(Colour)), rng.choice(list(Shape))) for _ in cells]
    return Scene(
        tuple(SceneObject(Cell(c), Size(s), Colour(o), Shape(h)) for c, (s, o, h) in zip(cells, parts, strict=True))
    )


def differing(one: Scene, other: Scene) -> set[Cell]:
    return {item.cell for item in {*one} ^ {*other}}


def test_verdicts_are_those_of_the_scenes() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        source = some_scene(rng, int(rng.integers(2, 7)))
        item = source.objects[0]
        for text in (f"remove {item.colour} object", f"make {item.shape} large", f"add small {item.colour} object"):
            program = parse(text)
            results = program.results(source)
            if source in results:
                continue
            judge = Judge(source, program, names="2d")
            assert set(judge.wanted) == {result.key for result in results}
            answers = [source, some_scene(rng, 4), results[0], Scene(results[-1].objects[1:])]
            for answer in answers:
                verdict = judge.verdict(answer.key)
                assert verdict
                assert verdict.is_right == program.is_target(source, answer)
                wanted = min(results, key=lambda each: len(differing(each, answer)))
                assert sum(shown[1] != shown[2] for _, shown in verdict.cells) == len(differing(wanted, answer))
                if not verdict.is_right:
                    assert verdict.kind == kind_of_answer(source, program, wanted, answer)
                seen.add(verdict.kind)
            assert scene_of(source.key) == source
    assert len(seen) >= 5


def test_where_a_text_changes_nothing_there_is_no_verdict() -> None:
    scene = scene_of("top-left large red circle")
    assert Judge(scene, parse("remove blue object"), names="2d").verdict(scene.key) is None
    kept = Judge(scene, parse("make red object red"), names="2d")
    assert kept.verdict(scene.key) == kept.verdict(scene.key)
    assert kept.verdict("") is None
    with pytest.raises(ValueError, match="cannot read the scene"):
        scene_of("top-left red circle")
