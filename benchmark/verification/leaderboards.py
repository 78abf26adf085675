"""Check what needs neither training nor scoring: records by themselves and among each other, and the pages."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmark.errors import BenchmarkError
from benchmark.leaderboard.files import is_same_csv, load_ablations, load_rankings, load_records, stale_tables
from benchmark.leaderboard.page_blocks import updated
from benchmark.leaderboard.reranked_tables import tables_of
from benchmark.records import known_queries, rerankings, seed_commitments
from benchmark.records.rankings import StoredRanking, is_ranking, read_ranking
from benchmark.records.store import StoredRecord, read_stored
from benchmark.verification.consistency import PUBLISHED, problems_of
from benchmark.verification.duplicates import repeated

PAGE = Path("docs", "paper.md")
"""Beside the folder of this project's leaderboards: a page whose tables are written from theirs."""


class Checked(NamedTuple):
    """The records that nothing is wrong with, and a line for each that is not among them, and for each wrong page."""

    stored: list[StoredRecord]
    rankings: list[StoredRanking]
    problems: list[str]


def check_leaderboards(out: Path) -> Checked:
    """Check all records in a folder of leaderboards, those of ablations included, and its pages.

    Raises:
        BenchmarkError: there is no folder of records.
    """
    root = out / "records"
    of_boards, problems = load_records(root)
    rankings, further = load_rankings(root)
    problems += further + stale_tables(of_boards, root, out, rankings) + stale_page(out)
    problems += _wrong_rerankings(of_boards, out)
    stored = of_boards + load_ablations(out)[0]
    again = repeated(stored)
    sound = []
    for run in stored:
        lines = [*problems_of(run, stored), *again.get(run.path, [])]
        problems += lines
        sound += [] if lines else [run]
    return Checked(sound, rankings, problems)


def check_records(paths: Sequence[Path]) -> Checked:
    """Check the records at these paths, each by itself."""
    stored: list[StoredRecord] = []
    rankings: list[StoredRanking] = []
    problems: list[str] = []
    for path in paths:
        try:
            lines = _check(path, stored, rankings)
        except BenchmarkError as error:
            lines = [str(error)]
        problems += lines
    return Checked(stored, rankings, problems)


def _check(path: Path, stored: list[StoredRecord], rankings: list[StoredRanking]) -> list[str]:
    """Add the record to those that are sound, or return what is wrong with it."""
    root = path.resolve().parents[2]
    source = known_queries.place_of(root)
    known = known_queries.read(source)
    if is_ranking(path):
        ranking = read_ranking(path)
        problem = known_queries.problem(path, ranking.record, ranking.outcomes, known, source)
        rankings += [] if problem else [ranking]
        return [problem] if problem else []
    run = read_stored(path)
    problem = known_queries.problem(path, run.record, run.outcomes, known, source)
    lines = [problem] if problem else list(problems_of(run, load_records(root)[0]))
    stored += [] if lines else [run]
    return lines


def stale_page(out: Path) -> list[str]:
    """Return a line if the page of the paper's numbers does not have the tables that the leaderboards give."""
    page = out.resolve().parent / PAGE
    if out.resolve().name != PUBLISHED or not page.is_file():
        return []
    try:
        text = page.read_text(encoding="utf-8")
        is_current = updated(text, out) == text
    except (OSError, UnicodeDecodeError) as error:
        return [f"{page}: cannot be read ({error})"]
    except BenchmarkError as error:
        return [f"{page}: {error}"]
    return [] if is_current else [f"{page}: is out of date; run `tirg-bench leaderboard --page {PAGE}`"]


def _wrong_rerankings(stored: Sequence[StoredRecord], out: Path) -> Iterator[str]:
    """Yield a line for each ranking on a revealed seed that is not of its commitment, has another Recall of a board's
    run than the record, or has other tables than its scores give; and for a seed that is not the one committed to."""
    try:
        commitments = seed_commitments.read(out / seed_commitments.NAME)
    except BenchmarkError as error:
        yield str(error)
        return
    models = [(run.record, run.record.checkpoint) for run in stored]
    recalls = {(record.protocol, kept.sha256): record.metrics.recall for record, kept in models if kept}
    folder = out / rerankings.FOLDER
    for path in sorted(folder.glob("*.json")):
        try:
            found = rerankings.read(path)
        except BenchmarkError as error:
            yield str(error)
            continue
        assert found is not None
        committed = commitments.get(found.commitment)
        if not (committed and committed.revealed and committed.revealed.seed == found.seed):
            yield f"{path}: {folder.parent / seed_commitments.NAME} has not revealed its seed, or another one"
        for run in found.runs:
            recall = recalls.get((found.task, run.checkpoint_sha256 or ""))
            if recall is not None and recall != run.own.recall:
                yield f"{path}: says R@1 {run.own.recall[1]:.1f} of {run.composer}, its record has {recall[1]:.1f}"
        for name, content in tables_of(found).items():
            table = folder / name
            text = table.read_text(encoding="utf-8", errors="replace") if table.is_file() else ""
            if not (is_same_csv(text, content) if table.suffix == ".csv" else text == content):
                yield f"{table}: is not what {path.name} gives; run `tirg-bench rerank`"
