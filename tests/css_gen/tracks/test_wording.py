"""No two programs of the track paraphrase share a text, and every text is read back, over all productions and words."""

import re
from collections import Counter
from itertools import product

import numpy as np
import pytest

from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.modification import Add, Make, Remove, Selector
from css_gen.scenes.modification import parse as parse_css
from css_gen.scenes.randomness import one_of
from css_gen.scenes.selector import ANY_SHAPE
from css_gen.tracks.paraphrase_program import Paraphrase, meanings, parse
from css_gen.tracks.wording import HELD_OUT_WORDS, LEXICON, PRODUCTIONS, synonyms

EVERY_PRODUCTION = [each for some in PRODUCTIONS.values() for each in some]
NAMES = [f"{each.verb} {each.number}" for each in EVERY_PRODUCTION]
FACTORS = {"cell": Cell, "size": Size, "colour": Colour, "shape": Shape}
NEW = {"add": (None,), "remove": (None,), "make": (Size.LARGE, Colour.RED)}
"""New values to try for each verb."""
VERBS = {"add", "remove", "make"}


def modification(verb, factors, new):
    if verb == "make":
        return Make(Selector(**factors), **{"new_size" if new in {*Size} else "new_colour": new})
    return {"add": Add, "remove": Remove}[verb](Selector(**factors))


def named_subsets():
    for chosen in product((True, False), repeat=len(FACTORS)):
        yield [name for name, is_named in zip(FACTORS, chosen, strict=True) if is_named]


def fixed_words(production):
    return re.sub(r"{\w+}|[][]", " ", production.template).split()


# The lists


def test_there_are_about_forty_productions_and_half_of_each_verbs_are_held_out():
    assert {verb: len(some) for verb, some in PRODUCTIONS.items()} == {"add": 12, "remove": 12, "make": 16}
    for some in PRODUCTIONS.values():
        assert Counter(each.held_out for each in some) == {True: len(some) / 2, False: len(some) / 2}
        assert len({each.template for each in some}) == len(some)


def test_every_value_has_synonyms_of_which_half_are_held_out():
    assert LEXICON.keys() == {*VERBS, ANY_SHAPE, *Shape, *Size, *Colour, *Cell}
    for value, words in LEXICON.items():
        assert synonyms(value, held_out=False) + synonyms(value, held_out=True) == words
        assert len(synonyms(value, held_out=False)) == len(synonyms(value, held_out=True)) == 2
        assert value in VERBS or value == synonyms(value, held_out=False)[0], "both splits show the name that css uses"
    assert len(HELD_OUT_WORDS) == sum(map(len, LEXICON.values())) / 2


def test_every_word_has_one_meaning_and_is_one_word():
    words = [word for some in LEXICON.values() for word in some] + [shape.solid_name for shape in Shape]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)?", word) for word in words)
    fixed = {word for production in EVERY_PRODUCTION for word in fixed_words(production)}
    assert fixed.isdisjoint(words), "otherwise a fixed word could be read as a synonym"


def test_held_out_productions_hold_no_word_that_training_does_not_show():
    shown = {word for each in EVERY_PRODUCTION if not each.held_out for word in fixed_words(each)}
    held_out = {word for each in EVERY_PRODUCTION if each.held_out for word in fixed_words(each)}
    assert held_out <= shown


# Ambiguity


def word_classes(text):
    """Replace every word that has a meaning by the factor or the verb that it means."""
    classes = {word: name for name, factor in FACTORS.items() for value in factor for word in LEXICON[value]}
    classes |= dict.fromkeys(LEXICON[ANY_SHAPE], "shape") | {"an": "a"}
    classes |= {form: verb for verb in VERBS for word in LEXICON[verb] for form in (word, *forms(word))}
    return " ".join(classes.get(word, word) for word in text.split())


def forms(verb):
    return {verb, f"{verb}d"} if verb.endswith("e") else {verb, f"{verb}ed"}


def test_no_two_productions_make_the_same_sequence_of_word_classes():
    """With one meaning a word, this proves that no two programs share a text: over all subsets of named attributes."""
    seen = {}
    values = {name: next(iter(factor)) for name, factor in FACTORS.items()}
    for production, named in product(EVERY_PRODUCTION, named_subsets()):
        for new in NEW[production.verb]:
            edit = modification(production.verb, {name: values[name] for name in named}, new)
            words = tuple(LEXICON[value][0] for value in meanings(edit, production).values())
            sequence = word_classes(Paraphrase(edit, production.number, words).text)
            asked = (production.template, {*named} - {"shape"}, new)  # "object" is a word for a shape
            assert seen.setdefault(sequence, asked) == asked, sequence
    assert len(seen) == 8 * (12 + 12 + 2 * 16)


@pytest.mark.parametrize("production", EVERY_PRODUCTION, ids=NAMES)
def test_every_word_in_every_slot_is_read_back(production):
    """Every synonym of every value, the other slots at random, for every subset of named attributes."""
    rng = np.random.default_rng(production.number)
    texts = {}
    for named, new in product(named_subsets(), NEW[production.verb]):
        drawn = {name: one_of([*FACTORS[name]], rng) for name in named}
        edits = [({**drawn, name: value}, new) for name in named for value in FACTORS[name]]
        for factors, value in [(drawn, new), *edits, *((drawn, other) for other in (type(new) if new else ()))]:
            edit = modification(production.verb, factors, value)
            slots = meanings(edit, production)
            for place, meaning in enumerate(slots.values()):
                for word in LEXICON[meaning]:
                    words = [one_of(LEXICON[other], rng) for other in slots.values()]
                    words[place] = word
                    program = Paraphrase(edit, production.number, tuple(words))
                    for text in {program.text_with("2d"), program.text_with("3d")}:
                        assert texts.setdefault(text, program) == program, text
    for text in texts:
        assert [each for each in PRODUCTIONS[production.verb] if each.read(text)] == [production]
    for text in [*texts][::40]:
        assert parse(text) == texts[text]
        assert [each.template for each in EVERY_PRODUCTION if each.read(text)] == [production.template]
    shown = {word for text in texts for word in text.split()}
    assert {word for value in FACTORS["cell"] for word in LEXICON[value]} <= shown
    assert {word for value in FACTORS["colour"] for word in LEXICON[value]} <= shown


# Meaning, read without the productions


def read_as_css(text):
    """Return css's own text for a paraphrase, from the order of its words alone."""
    means = {word: value for value, words in LEXICON.items() for word in words}
    means |= {form: verb for verb in VERBS for word in LEXICON[verb] for form in forms(word)}
    means |= {shape.solid_name: shape for shape in Shape}
    words = text.split()
    if {"a", "an", "another"} & {*words} or "one more" in text:
        verb = "add"
    elif {"gone", "no"} & {*words} or any(means.get(word) == "remove" for word in words):
        verb = "remove"
    else:
        verb = "make"
    said = [str(means[word]) for word in words if word in means and means[word] not in VERBS]
    new = ""
    if verb == "make":
        first = len(words) > 1 and words[0] == "make" and words[1] in means
        new = f" {said.pop(0 if first else -1)}"
    of = {name: " ".join(value for value in said if value in {*factor}) for name, factor in FACTORS.items()}
    noun = " ".join(filter(None, (of["size"], of["colour"], of["shape"] or "object")))
    if verb == "add":
        return f"add {noun}" + (f" to {of['cell']}" if of["cell"] else "")
    return " ".join(filter(None, (verb, of["cell"], noun))) + new


@pytest.mark.parametrize("production", EVERY_PRODUCTION, ids=NAMES)
def test_texts_mean_what_css_texts_mean(production):
    rng = np.random.default_rng(production.number)
    for named, new in product(named_subsets(), NEW[production.verb]):
        edit = modification(production.verb, {name: one_of([*FACTORS[name]], rng) for name in named}, new)
        words = tuple(one_of(LEXICON[value], rng) for value in meanings(edit, production).values())
        text = Paraphrase(edit, production.number, words).text
        assert parse_css(read_as_css(text)) == edit, text


@pytest.mark.parametrize(
    ("text", "css"),
    [
        ("put a big red ball in the northwest cell", "add large red circle to top-left"),
        ("one more tiny orb must be inserted at the central spot", "add small circle to middle-center"),
        ("add an emerald object in the top-left cell", "add green object to top-left"),
        ("have a cube put in the north cell please", "add rectangle to top-center"),
        ("any brick of size small in the south cell should be gone", None),
        ("any small brick in the south cell should be gone", "remove bottom-center small rectangle"),
        ("please delete each front-left giant violet thing", "remove bottom-left large purple object"),
        ("there should be no cylinder", "remove triangle"),
        ("make crimson every little box at the east spot", "make middle-right small rectangle red"),
        ("now set each item to huge", "make object large"),
        ("I want every sphere to be aqua", "make circle cyan"),
    ],
)
def test_some_texts(text, css):
    if css is None:
        with pytest.raises(ValueError, match="cannot read"):
            parse(text)
    else:
        assert parse(text).modification == parse_css(css)
        assert read_as_css(text) == css


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "add red circle", "put an big ball", "put a emerald ball", "Put a ball", "put a ball ", " put a ball",
        "put a  ball", "put a ball\n", "put a ball in the top-left spot", "change every ball to top-left",
        "remove each ball", "make every ball", "delete every pink ball", "x" * 100_000,
    ],
)  # fmt: skip
def test_other_texts_are_refused_in_one_line(text):
    with pytest.raises(ValueError, match="cannot read") as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
