"""Figures for papers from the rows of a board: R@1, slices, and R@1 against cost.

Every marker has an id in SVG, so that what is drawn can be compared with the records. Curves are in `figure_curves`.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from math import ceil
from typing import Any, Final, Literal

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.optimize import isotonic_regression

from benchmark.leaderboard.boards import Row
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.scores import Score

Cost = Literal["time", "parameters"]
Format = Literal["svg", "png", "pdf"]

INK: Final = "#0072B2"
"""Blue of the palette of Okabe and Ito, which people with colour-blindness can tell apart."""
FAINT: Final = "#A6A6A6"
ONE_INPUT: Final = ("image_only", "text_only")
"""Composers that see one input alone: far below all others, they would take most of an axis."""

_BAND, _GRID = "#9CC9E3", "#DDDDDD"
_TWO_COLUMNS = 5.0
_DOTS_PER_INCH = 300
_NAMES, _NARROWEST = 1.2, 0.65
"""Inches of the names beside panels, and of a panel."""
_LINE_HEIGHT = 1.45
"""Distance of two lines of labels, in font sizes."""

_LABELS: Final[Mapping[Cost, str]] = {
    "time": "time of a run, scoring included (s)",
    "parameters": "parameters of the composer (millions)",
}


def style(width: float) -> AbstractContextManager[None]:
    """Matplotlib's settings for a figure of that width in inches; letters stay text, and output is deterministic."""
    size = font_size(width)
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "css-bench",
        "pdf.fonttype": 42,
        "text.parse_math": False,  # a composer's title may hold a dollar sign
        "font.size": size,
        "axes.labelsize": size,
        "axes.titlesize": size,
        "xtick.labelsize": size - 0.5,
        "ytick.labelsize": size,
        "legend.fontsize": size,
        "legend.frameon": False,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": _GRID,
        "grid.linewidth": 0.5,
        "xtick.major.size": 2.0,
        "ytick.major.size": 0.0,
        "figure.constrained_layout.h_pad": 0.03,
        "figure.constrained_layout.w_pad": 0.03,
    }
    return matplotlib.rc_context(settings)


def font_size(width: float) -> float:
    """In points: 7 in one column of a paper, 8 across two."""
    return 8.0 if width > _TWO_COLUMNS else 7.0


def content_of(figure: Figure, file_format: Format) -> bytes:
    """Return a figure as the content of a file: the same bytes for the same figure, without a date."""
    file = io.BytesIO()
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}
    with style(figure.get_figwidth()):
        figure.savefig(file, format=file_format, dpi=_DOTS_PER_INCH, metadata=dates[file_format])
    return file.getvalue()


def draw_recall(rows: Sequence[Row], *, width: float) -> Figure:
    """Draw R@1 with its 95% interval, a line of text and a marker for each row, the first at the top."""
    with style(width):
        figure = Figure(figsize=(width, _height(len(rows), width) + 0.45), layout="constrained")
        axes = figure.subplots()
        scores = [row.scores[ALL] for row in rows]
        _draw_scores(axes, scores, gid="recall")
        _name_rows(axes, rows)
        for place, score in enumerate(scores):
            axes.text(1.02, place, f"{score.mean[1]:.1f}", transform=axes.get_yaxis_transform(), va="center_baseline")
        axes.set_xlabel("R@1 (%)" + _of_interval(scores))
    return figure


def draw_slices(rows: Sequence[Row], panels: Mapping[str, str], *, about: str, width: float) -> Figure:
    """Draw R@1 with its 95% interval on slices of the queries, a panel for each.

    Args:
        rows: a line for each, the first at the top.
        panels: titles by the names of slices, such as "selection=cell".
        about: what the axis says after "R@1 (%)".
    """
    columns, lines = grid_of(len(panels), most=int((width - _NAMES) / _NARROWEST))
    letters = int((width - _NAMES) / columns * 72 / (0.6 * font_size(width)))
    with style(width):
        size = (width, lines * (_height(len(rows), width) + 0.45) + 0.2)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        scores = {name: [row.scores[name] for row in rows] for name in panels}
        for axes, (name, title) in zip(grid.flat, panels.items(), strict=False):
            _draw_scores(axes, scores[name], gid=name, marker_size=3 if columns < 3 else 2.3)
            axes.set_title("\n".join(textwrap.fill(line, letters) for line in title.split("\n")))
            axes.xaxis.set_major_locator(MaxNLocator(2 if columns > 2 else 4, integer=True))
        for axes in grid[:, 0]:
            _name_rows(axes, rows)
        note = _of_interval([score for each in scores.values() for score in each])
        figure.supxlabel(f"R@1 (%){about}{note}", fontsize=font_size(width))
    return figure


def draw_cost(rows: Sequence[Row], *, cost: Cost, width: float) -> Figure:
    """Draw R@1 over cost, a point for each row; those that no other row beats in both are blue and joined by a line.

    Names are in a column beside the points, in the order of R@1. Where `cost` is the time, points that may not be
    compared with the others (`Row.is_timed_alike`) are hollow.
    """
    points = [(cost_of(row, cost), row.scores[ALL].mean[1]) for row in rows]
    best = unbeaten(points)
    size = font_size(width)
    label_height = size * _LINE_HEIGHT / 72
    height = max(2.4, label_height * (len(rows) + 1)) + 0.65
    with style(width):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        front = np.array([points[place] for place in best])
        axes.plot(front[:, 0], front[:, 1], color=INK, linewidth=0.8, drawstyle="steps-post", zorder=1.5)
        for place, (row, (x, y)) in enumerate(zip(rows, points, strict=True)):
            colour = INK if place in best else FAINT
            filled = colour if row.is_timed_alike or cost == "parameters" else "white"
            axes.plot(x, y, "o", color=colour, markerfacecolor=filled, markersize=4.5, gid=row.composer.name)
        axes.margins(0.06)
        low, high = axes.get_ylim()
        gap = label_height * (high - low) / (height - 0.7)
        labels = spread([y for _, y in points], gap=gap, low=low + gap / 2, high=high - gap / 2)
        for place, (row, point, y) in enumerate(zip(rows, points, labels, strict=True)):
            arrow = {"arrowstyle": "-", "color": INK if place in best else FAINT, "linewidth": 0.35, "shrinkA": 0}
            axes.annotate(
                row.composer.title, point, xytext=(1.04, y), textcoords=axes.get_yaxis_transform(), va="center",
                color=INK if place in best else "black", annotation_clip=False,
                arrowprops={**arrow, "shrinkB": 2.5, "relpos": (0, 0.5)},
            )  # fmt: skip
        axes.set_ylim(low, high)
        axes.set_xlabel(_LABELS[cost])
        axes.set_ylabel("R@1 (%)")
        if cost == "time" and not all(row.is_timed_alike for row in rows):
            axes.set_title("hollow: timed on other hardware or beside other work", loc="left", fontsize=size - 0.5)
    return figure


def cost_of(row: Row, cost: Cost) -> float:
    """Seconds of a run, or millions of parameters."""
    return row.wall_seconds if cost == "time" else row.parameters.composer / 1e6


def unbeaten(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return which (cost, recall) no other one beats in both, the cheapest first; of equal ones the first.

    >>> unbeaten([(3.0, 70.0), (1.0, 60.0), (2.0, 50.0)])
    [1, 0]
    """
    found: list[int] = []
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        if not found or points[place][1] > points[found[-1]][1]:
            found.append(place)
    return found


def spread(values: Sequence[float], *, gap: float, low: float, high: float) -> npt.NDArray[np.float64]:
    """Move values as little as possible (least squares) until they are `gap` apart, in the same order.

    They are between `low` and `high` where there is room for all of them; else they begin at `low`.
    """
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(values))
    moved = isotonic_regression(np.asarray(values, dtype=np.float64)[order] - steps).x
    found = np.empty(len(values))
    found[order] = np.clip(moved, low, max(low, high - gap * (len(values) - 1))) + steps
    return found


def grid_of(count: int, *, most: int) -> tuple[int, int]:
    """Return the columns and lines of a grid with `count` cells, as even as it can be with at most `most` columns.

    >>> grid_of(6, most=4)
    (3, 2)
    """
    lines = ceil(count / max(1, most))
    return ceil(count / lines), lines


def _height(lines: int, width: float) -> float:
    return lines * font_size(width) * _LINE_HEIGHT / 72


def _draw_scores(axes: Axes, scores: Sequence[Score], *, gid: str, marker_size: float = 3) -> None:
    for place, score in enumerate(scores):
        if score.interval:
            low, high = score.interval.low, score.interval.high
            axes.hlines(place, low, high, color=_BAND, linewidth=3, gid=f"{gid}-interval-{place}")
    axes.plot([score.mean[1] for score in scores], range(len(scores)), "o", color=INK, markersize=marker_size, gid=gid)


def _name_rows(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set_yticks(range(len(rows)), [row.composer.title for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _of_interval(scores: Sequence[Score]) -> str:
    return ", with 95% interval" if any(score.interval for score in scores) else ""
