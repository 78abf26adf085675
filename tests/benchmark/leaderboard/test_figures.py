"""Figures show the numbers of their rows, with letters as text, and are the same bytes every time."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmark.leaderboard.boards import Row
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.figure_curves import draw_curves
from benchmark.leaderboard.figures import (
    content_of,
    cost_of,
    draw_cost,
    draw_recall,
    draw_slices,
    grid_of,
    spread,
    unbeaten,
)
from benchmark.leaderboard.statistics import Interval
from benchmark.records.store import CurvePoint, RunRecord
from tests.benchmark.leaderboard.made_up_tables import boards_of
from tests.benchmark.leaderboard.markers import ends, markers, require_linear, texts
from tests.benchmark.made_up import make_outcomes, make_record

TITLES = ("Attribute as Operator", "Relationship", "Parameter Hashing", "VAL (one depth)", "TIRG", "$x_1$ & <b>")


@pytest.fixture(scope="module")
def rows(three_composers: Path) -> tuple[Row, ...]:
    return boards_of(three_composers)[0].rows


def many(row: Row, count: int = 21) -> list[Row]:
    """Rows of which many are close to each other in R@1 and in cost, with long titles."""
    rng = np.random.default_rng(3)
    recalls = np.sort(np.r_[rng.uniform(78, 82, count - 3), 40.0, 40.1, 7.0])[::-1]
    made = []
    for place, recall in enumerate(recalls):
        score = replace(row.scores[ALL], mean={1: float(recall)}, intervals={1: Interval(recall - 1, recall + 1)})
        card = row.composer.model_copy(update={"name": f"c{place}", "title": TITLES[place % len(TITLES)]})
        made.append(replace(row, composer=card, scores={ALL: score}, wall_seconds=float(rng.uniform(30, 33))))
    return made


def svg_of(figure: Figure) -> str:
    return content_of(figure, "svg").decode()


def test_recall_has_a_marker_an_interval_and_a_number_for_each_row(rows: tuple[Row, ...]) -> None:
    svg = svg_of(draw_recall(rows, width=3.3))
    places = markers(svg, "recall", "x")
    values = [row.scores[ALL].mean[1] for row in rows]
    assert len(places) == 3
    for place, row in enumerate(rows):
        interval = row.scores[ALL].interval
        assert interval
        places += ends(svg, f"recall-interval-{place}")
        values += [interval.low, interval.high]
    require_linear(values, places, sign=1)
    assert {f"{row.scores[ALL].mean[1]:.1f}" for row in rows} <= set(texts(svg))
    assert {"TIRG", "FiLM", "Text only", "R@1 (%), with 95% interval"} <= set(texts(svg))


def test_a_row_without_an_interval_is_a_marker_alone(rows: tuple[Row, ...]) -> None:
    score = replace(rows[0].scores[ALL], intervals={})
    svg = svg_of(draw_recall([replace(rows[0], scores={ALL: score})], width=3.3))
    assert len(markers(svg, "recall", "x")) == 1
    assert "interval" not in svg


@pytest.mark.parametrize("width", [3.3, 6.9])
def test_slices_have_a_panel_for_each_value(rows: tuple[Row, ...], width: float) -> None:
    panels = {f"changed={value}": f"of {value}" for value in ("0", "1", "2", "3+")}
    svg = svg_of(draw_slices(rows, panels, about=" by changed", width=width))
    for name, title in panels.items():
        require_linear([row.scores[name].mean[1] for row in rows], markers(svg, name, "x"), sign=1)
        interval = rows[1].scores[name].interval
        assert interval
        low, high = ends(svg, f"{name}-interval-1")
        values = [rows[0].scores[name].mean[1], rows[1].scores[name].mean[1], interval.low, interval.high]
        require_linear(values, [*markers(svg, name, "x")[:2], low, high], sign=1)
        assert title in texts(svg)
    assert "R@1 (%) by changed, with 95% interval" in texts(svg)


@pytest.mark.parametrize("cost", ["time", "parameters"])
def test_cost_has_a_marker_for_each_row(rows: tuple[Row, ...], cost: str) -> None:
    costly = [
        replace(
            row,
            wall_seconds=40.0 + 7 * place**2,
            parameters=row.parameters.model_copy(update={"composer": 90_000 * (place**2 + 1)}),
        )
        for place, row in enumerate(rows)
    ]
    svg = svg_of(draw_cost(costly, cost=cost, width=6.9))  # type: ignore[arg-type]
    points = {axis: [markers(svg, row.composer.name, axis)[0] for row in costly] for axis in "xy"}
    require_linear([row.scores[ALL].mean[1] for row in costly], points["y"], sign=-1)
    require_linear([cost_of(row, cost) for row in costly], points["x"], sign=1)  # type: ignore[arg-type]
    expected = [40.0, 47.0, 68.0] if cost == "time" else [0.09, 0.18, 0.45]
    assert [cost_of(row, cost) for row in costly] == pytest.approx(expected)  # type: ignore[arg-type]


def test_times_that_do_not_compare_are_hollow(rows: tuple[Row, ...]) -> None:
    mixed = [replace(rows[0], is_timed_alike=False), *rows[1:]]
    note = "hollow: timed on other hardware or beside other work"
    assert note in texts(svg_of(draw_cost(mixed, cost="time", width=6.9)))
    assert note not in texts(svg_of(draw_cost(mixed, cost="parameters", width=6.9)))
    assert note not in texts(svg_of(draw_cost(rows, cost="time", width=6.9)))


def records_of(composers: int, seeds: Sequence[int] = (0, 1)) -> list[RunRecord]:
    records = []
    for number in range(composers):
        for seed in seeds:
            record = make_record(make_outcomes(), composer=f"c{number}", title=f"Composer {number}", seed=seed)
            points = [CurvePoint(step=step, loss=9.0 / (step + seed + number)) for step in (1, 2, 5)]
            last = CurvePoint(step=8, loss=0.5, recall_at_1=40.0 + number + 3 * seed)
            first = CurvePoint(step=4, recall_at_1=20.0 + number)
            records.append(record.model_copy(update={"curve": (*points, first, last)}))
    return records


@pytest.mark.parametrize("composers", [1, 7, 8, 21])
def test_curves_have_the_points_of_every_run(composers: int) -> None:
    records = records_of(composers)
    for quantity, width in (("loss", 6.9), ("validation", 3.3)):
        figure = draw_curves(records, quantity=quantity, width=width)  # type: ignore[arg-type]
        assert figure
        svg = svg_of(figure)
        for record in records:
            points = [
                (point.step, value)
                for point in record.curve
                if (value := point.loss if quantity == "loss" else point.recall_at_1) is not None
            ]
            name = f"{record.composer.name}-s{record.seed}"
            assert len(points) >= 2
            require_linear([step for step, _ in points], markers(svg, name, "x"), sign=1)
            require_linear([value for _, value in points], markers(svg, name, "y"), sign=-1)
        assert {f"Composer {number}" for number in range(composers)} <= set(texts(svg))


def test_runs_without_points_give_no_figure() -> None:
    bare = [record.model_copy(update={"curve": (CurvePoint(step=3, loss=1.0),)}) for record in records_of(2)]
    assert draw_curves(bare, quantity="validation", width=6.9) is None
    assert draw_curves(bare, quantity="loss", width=6.9) is not None


def drawn_texts(figure: Figure) -> list[Text]:
    """All of a figure that has been drawn; labels of ticks beyond the ends of an axis are not."""
    hidden: list[Text] = []
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(limits)
            hidden += [tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
    found = [text for text in figure.findobj(Text) if isinstance(text, Text) and text not in hidden]
    seen = [text for text in found if text.get_text() and text.get_visible()]
    return [text for text in seen if text.axes is None or text.axes.get_visible()]


@pytest.mark.parametrize("width", [3.3, 6.9])
def test_labels_of_21_composers_do_not_overlap_and_are_on_the_paper(rows: tuple[Row, ...], width: float) -> None:
    crowd = many(rows[0])
    panels = dict.fromkeys(("all", "kind=add", "kind=make-colour"), "cell and content")
    sliced = [replace(row, scores=dict.fromkeys(panels, row.scores[ALL])) for row in crowd]
    curves = draw_curves(records_of(21, seeds=(0,)), quantity="loss", width=width)
    assert curves
    for figure in (
        draw_recall(crowd, width=width),
        draw_cost(crowd, cost="time", width=width),
        draw_slices(sliced, panels, about="", width=width),
        curves,
    ):
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        shown = drawn_texts(figure)
        # Of an annotation the text alone counts, not its line.
        boxes = [Text.get_window_extent(text, renderer) for text in shown]
        assert len(boxes) > 20
        for place, box in enumerate(boxes):
            assert box.x0 >= -1 and box.y0 >= -1, shown[place]  # noqa: PT018
            assert box.x1 <= figure.bbox.width + 1 and box.y1 <= figure.bbox.height + 1, shown[place]  # noqa: PT018
            for other, its in enumerate(boxes[:place]):
                apart = box.x1 <= its.x0 or its.x1 <= box.x0 or box.y1 <= its.y0 + 0.5 or its.y1 <= box.y0 + 0.5
                assert apart, (shown[place].get_text(), shown[other].get_text())


def test_titles_are_shown_to_the_letter(rows: tuple[Row, ...]) -> None:
    svg = svg_of(draw_recall(many(rows[0]), width=6.9))
    assert "$x_1$ & <b>" in texts(svg)
    ElementTree.fromstring(svg)


def test_output_is_the_same_every_time(rows: tuple[Row, ...]) -> None:
    for file_format, start in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        first, second = (content_of(draw_cost(rows, cost="time", width=3.3), file_format) for _ in range(2))  # type: ignore[arg-type]
        assert first == second
        assert first.startswith(start)
        assert b"dc:date" not in first
        assert b"CreationDate" not in first


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_those_that_are_best_for_their_cost_are_beaten_by_none(pairs: list[tuple[int, int]]) -> None:
    found = unbeaten(pairs)
    expected = {
        (cost, recall)
        for cost, recall in pairs
        if not any(c <= cost and r >= recall and (c, r) != (cost, recall) for c, r in pairs)
    }
    assert [pairs[place] for place in found] == sorted(expected)
    assert all(pairs.index(pairs[place]) == place for place in found)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12), st.floats(0.1, 20))
def test_values_are_spread_in_their_order(values: list[float], gap: float) -> None:
    low, high = -10.0, 90.0
    found = spread(values, gap=gap, low=low, high=high)
    order = np.argsort(values, kind="stable")
    assert (np.diff(found[order]) >= gap - 1e-9).all()
    assert found.min() >= low - 1e-9
    if gap * (len(values) - 1) <= high - low:
        assert found.max() <= high + 1e-9
    apart = np.diff(np.sort(values))
    if (apart >= gap).all() and min(values) >= low and max(values) <= high:
        np.testing.assert_allclose(found, values, atol=1e-9)


def test_two_values_that_are_too_close_move_by_as_much() -> None:
    np.testing.assert_allclose(spread([50.0, 51.0, 20.0], gap=4, low=0, high=100), [48.5, 52.5, 20.0])


@given(st.integers(1, 40), st.integers(1, 9))
def test_a_grid_has_room_for_all_and_no_empty_line(count: int, most: int) -> None:
    columns, lines = grid_of(count, most=most)
    assert columns <= most
    assert columns * (lines - 1) < count <= columns * lines
