"""Figures for papers from the curves of runs: loss and validation R@1 by step, a line for every seed."""

import textwrap
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmark.leaderboard.figures import FAINT, INK, font_size, grid_of, style
from benchmark.records.store import RunRecord

Quantity = Literal["loss", "validation"]
Points = Sequence[tuple[int, float]]

QUANTITIES: Final[Mapping[Quantity, str]] = {"loss": "loss of the batch", "validation": "validation R@1 (%)"}

_COLOURS: Final = ("#000000", INK, "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Of Okabe and Ito, without the yellow, which is too light for a line."""
_DASHES: Final = ("solid", (0, (4, 1.2)), (0, (1, 1)))
_FEW_POINTS = 40


def points_of(record: RunRecord, quantity: Quantity) -> Points:
    """Return (step, value) of a run's curve, where it was measured."""
    values = [(point.step, point.loss if quantity == "loss" else point.recall_at_1) for point in record.curve]
    return [(step, value) for step, value in values if value is not None]


def draw_curves(records: Sequence[RunRecord], *, quantity: Quantity, width: float) -> Figure | None:
    """Draw the curves of runs: up to seven composers in one plot, more of them in a small plot each.

    Args:
        records: the composers in this order; lines are named COMPOSER-sSEED in SVG.

    Returns:
        None if no run has a point.
    """
    lines: dict[str, _Lines] = {}
    for record in records:
        if points := points_of(record, quantity):
            of_composer = lines.setdefault(record.composer.name, _Lines(record.composer.title, []))
            of_composer.runs.append((f"{record.composer.name}-s{record.seed}", points))
    if not lines:
        return None
    draw = _together if len(lines) <= len(_COLOURS) else _apart
    with style(width):
        return draw(list(lines.values()), QUANTITIES[quantity], width)


class _Lines(NamedTuple):
    """Of one composer: its title, and the name and the points of each run."""

    title: str
    runs: list[tuple[str, Points]]


def _together(composers: Sequence[_Lines], label: str, width: float) -> Figure:
    columns = min(len(composers), max(1, int(width // 1.55)))
    figure = Figure(figsize=(width, 0.58 * width + 0.15 * ceil(len(composers) / columns)), layout="constrained")
    axes = figure.subplots()
    for place, (title, runs) in enumerate(composers):
        for number, (name, points) in enumerate(runs):
            line = _draw(axes, points, colour=_COLOURS[place], name=name)
            line.set_linestyle(_DASHES[place % len(_DASHES)])
            line.set_label(title if number == 0 else "_")
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    figure.legend(loc="outside lower center", ncols=columns, handlelength=2.2)
    return figure


def _apart(composers: Sequence[_Lines], label: str, width: float) -> Figure:
    """In every small plot the first composer's first run is grey, to compare with."""
    columns, rows = grid_of(len(composers), most=int(width // 0.95))
    size = font_size(width)
    titles = [textwrap.fill(title, 16) for title, _ in composers]
    most_lines = 1 + max(title.count("\n") for title in titles)
    figure = Figure(figsize=(width, rows * (0.6 + 0.016 * size * most_lines) + 0.35), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    reference = composers[0]
    for place, (axes, (_, runs)) in enumerate(zip(grid.flat, composers, strict=False)):
        if place:
            _draw(axes, reference.runs[0][1], colour=FAINT, name=f"reference-{place}")
        for name, points in runs:
            _draw(axes, points, colour=INK, name=name)
        axes.set_title(titles[place], fontsize=size - 1)
        axes.xaxis.set_major_locator(MaxNLocator(2, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.tick_params(labelsize=size - 1)
    for place in range(len(composers), rows * columns):
        grid.flat[place].set_visible(False)
        grid.flat[place - columns].tick_params(labelbottom=True)
    figure.supxlabel(f"step (grey: {reference.title})", fontsize=size)
    figure.supylabel(label, fontsize=size)
    return figure


def _draw(axes: Axes, points: Points, *, colour: str, name: str) -> Line2D:
    steps, values = zip(*points, strict=True)
    marker = "o" if len(points) < _FEW_POINTS else None
    return axes.plot(steps, values, color=colour, linewidth=0.9, marker=marker, markersize=2, gid=name)[0]
