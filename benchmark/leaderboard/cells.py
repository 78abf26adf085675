"""The words and numbers in the cells of tables."""

from datetime import timedelta
from statistics import fmean

from benchmark.leaderboard.boards import Row
from benchmark.leaderboard.levels import Level
from benchmark.leaderboard.scores import Score
from benchmark.leaderboard.statistics import Estimate

NOTHING = "-"
"""What a cell shows where there is no number."""


def number(value: float | None) -> str:
    """With one decimal."""
    return NOTHING if value is None else f"{value:z.1f}"


def difference(value: float | None, other: float | None) -> str:
    """`value` minus `other` with its sign and one decimal; what rounds to zero is +0.0."""
    return NOTHING if value is None or other is None else f"{value - other:+z.1f}"


def macro_recall(row: Row, attribute: str, k: int) -> float | None:
    """Recall@K averaged over the values of an attribute, each counting alike; None where no query has the attribute."""
    values = [score.mean[k] for name, score in row.scores.items() if name.startswith(f"{attribute}=")]
    return fmean(values) if values else None


def mean(score: Score, k: int, *, with_deviation: bool = True) -> str:
    """Recall@K over the seeds, with its standard deviation where there are several."""
    deviation = score.deviation[k] if with_deviation else None
    return f"{score.mean[k]:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}")


def interval(score: Score) -> str:
    """Format the interval of Recall@1; empty where there is none."""
    return "" if score.interval is None else f"[{score.interval.low:.1f}, {score.interval.high:.1f}]"


def gap(found: Estimate | None) -> str:
    """Format a difference of Recall@1 in points, with its 95% interval where it has one."""
    if found is None:
        return NOTHING
    bounds = found.interval()
    return f"{found.value:+z.1f}" + (f" [{bounds.low:z.1f}, {bounds.high:z.1f}]" if bounds else "")


def reached(level: Level, score: Score, k: int) -> str:
    """Recall@K of a computed level; two digits below ten."""
    value = level.at(score, k)
    return NOTHING if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def duration(seconds: float) -> str:
    """In hours and minutes, minutes and seconds, or seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def timed(text: str, row: Row) -> str:
    """A time; in brackets if it does not compare with those of the other rows."""
    return text if row.is_timed_alike else f"({text})"


def millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"


def clock(seconds: float) -> str:
    """As 2:31 or 1:02:31."""
    return str(timedelta(seconds=round(seconds))).removeprefix("0:").removeprefix("0")
