"""Recall that papers report, as data, each number with where we have it from. None of it was measured here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Source = Literal["V", "T", "M"]

SOURCES: dict[Source, str] = {
    "V": "read in the released code or in its data's printed form",
    "T": "a third party's transcription of the paper",
    "M": "as we recall the paper",
}


@dataclass(frozen=True)
class Published:
    """A published result.

    Attributes:
        protocol: our name of the task.
        composer: our name of the composer, or the method's own name where we have no such composer.
        recall: in percent, by K.
        source: a key of `SOURCES`.
    """

    protocol: str
    composer: str
    recall: dict[int, float]
    source: Source


def published_recall(protocol: str, composer: str) -> Published | None:
    """What the TIRG paper (Vo et al., CVPR 2019) reports for that composer."""
    return next((row for row in PAPER if (row.protocol, row.composer) == (protocol, composer)), None)


def published_table(protocol: str) -> tuple[Published, ...]:
    """All that the TIRG paper reports for a task, best Recall@1 first."""
    rows = (row for row in PAPER if row.protocol == protocol)
    return tuple(sorted(rows, key=lambda row: -row.recall[1]))


def later_methods(protocol: str) -> tuple[Published, ...]:
    """What later papers report for methods that are not among our composers, in ascending order."""
    same_data = "css" if protocol == "css-original" else protocol
    return tuple(row for row in LATER if row.protocol == same_data)


def _css() -> Iterator[Published]:
    table: dict[str, tuple[float, float, Source]] = {
        "image_only": (6.3, 6.3, "M"),
        "text_only": (0.1, 0.1, "M"),
        "concat": (60.6, 27.3, "T"),
        "show_and_tell": (33.0, 6.0, "M"),
        "parameter_hashing": (60.5, 31.4, "M"),
        "relationship": (62.1, 30.6, "M"),
        "mrn": (60.1, 26.8, "M"),
        "film": (65.6, 43.7, "M"),
        "tirg": (73.7, 46.6, "V"),
    }
    for composer, (from_3d, from_2d, source) in table.items():
        yield Published("css", composer, {1: from_3d}, source)
        yield Published("css-2d3d", composer, {1: from_2d}, source)
        yield Published("css-original", composer, {1: from_3d}, source)


def _others() -> Iterator[Published]:
    fashion: dict[str, tuple[float, float, float, Source]] = {
        "image_only": (3.5, 22.7, 43.7, "M"),
        "text_only": (1.0, 12.3, 21.8, "M"),
        "concat": (11.9, 39.7, 62.6, "M"),
        "show_and_tell": (12.3, 40.2, 61.8, "M"),
        "parameter_hashing": (12.2, 40.0, 61.7, "M"),
        "relationship": (13.0, 40.5, 62.4, "M"),
        "mrn": (13.4, 40.0, 61.9, "M"),
        "film": (12.9, 39.5, 61.9, "M"),
        "tirg": (14.1, 42.5, 63.8, "V"),
    }
    for composer, (at_1, at_10, at_50, source) in fashion.items():
        yield Published("fashion200k", composer, {1: at_1, 10: at_10, 50: at_50}, source)
    states: dict[str, tuple[float, float, float, Source]] = {
        "image_only": (3.3, 12.8, 20.9, "M"),
        "text_only": (7.4, 21.5, 32.7, "M"),
        "concat": (11.8, 30.8, 42.1, "M"),
        "show_and_tell": (11.9, 31.0, 42.0, "M"),
        "attribute_as_operator": (8.8, 27.3, 39.1, "M"),
        "relationship": (12.3, 31.9, 42.9, "M"),
        "mrn": (11.9, 30.5, 41.0, "M"),
        "film": (10.1, 27.7, 38.3, "M"),
        "tirg": (12.2, 31.9, 43.1, "V"),
    }
    for composer, (at_1, at_5, at_10, source) in states.items():
        yield Published("mit-states", composer, {1: at_1, 5: at_5, 10: at_10}, source)


PAPER: tuple[Published, ...] = (*_css(), *_others())

LATER: tuple[Published, ...] = (
    Published("css", "TIRG, google/tirg's re-implementation", {1: 76.0}, "V"),
    Published("css", "JPM", {1: 83.8}, "V"),
    Published("css", "CRR", {1: 85.8}, "V"),
    Published("css", "MAAF", {1: 87.8}, "V"),
    Published("css", "GA(TIRG)", {1: 91.2}, "V"),
    Published("css", "LGLI", {1: 93.3}, "V"),
    Published("css-2d3d", "GSCMR", {1: 58.74}, "V"),
)
