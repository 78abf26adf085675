"""Registering and finding composers, and what a composer must say about itself."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor

import models
from models import Composer, ComposerInfo, TextFeatures, create, names, register
from models.composers.tirg import Tirg
from models.errors import RegistryError
from models.registry import get

INFO = ComposerInfo(name="mine", title="Mine", paper="Nobody, 2026", year=2026, url="https://example.org")


@pytest.fixture(autouse=True)
def registry_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.registry._composers", {name: get(name) for name in names()})


class Mine(Composer):
    info = INFO

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        return -image * text.pooled[0, 0]


def test_the_composers_are_built_in() -> None:
    assert names() == (
        "amc",
        "attribute_as_operator",
        "cell_operator",
        "cellwise",
        "combiner",
        "compose_ae",
        "concat",
        "cosmo",
        "cross_attention",
        "depth_operator",
        "film",
        "image_only",
        "lgli",
        "maaf",
        "mrn",
        "parameter_hashing",
        "relationship",
        "rtic",
        "show_and_tell",
        "text_only",
        "tirg",
        "val",
    )


def test_the_page_of_composers_has_a_row_for_each() -> None:
    page = (Path(__file__).parents[2] / "docs" / "composers.md").read_text()
    rows = dict(re.findall(r"^\| (.+?) \| `([a-z0-9_]+)` \|", page, flags=re.MULTILINE))
    assert rows == {get(name).info.title: name for name in names()}


def test_the_public_names_are_these() -> None:
    assert models.__all__ == ["Composer", "ComposerInfo", "TextFeatures", "create", "names", "register"]
    assert all(hasattr(models, name) for name in models.__all__)


def test_a_registered_composer_is_found_and_made() -> None:
    assert register(Mine) is Mine
    assert get("mine") is Mine
    assert names() == tuple(sorted(names()))
    composer = create("mine", 16, 4, spatial=True)
    assert type(composer) is Mine
    assert (composer.image_channels, composer.text_width, composer.spatial) == (16, 4, True)


def test_a_taken_name_is_refused_and_the_first_stays() -> None:
    register(Mine)
    with pytest.raises(RegistryError, match=r"'mine' belongs to .*Mine; choose another info.name"):
        register(type("Other", (Mine,), {"info": replace(INFO, title="Other")}))
    with pytest.raises(RegistryError, match="'mine' belongs to"):
        register(Mine)
    assert get("mine") is Mine


@pytest.mark.parametrize(
    ("asked", "offered"),
    [("trig", "tirg"), ("TIRG", "tirg"), ("show-and-tell", "show_and_tell"), ("imageonly", "image_only")],
)
def test_an_unknown_name_offers_the_nearest(asked: str, offered: str) -> None:
    with pytest.raises(RegistryError, match=f"unknown composer '{asked}': did you mean {offered}"):
        create(asked, 8, 8, spatial=True)


def test_a_far_name_lists_all() -> None:
    with pytest.raises(RegistryError, match=r"unknown composer '': there are amc, .*, val"):
        get("")


def test_what_is_no_composer_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"Plain cannot be registered: expected a subclass of models.Composer"):
        register(type("Plain", (), {}))
    with pytest.raises(RegistryError, match=r"Unfinished cannot be registered: it does not implement forward"):
        register(type("Unfinished", (Composer,), {"info": INFO}))
    with pytest.raises(RegistryError, match=r"Nameless cannot be registered: give it `info = ComposerInfo"):
        register(type("Nameless", (Composer,), {"forward": Mine.forward}))


@pytest.mark.parametrize(
    "name", ["", "Tirg", "my-composer", "my composer", "2nd", "_mine", "mine\n", "größe", "a/b", ".."]
)
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected lowercase letters, digits and underscores, a letter first"):
        replace(INFO, name=name)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("title", " ", "title is empty"),
        ("paper", "", "paper is empty"),
        ("url", "arxiv.org/abs/1812.07119", "expected one that starts with https://"),
        ("url", "javascript:alert(1)", "expected one that starts with https://"),
    ],
)
def test_bad_info_is_refused(field: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(INFO, **{field: value})


@pytest.mark.parametrize(("image_channels", "text_width"), [(0, 8), (8, 0), (-1, 8)])
def test_widths_below_one_are_refused(image_channels: int, text_width: int) -> None:
    with pytest.raises(ValueError, match="expected at least 1 of each"):
        create("tirg", image_channels, text_width, spatial=False)


def test_tirg_starts_from_the_papers_weights() -> None:
    assert Tirg(8, 8, spatial=True).weights.tolist() == [1, 10]
