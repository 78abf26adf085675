"""Curves as SVG that takes its colours and its letters from the page around it."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from benchmark.records.store import CurvePoint

_INK, _FAINT, _LINE = "#010101", "#020202", "#030303"
"""Stand-ins: matplotlib writes these, and the page's own colours take their places."""

_PAGE_COLOURS = {_INK: "currentColor", _FAINT: "var(--rule)", _LINE: "var(--accent)"}
_INCHES = (4.6, 2.7)
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "css-bench",
    "font.size": 10.0,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
}
_DASHES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True)
class Plot:
    caption: str
    svg: Markup


def curves(runs: Sequence[tuple[int, Sequence[CurvePoint]]], *, name: str) -> tuple[Plot, ...]:
    """The loss and the held-out Recall@1 by step, a line for every seed; a plot without a point is left out.

    Args:
        runs: seeds and their points.
        name: letters and digits that no other plots of the page have.
    """
    losses = [(seed, [(point.step, point.loss) for point in points if point.loss is not None]) for seed, points in runs]
    recalls = [
        (seed, [(point.step, point.recall_at_1) for point in points if point.recall_at_1 is not None])
        for seed, points in runs
    ]
    plots = [("Loss of the batch", losses, False), ("Validation Recall@1, in percent", recalls, True)]
    return tuple(
        Plot(f"{caption}, by step. {_ends(lines)}", _svg(lines, f"{name}{place}", percent=percent))
        for place, (caption, lines, percent) in enumerate(plots)
        if any(points for _, points in lines)
    )


_Line = tuple[int, list[tuple[int, float]]]


def _ends(lines: Sequence[_Line]) -> str:
    ends = [f"{points[-1][1]:.3g} (seed {seed})" for seed, points in lines if points]
    return f"At the end: {', '.join(ends)}."


def _svg(lines: Sequence[_Line], name: str, *, percent: bool) -> Markup:
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for place, (seed, points) in enumerate(lines):
            if points:
                steps, values = zip(*points, strict=True)
                dash = _DASHES[place % len(_DASHES)]
                marker = "o" if len(points) < 40 else None
                axes.plot(steps, values, color=_LINE, ls=dash, lw=1.4, marker=marker, ms=3, label=f"seed {seed}")
        axes.set_xlabel("step")
        axes.set_ylim(0, 100 if percent else None)
        axes.set_axisbelow(True)
        if sum(bool(points) for _, points in lines) > 1:
            axes.legend(frameon=False, fontsize=9)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return Markup(_of_page(file.getvalue(), name))


def _of_page(svg: str, name: str) -> str:
    """The <svg> element alone, of the page's colours and letters, its ids unlike any other's on the page."""
    svg = svg[svg.index("<svg") :]
    # The style would reach all of the page: the page's own has it, for plots alone.
    svg = re.sub(r"<metadata>.*?</metadata>\s*|<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true" focusable="false">', svg)
    svg = re.sub(r"\bid=\"", f'id="{name}-', svg)
    svg = re.sub(r"xlink:href=\"#", f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    for stand_in, colour in _PAGE_COLOURS.items():
        svg = svg.replace(stand_in, colour)
    return svg.strip()
