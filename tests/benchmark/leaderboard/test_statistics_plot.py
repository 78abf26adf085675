"""The plot of docs/statistics.md shows the numbers of its table."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

DOCS = Path(__file__).parents[3] / "docs"
XLINK = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("statistics_plot", DOCS / "statistics_plot.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def heights(svg: str, series: str) -> list[float]:
    """Where the markers of a series are, from the picture's top."""
    root = ElementTree.fromstring(svg)
    (group,) = (each for each in root.iter() if each.get("id") == series)
    return [float(each.attrib["y"]) for each in group.iter() if each.tag.endswith("use") and XLINK in each.attrib]


def table() -> list[list[str]]:
    """The rows of the page's table, read apart from the script."""
    _, _, after = (DOCS / "statistics.md").read_text().partition("| Seeds | Spread |")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in after.splitlines()[2:]]
    return [row for row in rows if len(row) == 5]


def require_table(svg: str) -> None:
    """All markers of a panel lie where one axis, a line through the table's values, puts them."""
    assert len(table()) == 10
    for column, rate in enumerate(("false_difference", "coverage", "power"), start=2):
        values, places = [], []
        for seeds in ("3", "5"):
            values += [float(row[column]) for row in table() if row[0] == seeds]
            places += heights(svg, f"{rate}-{seeds}")
        assert len(places) == len(values) == 10
        slope, start = np.polyfit(values, places, 1)
        assert slope < 0
        np.testing.assert_allclose(np.polyval([slope, start], values), places, atol=1e-3)


def test_the_picture_shows_the_numbers_of_the_table() -> None:
    svg = (DOCS / "statistics.svg").read_text()
    require_table(svg)
    assert len(svg) < 40_000
    assert {"3 seeds", "5 seeds", "0.3, 2.0"} <= set(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def test_the_script_makes_such_a_picture_again(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "PICTURE", tmp_path / "again.svg")
    script.main()
    svg = (tmp_path / "again.svg").read_text()
    require_table(svg)
    words = [re.findall(r"<text[^>]*>([^<]*)</text>", each) for each in (svg, (DOCS / "statistics.svg").read_text())]
    assert words[0] == words[1]


def test_a_page_without_the_table_is_refused(script: ModuleType) -> None:
    with pytest.raises(ValueError, match="no table of error rates"):
        script.read_rates("| 3 | seeds |\n")
