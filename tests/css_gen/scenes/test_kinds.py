"""A kind of modification is one class in one file; every list of kinds is made from those."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from css_gen.scenes import sampling
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import KINDS, Add, from_json, parse, type_of
from css_gen.scenes.modification.program import register, types
from css_gen.scenes.modification.rewrite import Rewrite
from css_gen.scenes.modification.words import NOUN, PLACE, located_noun, one_of_words
from css_gen.scenes.scene import Scene, SceneObject
from css_gen.scenes.selector import Selector


def test_every_kind_has_its_type_and_is_asked_for_in_a_dataset():
    assert {kind for kind in KINDS if kind in type_of(kind).kinds} == set(KINDS) == set(sampling.TURNS)
    with pytest.raises(ValueError, match="no modification is called 'move'; expected one of add, make-colour"):
        type_of("move")


def test_a_type_whose_name_or_kind_is_taken_is_refused():
    for taken in (type("Add", (Add,), {"kinds": ("append",)}), type("Append", (Add,), {"kinds": ("append", "add")})):
        with pytest.raises(ValueError, match="another modification has its name or one of append"):
            register(taken)
    assert len(types) == 3


def test_a_class_is_all_that_another_modification_takes():
    """Another shape for every matching object: its texts, its JSON and its targets work, and no list was edited."""

    @dataclass(frozen=True)
    class Swap(Rewrite):
        selector: Selector
        new_shape: Shape

        kinds = ("swap",)
        form = "swap [cell] [size] [colour] shape for shape"
        grammar = f"swap (?:{PLACE} )?{NOUN} for (?P<new_shape>{one_of_words(Shape)})"
        parameters: ClassVar = {"new_shape": Shape}

        def text_with(self, names):
            return f"swap {located_noun(self.selector, names)} for {self.new_shape}"

        def needs(self, combinations):
            raise NotImplementedError

        def postcondition(self):
            raise NotImplementedError

        @classmethod
        def draw(cls, kind, selector, lender, combinations, *, rng):
            raise NotImplementedError

        def _rewrite(self, scene):
            changed = (replace(x, shape=self.new_shape) if self.selector.matches(x) else x for x in scene)
            return Scene(tuple(changed))

    register(Swap)
    try:
        modification = parse("swap small red object for circle")
        assert modification == Swap(Selector(size=Size.SMALL, colour=Colour.RED), Shape.CIRCLE)
        assert from_json(modification.to_json()) == modification
        assert modification.kind == "swap"
        assert type_of("swap") is Swap
        before = Scene((SceneObject(Cell.TOP_LEFT, Size.SMALL, Colour.RED, Shape.TRIANGLE),))
        assert modification.targets(before) == {"top-left small red circle"}
        with pytest.raises(ValueError, match="or 'swap "):
            parse("swap circle")
    finally:
        del types["swap"]
