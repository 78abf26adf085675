"""The page and the CSV file of a board's models on the test split of a revealed seed, from their scores alone."""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from scipy import stats

from benchmark import tasks
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.cells import NOTHING, difference, number
from benchmark.leaderboard.fresh import MARK
from benchmark.leaderboard.markdown import markdown_table, markdown_template, plain
from benchmark.leaderboard.statistics import Estimate, Interval
from benchmark.records import rerankings
from benchmark.records.rerankings import FOLDER, RerankedRun, Reranking
from benchmark.scoring.fresh import FreshScore, Sampled, differs
from benchmark.scoring.recall import KS
from css_gen.storage import locking
from css_gen.storage.atomic import write_atomically

_CSV = (
    "task", "commitment", "seed", "preset", "recipe", "dataset", "composer", "title", "runs", "scored",
    "recall_1", "revealed_recall_1", "revealed_recall_1_low", "revealed_recall_1_high", "differs", "rank",
    "revealed_rank", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A composer's models, the mean over those of its runs that were scored.

    Attributes:
        runs, scored: how many there are.
        own, revealed: Recall in percent by K, of the same runs; None if none was scored.
        interval: 95%, of the revealed Recall@1, over the drawing of test splits.
        differs: whether the two Recalls@1 differ by more than sampling explains.
        rank, revealed_rank: from 1 by Recall@1, then 5, 10 and 50, among the rows that were scored; rows that tie on
            all of them share it. 0 for rows that were not.
        notes: what was not scored and why, and what was made too late.
    """

    composer: str
    title: str
    runs: int
    scored: int
    own: Mapping[int, float] | None
    revealed: Mapping[int, float] | None
    interval: Interval | None
    differs: bool
    notes: tuple[str, ...]
    rank: int = 0
    revealed_rank: int = 0


class Section(NamedTuple):
    """The rows of one recipe on one dataset, in their new order, those that were not scored last."""

    preset: str
    recipe: str
    dataset: str
    queries: int
    rows: tuple[Row, ...]

    @property
    def tau(self) -> float | None:
        """Kendall's tau of the two orders by Recall@1; None where it is not defined."""
        scored = [(row.own[1], row.revealed[1]) for row in self.rows if row.own and row.revealed]
        if len(scored) < 2:
            return None
        found = float(stats.kendalltau(*zip(*scored, strict=True)).statistic)
        return None if isnan(found) else found


def sections(reranking: Reranking) -> tuple[Section, ...]:
    """Return the sections of a page: by preset, then recipe and dataset."""
    groups: dict[tuple[str, str], list[RerankedRun]] = defaultdict(list)
    for run in reranking.runs:
        groups[run.recipe, run.dataset].append(run)
    found = [
        Section(runs[0].preset, recipe, dataset, runs[0].own.queries, _ranked(runs, reranking))
        for (recipe, dataset), runs in groups.items()
    ]
    return tuple(sorted(found, key=lambda section: section[:3]))


def _ranked(runs: Sequence[RerankedRun], reranking: Reranking) -> tuple[Row, ...]:
    by_composer: dict[str, list[RerankedRun]] = defaultdict(list)
    for run in runs:
        by_composer[run.composer].append(run)
    rows = [_row(its, reranking) for its in by_composer.values()]
    before = _ranks([row.own for row in rows])
    after = _ranks([row.revealed for row in rows])
    ranked = [
        replace(row, rank=rank, revealed_rank=revealed_rank)
        for row, rank, revealed_rank in zip(rows, before, after, strict=True)
    ]
    return tuple(sorted(ranked, key=lambda row: (not row.scored, row.revealed_rank, row.composer)))


def _ranks(recalls: Sequence[Mapping[int, float] | None]) -> list[int]:
    """One more than the number of rows that are better; 0 for a row without a Recall."""
    keys = [None if recall is None else tuple(recall[k] for k in KS) for recall in recalls]
    return [0 if key is None else 1 + sum(other is not None and other > key for other in keys) for key in keys]


def _row(runs: Sequence[RerankedRun], reranking: Reranking) -> Row:
    pairs = [(run.own, run.revealed) for run in runs if run.revealed]
    notes = [f"seed {run.seed}: {run.unscored}" for run in runs if run.unscored]
    if late := [str(run.seed) for run in runs if run.created > reranking.revealed]:
        notes.append(f"made after the seed was revealed (seed {', '.join(late)})")
    notes += [f"ran in {name}" for name in sorted({run.sandbox for run in runs if run.sandbox})]
    first = Row(
        composer=runs[0].composer, title=runs[0].title, runs=len(runs), scored=len(pairs), own=None, revealed=None,
        interval=None, differs=False, notes=tuple(notes),
    )  # fmt: skip
    if not pairs:
        return first
    own, revealed = (_mean(scores) for scores in zip(*pairs, strict=True))
    found = Estimate(revealed[1].recall, revealed[1].error, revealed[1].freedom).interval()
    return replace(
        first,
        own=own[0],
        revealed=revealed[0],
        interval=found and Interval(max(0.0, found.low), min(100.0, found.high)),
        differs=differs(own[1], revealed[1]),
    )


def _mean(scores: Sequence[FreshScore]) -> tuple[dict[int, float], Sampled]:
    """The mean Recall by K, and that of Recall@1 with the mean of the errors, which is right for runs on one split."""
    recall = {k: fmean(score.recall[k] for score in scores) for k in KS}
    sampled = [score.sampled for score in scores]
    return recall, Sampled(recall[1], fmean(each.error for each in sampled), min(each.freedom for each in sampled))


def tables_of(reranking: Reranking) -> dict[str, str]:
    """Return the text of the page and of the CSV file by the name of the file."""
    found = sections(reranking)
    task = tasks.find(reranking.task)
    page = markdown_template("reranked.md.jinja").render(
        title=task.title if task else plain(reranking.task), of=reranking, sections=found, table=_table, plain=plain
    )
    return {f"{reranking.name}.md": page.rstrip("\n") + "\n", f"{reranking.name}.csv": _csv(reranking, found)}


def write_reranking(out: Path, reranking: Reranking) -> Reranking:
    """Write the scores and their tables into `out`, together with the scores that are there; return all of them.

    Raises:
        BenchmarkError: they cannot be written, or the file that is there is damaged.
    """
    place = out / FOLDER
    try:
        place.mkdir(parents=True, exist_ok=True)
        with locking.held(out / ".leaderboards.lock", timeout=-1):
            path = place / f"{reranking.name}.json"
            everything = reranking.merged(rerankings.read(path))
            rerankings.write(path, everything)
            for name, content in tables_of(everything).items():
                write_atomically(place / name, content.encode())
    except OSError as error:
        raise BenchmarkError(f"{place}: the tables cannot be written ({error.strerror}); check the folder") from None
    return everything


def _table(section: Section) -> str:
    header = ("#", "Composer", "R@1", "95% interval", "Board's R@1", "Change", "Board's #", "Runs", "Note")
    lines = []
    for row in section.rows:
        own, revealed = _at_1(row.own), _at_1(row.revealed)
        lines.append([
            str(row.revealed_rank or NOTHING),
            plain(row.title),
            number(revealed) + (f" {MARK}" if row.differs else ""),
            f"[{row.interval.low:.1f}, {row.interval.high:.1f}]" if row.interval else "",
            number(own),
            difference(revealed, own),
            str(row.rank or NOTHING),
            f"{row.scored} of {row.runs}",
            plain("; ".join(row.notes)),
        ])  # fmt: skip
    return markdown_table(header, lines, left=(1, 8))


def _csv(reranking: Reranking, found: Sequence[Section]) -> str:
    """A line for every row of every section; empty where there is no number."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_CSV)
    for section in found:
        for row in section.rows:
            writer.writerow([
                reranking.task, reranking.commitment, reranking.seed, section.preset, section.recipe, section.dataset,
                row.composer, row.title, row.runs, row.scored, _at_1(row.own), _at_1(row.revealed),
                *(row.interval or (None, None)), row.differs if row.scored else None, row.rank or None,
                row.revealed_rank or None, "; ".join(row.notes),
            ])  # fmt: skip
    return sink.getvalue()


def _at_1(recall: Mapping[int, float] | None) -> float | None:
    return recall[1] if recall else None
