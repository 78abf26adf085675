"""Draw what composes best: R@1 by selection and by objects changed, and R@1 against cost, from a board's CSV file.

`python docs/what_composes_best_plot.py` writes the pictures of what_composes_best.md.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DOCS: Final = Path(__file__).parent
BOARD: Final = DOCS.parent / "leaderboards" / "css.csv"
PRESET: Final = "quick"

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "css-bench",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
}
_INK, _FAINT = "#1f4e79", "#9db7d0"
_NO_MODEL = ("image_only", "text_only")
"""They fall far below all others, and would take most of an axis."""


class Panel(NamedTuple):
    """An attribute of queries: its title, and its values from left to right."""

    attribute: str
    title: str
    values: tuple[str, ...]


PANELS: Final = (
    Panel("selection", "what the text selects by", ("cell", "cell and content", "content")),
    Panel("changed", "objects that the text changes", ("0", "1", "2", "3+")),
)


class Point(NamedTuple):
    """R@1 of a composer on a slice, in percent, with its 95% interval."""

    value: float
    low: float
    high: float


class Row(NamedTuple):
    """A composer of a board.

    Attributes:
        name, title: of the composer.
        slices: by "all" and by attribute=value.
        seconds: of a training run, whatever else ran beside it.
        parameters: of the composer alone.
    """

    name: str
    title: str
    slices: dict[str, Point]
    seconds: float
    parameters: int


def read_board(path: Path, preset: str) -> list[Row]:
    """Return the composers of a board with that preset, the best first. Raises ValueError if there are none."""
    rows: dict[str, Row] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line["preset"] != preset or not line["composer"]:
                continue
            fresh = Row(
                line["composer"], line["title"], {}, float(line["wall_seconds"]), int(line["composer_parameters"])
            )
            value = float(line["recall_1"])
            bounds = (float(line[name] or value) for name in ("recall_1_low", "recall_1_high"))
            rows.setdefault(line["composer"], fresh).slices[line["slice"]] = Point(value, *bounds)
    if not rows:
        raise ValueError(f"{path} has no row of the preset {preset}")
    return sorted(rows.values(), key=lambda row: -row.slices["all"].value)


def draw_slices(rows: Sequence[Row]) -> Figure:
    """Draw a column of panels for each value of `PANELS`, a line for each composer, the best at the top."""
    shown = [row for row in rows if row.name not in _NO_MODEL]
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(11.0, 0.24 * len(shown) + 1.2), layout="constrained")
        axes = figure.subplots(1, sum(len(panel.values) for panel in PANELS), sharey=True)
        pairs = [(panel, value) for panel in PANELS for value in panel.values]
        for place, (panel, value) in zip(axes, pairs, strict=True):
            _draw_slice(place, f"{panel.attribute}={value}", shown)
            place.set_title(f"{panel.title}:\n{value}" if value == panel.values[0] else f"\n{value}", fontsize=8)
        axes[0].set_yticks(range(len(shown)), [row.title for row in shown])
        axes[0].invert_yaxis()
        figure.supxlabel("R@1 (%), with its 95% interval", fontsize=9)
    return figure


def _draw_slice(axes: Axes, name: str, rows: Sequence[Row]) -> None:
    points = [row.slices[name] for row in rows]
    places = range(len(rows))
    axes.hlines(places, [point.low for point in points], [point.high for point in points], color=_FAINT, linewidth=3)
    axes.plot([point.value for point in points], places, "o", color=_INK, markersize=4, gid=name)


def draw_cost(rows: Sequence[Row]) -> Figure:
    """Draw R@1 over the time of a run, a point for each composer, marked where none that is as fast is better."""
    shown = [row for row in rows if row.name not in _NO_MODEL]
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(8.0, 5.0), layout="constrained")
        axes = figure.subplots()
        best = {row.name for row in best_for_their_time(shown)}
        for row in shown:
            value = row.slices["all"].value
            axes.plot(row.seconds, value, "o", color=_INK if row.name in best else _FAINT, gid=row.name)
            axes.annotate(row.title, (row.seconds, value), xytext=(5, 3), textcoords="offset points", fontsize=7)
        axes.set_xlabel("seconds of a run, scoring included")
        axes.set_ylabel("R@1 (%)")
    return figure


def best_for_their_time(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that no other row beats in both R@1 and time, the fastest first."""
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.seconds, -row.slices["all"].value)):
        if not found or row.slices["all"].value > found[-1].slices["all"].value:
            found.append(row)
    return found


def main() -> None:
    rows = read_board(BOARD, PRESET)
    with matplotlib.rc_context(_SETTINGS):
        for name, figure in (("slices", draw_slices(rows)), ("cost", draw_cost(rows))):
            figure.savefig(DOCS / f"what_composes_best_{name}.svg", format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
