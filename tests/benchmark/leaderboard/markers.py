"""Read what a figure shows back from its SVG."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np

XLINK = "{http://www.w3.org/1999/xlink}href"


def markers(svg: str, name: str, axis: str) -> list[float]:
    """The places of the markers of a group along "x" or "y", in points."""
    return [
        float(each.attrib[axis]) for each in _group(svg, name).iter() if XLINK in each.attrib and axis in each.attrib
    ]


def ends(svg: str, name: str) -> tuple[float, float]:
    """From where to where along x the one line of a group is drawn, in points."""
    (path,) = (each.attrib["d"] for each in _group(svg, name).iter() if each.tag.endswith("path"))
    (start, _), (end, _) = re.findall(r"([\d.]+) ([\d.]+)", path)
    return float(start), float(end)


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("text")]


def require_linear(values: Sequence[float], places: Sequence[float], *, sign: int) -> None:
    """Assert that places on the paper are a line over values, rising or falling."""
    slope, start = np.polyfit(values, places, 1)
    assert sign * slope > 0
    np.testing.assert_allclose(np.polyval([slope, start], values), places, atol=2e-3)


def _group(svg: str, name: str) -> ElementTree.Element:
    (group,) = (each for each in ElementTree.fromstring(svg).iter() if each.get("id") == name)
    return group
