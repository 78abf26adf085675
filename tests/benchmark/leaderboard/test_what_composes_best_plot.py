"""The pictures of docs/what_composes_best.md show the numbers of the board."""

import csv
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmark.errors import BenchmarkError
from css_gen.scenes.factors import Cell, Colour, Shape, Size
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.modification import parse
from css_gen.scenes.scene import Scene, SceneObject
from tests.benchmark.leaderboard.markers import markers, require_linear

ROOT = Path(__file__).parents[3]


def load(name: str = "what_composes_best_plot") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def board() -> dict[tuple[str, str], float]:
    """R@1 by composer and slice, read apart from the script."""
    lines = csv.DictReader((ROOT / "leaderboards/css.csv").read_text().splitlines())
    return {
        (line["composer"], line["slice"]): float(line["recall_1"])
        for line in lines
        if line["preset"] == "quick" and line["composer"] not in ("", "image_only", "text_only")
    }


@pytest.mark.parametrize("name", ["selection=cell", "selection=content", "changed=0", "changed=3+"])
def test_a_panel_shows_the_recall_of_each_composer(name: str) -> None:
    found = markers((ROOT / "docs/what_composes_best_slices.svg").read_text(), name, "x")
    composers = list(dict.fromkeys(composer for composer, _ in board()))
    assert sorted((board()[composer, "all"] for composer in composers), reverse=True) == [
        board()[composer, "all"] for composer in composers
    ]
    values = [board()[composer, name] for composer in composers]
    assert len(found) == len(values) > 15
    require_linear(values, found, sign=1)


def test_the_picture_of_cost_shows_every_composer() -> None:
    svg = (ROOT / "docs/what_composes_best_cost.svg").read_text()
    composers = sorted({composer for composer, _ in board()})
    values = []
    for composer in composers:
        (path,) = (ROOT / "leaderboards/records/css" / composer).glob("quick-*-s0-*.json")
        values.append(json.loads(path.read_text())["metrics"]["scores"]["recall@1"])
    found = [place for composer in composers for place in markers(svg, composer, "y")]
    require_linear(values, found, sign=-1)


def test_a_board_without_the_preset_is_refused(root: Path) -> None:
    script = load()
    with pytest.raises(BenchmarkError, match="css has no row of the preset other"):
        script.rows_of(script.read_records(root / "records", "css"), "other")


def test_the_tables_of_words_and_shapes_are_those_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    load("what_composes_best_words").main()
    tables = capsys.readouterr().out.split("\n\n")
    page = (ROOT / "docs/what_composes_best.md").read_text()
    assert len(tables) == 2
    assert all(f"{table.strip()}\n" in page for table in tables)


def test_a_row_of_words_holds_the_queries_that_name_them() -> None:
    script = load("what_composes_best_words")
    for text, row in (
        ("remove circle", "remove, shape"),
        ("remove small red object", "remove, size and colour"),
        ("make red circle blue", "make, colour and shape"),
        ("remove top-left circle", ""),
        ("add red circle", ""),
    ):
        assert script.row_of(parse(text)) == row


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("remove circle", "remove, several objects: some are not in training"),
        ("remove red circle", "remove, one object: all in training"),
        ("remove small circle", "remove, one object: all in training"),
        ("make large circle blue", "make, one object: some are not in training"),
        ("make triangle red", "make, one object: some are not in training"),
        ("remove gray object", ""),
        ("remove top-left circle", ""),
        ("add red circle", ""),
    ],
)
def test_a_shape_is_asked_of_the_objects_that_the_other_words_fit(text: str, row: str) -> None:
    """The training split lacks gray circles; here the one large object is a gray circle."""
    script = load("what_composes_best_words")
    scene = Scene(
        (
            SceneObject(Cell("top-left"), Size.SMALL, Colour.RED, Shape.CIRCLE),
            SceneObject(Cell("top-right"), Size.LARGE, Colour.GRAY, Shape.CIRCLE),
            SceneObject(Cell("bottom-left"), Size.SMALL, Colour.BLUE, Shape.TRIANGLE),
        )
    )
    combinations = HeldOut(train_only=frozenset(), test_only=frozenset({(Shape.CIRCLE, Colour.GRAY)}))
    assert script.shape_row_of(parse(text), scene, combinations) == row
