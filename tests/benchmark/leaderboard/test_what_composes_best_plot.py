"""The pictures of docs/what_composes_best.md show the numbers of the board."""

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]
XLINK = "{http://www.w3.org/1999/xlink}href"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("what_composes_best_plot", ROOT / "docs/what_composes_best_plot.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SCRIPT = load()


def board() -> dict[tuple[str, str], float]:
    """R@1 by composer and slice, read apart from the script."""
    lines = csv.DictReader((ROOT / "leaderboards/css.csv").read_text().splitlines())
    return {
        (line["composer"], line["slice"]): float(line["recall_1"])
        for line in lines
        if line["preset"] == "quick" and line["composer"] not in ("", "image_only", "text_only")
    }


def markers(svg: str, name: str, axis: str) -> list[float]:
    root = ElementTree.fromstring(svg)
    (group,) = (each for each in root.iter() if each.get("id") == name)
    return [float(each.attrib[axis]) for each in group.iter() if each.tag.endswith("use") and XLINK in each.attrib]


@pytest.mark.parametrize("name", ["selection=cell", "selection=content", "changed=0", "changed=3+"])
def test_a_panel_shows_the_recall_of_each_composer(name: str) -> None:
    found = markers((ROOT / "docs/what_composes_best_slices.svg").read_text(), name, "x")
    composers = sorted({composer for composer, _ in board()}, key=lambda composer: -board()[composer, "all"])
    values = [board()[composer, name] for composer in composers]
    assert len(found) == len(values) > 15
    slope, start = np.polyfit(values, found, 1)
    assert slope > 0
    np.testing.assert_allclose(np.polyval([slope, start], values), found, atol=1e-3)


def test_the_picture_of_cost_shows_every_composer() -> None:
    svg = (ROOT / "docs/what_composes_best_cost.svg").read_text()
    composers = sorted({composer for composer, _ in board()})
    values = [board()[composer, "all"] for composer in composers]
    found = [place for composer in composers for place in markers(svg, composer, "y")]
    slope, start = np.polyfit(values, found, 1)
    assert slope < 0
    np.testing.assert_allclose(np.polyval([slope, start], values), found, atol=1e-3)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_those_that_are_best_for_their_time_are_beaten_by_none(pairs: list[tuple[int, int]]) -> None:
    rows = [
        SCRIPT.Row(str(number), "", {"all": SCRIPT.Point(recall, recall, recall)}, seconds, 1)
        for number, (seconds, recall) in enumerate(pairs)
    ]
    kept = [(row.seconds, row.slices["all"].value) for row in SCRIPT.best_for_their_time(rows)]
    unbeaten = {
        (seconds, recall)
        for seconds, recall in pairs
        if not any(s <= seconds and r >= recall and (s, r) != (seconds, recall) for s, r in pairs)
    }
    assert kept == sorted(unbeaten)


def test_a_board_without_the_preset_is_refused() -> None:
    with pytest.raises(ValueError, match="no row of the preset other"):
        SCRIPT.read_board(ROOT / "leaderboards/css.csv", "other")
