"""The right answers of the original CSS: those of our task, where our export stands for it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import css_gen.dataset
from benchmark.datasets.css_original import TABLE_NAME, CssOriginal
from benchmark.datasets.original_scenes import scene_of
from benchmark.datasets.rendered_css import Css
from benchmark.datasets.splits import Split
from benchmark.errors import BenchmarkError
from benchmark.training.progress import SilentRuns
from css_gen.export.tirg import export_tirg
from css_gen.render import render
from css_gen.storage.configuration import Configuration


class Heard(SilentRuns):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that texts have several right answers."""
    root = tmp_path_factory.mktemp("rendered") / "css"
    render(root, Configuration(images=600, size=16, seed=5), jobs=1)
    return root


@pytest.fixture(scope="module")
def exported(rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exported")
    export_tirg(css_gen.dataset.open(rendered), root, lambda _: None)
    return root


def answers(split: Split) -> list[set[int]]:
    """The images that answer each query."""
    assert split.relevant is not None
    rows = (split.relevant.row(query) for query in range(len(split.queries)))
    return [set(np.flatnonzero(np.isin(split.labels, labels)).tolist()) for labels in rows]


def by_question(split: Split) -> dict[tuple[int, int, str], set[int]]:
    """Queries are in another order in an export: by modification."""
    queries = split.queries
    asked = zip(queries.sources.tolist(), queries.targets.tolist(), queries.texts, strict=True)
    return dict(zip(asked, answers(split), strict=True))


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_export_has_the_answers_of_our_task(part: str, rendered: Path, exported: Path) -> None:
    heard = Heard()
    ours = Css("css", rendered, source_view="3d", image_size=8, reporter=heard)
    again = CssOriginal(exported, image_size=8, reporter=heard, skip_broken=False)
    found, expected = (by_question(getattr(dataset, part)) for dataset in (again, ours))
    assert found == expected
    assert any(len(images) > 1 for images in expected.values())
    assert not any("drawn target" in message for message in heard.messages)


def edited(exported: Path, folder: Path, edit: Callable[[Any], None]) -> tuple[Split, list[str]]:
    """The test split of an export with another table, and what was said about it."""
    table = np.load(exported / TABLE_NAME, allow_pickle=True).item()
    edit(table["test"])
    shutil.copytree(exported / "images", folder / "images")
    with (folder / TABLE_NAME).open("wb") as file:
        np.save(file, np.array(table, dtype=object), allow_pickle=True)
    heard = Heard()
    split = CssOriginal(folder, image_size=8, reporter=heard, skip_broken=False).test
    return split, [message for message in heard.messages if "drawn target" in message]


def test_a_text_that_cannot_be_read_counts_the_drawn_target_alone(exported: Path, tmp_path: Path) -> None:
    def edit(table: Any) -> None:
        table["mods"][0]["to_str"] = "turn it around"

    split, said = edited(exported, tmp_path, edit)
    queries = split.queries
    count = queries.texts.count("turn it around")
    assert said[0].startswith(f"css-original: {count} of {len(queries)} test queries count only the drawn target")
    for query, images in enumerate(answers(split)):
        own = split.labels == split.labels[queries.targets[query]]
        assert images >= set(np.flatnonzero(own).tolist())
        if queries.texts[query] == "turn it around":
            assert images == set(np.flatnonzero(own).tolist())


def test_labels_of_the_table_decide_what_is_equal_to_the_target(exported: Path, tmp_path: Path) -> None:
    """Labels that are finer than scenes: every image of a right scene stays right."""

    def edit(table: Any) -> None:
        table["labels"] = list(range(len(table["labels"])))

    split, said = edited(exported, tmp_path, edit)
    assert said == []
    whole = CssOriginal(exported, image_size=8, reporter=SilentRuns(), skip_broken=False).test
    assert answers(split) == answers(whole)


BALL = {"shape": "circle", "color": "red", "size": "small", "pos": (0.1, 0.9)}


@pytest.mark.parametrize(
    ("objects", "key"),
    [
        ([], ""),
        ([BALL], "top-right small red circle"),
        ([BALL | {"pos": (1.0, 0.0)}], "bottom-left small red circle"),
        ([BALL, BALL | {"color": "blue"}], None),
        ([BALL | {"color": "mauve"}], None),
    ],
)
def test_objects_are_a_scene_or_are_not(objects: list[dict[str, Any]], key: str | None) -> None:
    scene = scene_of(objects)
    assert (None if scene is None else scene.key) == key


@pytest.mark.parametrize("place", [(-0.01, 0.5), (0.5, 1.01), (120.0, 40.0), (float("nan"), 0.5)])
def test_a_position_outside_of_the_image_is_named(place: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="is outside of the image: expected 0 to 1"):
        scene_of([BALL, BALL | {"pos": place}])


def test_a_table_with_a_position_outside_of_the_image_is_refused(exported: Path, tmp_path: Path) -> None:
    def edit(table: Any) -> None:
        table["labels"] = list(range(len(table["labels"])))
        next(scene for scene in table["objects_img"] if scene)[0]["pos"] = (1.5, 0.5)

    with pytest.raises(BenchmarkError, match=r"the position 1\.5 of an object is outside of the image"):
        edited(exported, tmp_path, edit)
