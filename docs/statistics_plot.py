"""Draw the table of measured error rates in statistics.md as statistics.svg: `python docs/statistics_plot.py`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

PAGE: Final = Path(__file__).with_name("statistics.md")
PICTURE: Final = PAGE.with_suffix(".svg")

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "css-bench",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
}
_STYLES: Final = {3: ("#1f4e79", "o", -0.08), 5: ("#c55a11", "s", 0.08)}
"""Colour, marker, and shift along the axis by number of seeds, so that equal values are both seen."""


class Rates(NamedTuple):
    """A row of the table; rates in percent."""

    seeds: int
    spread: str
    false_difference: float
    coverage: float
    power: float


class Panel(NamedTuple):
    """One rate: its title, its axis, and what is promised of it (a line, or a band)."""

    rate: str
    title: str
    limits: tuple[float, float]
    tick: float
    promise: tuple[float, float]


PANELS: Final = (
    Panel("false_difference", "False difference (% of boards)", (0, 8), 2, (0, 5)),
    Panel("coverage", "Coverage of the 95% interval (%)", (90, 100), 2, (93, 97)),
    Panel("power", "Power for 4 points (% of pairs)", (0, 104), 20, (0, 0)),
)


def read_rates(page: str) -> list[Rates]:
    """The rows of the table of error rates on a page. Raises ValueError if there are none."""
    rows = re.findall(r"^\| (\d+) \| ([\d., ]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page, flags=re.MULTILINE)
    if not rows:
        raise ValueError("the page has no table of error rates")
    return [Rates(int(seeds), spread, *map(float, rates)) for seeds, spread, *rates in rows]


def draw(rates: Sequence[Rates]) -> Figure:
    """One panel for each rate: spreads along the axis, a colour for each number of seeds, the promise in grey."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(9.0, 2.9), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
            _draw_panel(axes, panel, rates)
        figure.axes[0].legend(frameon=False, loc="upper left")
    return figure


def _draw_panel(axes: Axes, panel: Panel, rates: Sequence[Rates]) -> None:
    spreads = list(dict.fromkeys(row.spread for row in rates))
    if panel.promise[1] > panel.promise[0]:
        axes.axhspan(*panel.promise, color="#eeeeee", zorder=0)
    for seeds, (colour, marker, shift) in _STYLES.items():
        rows = [row for row in rates if row.seeds == seeds]
        places = [spreads.index(row.spread) + shift for row in rows]
        values = [getattr(row, panel.rate) for row in rows]
        axes.plot(
            places, values, color=colour, marker=marker, linestyle="none", label=f"{seeds} seeds",
            gid=f"{panel.rate}-{seeds}", clip_on=False,
        )  # fmt: skip
    axes.set_title(panel.title, fontsize=9)
    axes.set_xticks(range(len(spreads)), spreads)
    axes.set_xlim(-0.5, len(spreads) - 0.5)
    axes.set_xlabel("spread over seeds (points)")
    axes.set_ylim(*panel.limits)
    axes.yaxis.set_major_locator(MultipleLocator(panel.tick))


def main() -> None:
    with matplotlib.rc_context(_SETTINGS):
        draw(read_rates(PAGE.read_text())).savefig(PICTURE, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
