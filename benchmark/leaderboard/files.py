"""The tables of the records: for every task a Markdown page and a CSV file, and whether these are up to date.

The files are a pure function of the records, so whoever regenerates them gets the same bytes.
"""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from math import isclose
from pathlib import Path
from typing import NamedTuple

from benchmark import ablations, tasks
from benchmark.ablations.runs import records_of_ablations
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.ablation_tables import ablation_tables
from benchmark.leaderboard.any_model import model_tables, of_protocol
from benchmark.leaderboard.boards import Board, Row, build
from benchmark.leaderboard.scaling import usable
from benchmark.leaderboard.scaling_tables import NAME as SCALING
from benchmark.leaderboard.scaling_tables import scaling_tables
from benchmark.leaderboard.scores import Score
from benchmark.leaderboard.tables import csv_table, markdown_page, print_table
from benchmark.records import known_queries
from benchmark.records.rankings import StoredRanking, is_ranking, read_ranking
from benchmark.records.store import StoredRecord, read_stored
from benchmark.runs.scaling import records_of_scaling
from css_gen.storage import locking
from css_gen.storage.atomic import write_atomically

__all__ = [
    "Board",
    "Row",
    "Score",
    "Written",
    "build",
    "load_ablations",
    "load_rankings",
    "load_records",
    "load_scaling",
    "model_tables",
    "print_table",
    "stale_tables",
    "tables_of",
    "write_leaderboards",
    "write_scaling",
]


class Written(NamedTuple):
    """The files that were written, and a line for every record that was left out."""

    files: tuple[Path, ...]
    problems: tuple[str, ...]


def load_records(root: Path, *, only: Path | None = None) -> tuple[list[StoredRecord], list[str]]:
    """All records under a folder that are consistent with themselves and their dataset, and a line for every other one.

    The datasets are those of the file beside the folder (`records.known_queries`).

    Args:
        only: a folder below `root`, whose records alone are read.

    Raises:
        BenchmarkError: there is no such folder.
    """
    if not root.is_dir():
        raise BenchmarkError(f"{root}: there is no folder of records; `tirg-bench run` makes one")
    source = known_queries.place_of(root)
    known = known_queries.read(source)
    stored: list[StoredRecord] = []
    problems: list[str] = []
    for path in _files_in(root if only is None else only):
        if is_ranking(path):
            continue
        try:
            run = read_stored(path)
        except BenchmarkError as error:
            problems.append(str(error))
            continue
        problem = _elsewhere(path, root, run) or known_queries.problem(path, run.record, run.outcomes, known, source)
        if problem:
            problems.append(problem)
        else:
            stored.append(run)
    return stored, problems


def load_rankings(root: Path) -> tuple[list[StoredRanking], list[str]]:
    """All records of models that are known by their rankings, and a line for every one that cannot be used."""
    source = known_queries.place_of(root)
    known = known_queries.read(source)
    rankings: list[StoredRanking] = []
    problems: list[str] = []
    for path in filter(is_ranking, _files_in(root)):
        try:
            ranking = read_ranking(path)
        except BenchmarkError as error:
            problems.append(str(error))
            continue
        about = ranking.record, ranking.outcomes
        problem = _elsewhere(path, root, ranking) or known_queries.problem(path, *about, known, source)
        if problem:
            problems.append(problem)
        else:
            rankings.append(ranking)
    return rankings, problems


def load_ablations(out_root: Path) -> tuple[list[StoredRecord], list[str]]:
    """Load the records of ablations, as `load_records` does; none if there is no folder of them."""
    root = records_of_ablations(out_root)
    return load_records(root) if root.is_dir() else ([], [])


def load_scaling(out_root: Path) -> tuple[list[StoredRecord], list[str]]:
    """Load the records of curves over training images, as `load_ablations` does."""
    root = records_of_scaling(out_root)
    if not root.is_dir():
        return [], []
    stored, problems = load_records(root)
    kept, further = usable(stored)
    return kept, problems + further


def write_scaling(out_root: Path) -> Written:
    """Write `scaling.md` and `scaling.csv` in `out_root` again; nothing where there are no records of curves.

    Raises:
        BenchmarkError: they cannot be written.
    """
    try:
        out_root.mkdir(parents=True, exist_ok=True)
        with locking.held(out_root / ".leaderboards.lock", timeout=-1):
            stored, problems = load_scaling(out_root)
            texts = {out_root / name: content for name, content in scaling_tables(stored).items()}
            for path, content in texts.items():
                write_atomically(path, content.encode())
    except OSError as error:
        raise BenchmarkError(f"{out_root}: the tables cannot be written ({error.strerror}); check the folder") from None
    return Written(tuple(texts), tuple(problems))


def write_leaderboards(records_root: Path, out_root: Path) -> Written:
    """Write `<protocol>.md` and `<protocol>.csv` again in `out_root` for every protocol that has a folder of records,
    and for those whose data only their owners give; and `<composer>-ablations.md` and `.csv` where there are records
    of ablations; and those of `write_scaling`. Tables whose records are gone are removed.

    Two processes may do so at the same time: each reads and writes under a lock, so the last one has read everything.

    Raises:
        BenchmarkError: there is no folder of records, or the tables cannot be written.
    """
    files = []
    try:
        out_root.mkdir(parents=True, exist_ok=True)
        with locking.held(out_root / ".leaderboards.lock", timeout=-1):
            stored, problems = load_records(records_root)
            rankings, further = load_rankings(records_root)
            of_ablations, more = load_ablations(out_root)
            of_curves, still_more = load_scaling(out_root)
            problems += [*further, *more, *still_more]
            protocols = _protocols(records_root)
            texts = tables_of(stored, protocols, rankings) | ablation_tables(stored, of_ablations)
            texts |= scaling_tables(of_curves)
            for name, content in texts.items():
                files.append(out_root / name)
                write_atomically(files[-1], content.encode())
            for path in _without_records(out_root, protocols, texts):
                path.unlink()
    except OSError as error:
        raise BenchmarkError(f"{out_root}: the tables cannot be written ({error.strerror}); check the folder") from None
    return Written(tuple(files), tuple(problems))


def tables_of(
    stored: Sequence[StoredRecord], protocols: Iterable[str], rankings: Sequence[StoredRanking] = ()
) -> dict[str, str]:
    """The text of every table by the name of its file: a page for each protocol, and a CSV file where it has rows."""
    boards, models = build(stored), model_tables(rankings)
    texts: dict[str, str] = {}
    for protocol in protocols:
        mine = of_protocol(boards, protocol), of_protocol(models, protocol)
        texts[f"{protocol}.md"] = markdown_page(protocol, *mine)
        if any(mine):
            texts[f"{protocol}.csv"] = csv_table(protocol, *mine)
    return texts


def stale_tables(
    stored: Sequence[StoredRecord], records_root: Path, out_root: Path, rankings: Sequence[StoredRanking] = ()
) -> list[str]:
    """A line for each table in `out_root` that is not the one of the records, or is missing or has no records, and for
    each record of an ablation or a curve that is left out.

    Pages are compared to the letter, numbers in CSV files to six digits: another processor may round the last ones.

    Args:
        stored, rankings: what `load_records` and `load_rankings` give of `records_root`. Records of ablations are read
            from `out_root`.
    """
    remedy = "run `tirg-bench leaderboard`"
    of_ablations, problems = load_ablations(out_root)
    of_curves, further = load_scaling(out_root)
    problems += further
    protocols = _protocols(records_root)
    texts = tables_of(stored, protocols, rankings) | ablation_tables(stored, of_ablations) | scaling_tables(of_curves)
    problems += [f"{path}: its records are gone; {remedy}" for path in _without_records(out_root, protocols, texts)]
    for name, content in texts.items():
        path = out_root / name
        try:
            text = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            problems.append(f"{path}: is missing or cannot be read; {remedy}")
            continue
        if not (is_same_csv(text, content) if path.suffix == ".csv" else text == content):
            problems.append(f"{path}: is out of date; {remedy}")
    return problems


def _without_records(out_root: Path, protocols: Iterable[str], texts: Collection[str]) -> list[Path]:
    """The tables in `out_root` that are not among `texts`, of the names that are ever written there."""
    tables = {SCALING, *protocols, *tasks.names(), *(f"{composer}-ablations" for composer in ablations.names())}
    names = sorted(f"{table}.{ending}" for table in tables for ending in ("csv", "md"))
    return [path for name in names if name not in texts and (path := out_root / name).is_file()]


def _protocols(records_root: Path) -> list[str]:
    """Those that have a folder of records, and those whose data only their owners give."""
    of_owners = {name for name in tasks.names() if not tasks.get(name).is_rendered}
    there = {each.name for each in records_root.iterdir() if each.is_dir() and not each.name.startswith(".")}
    return sorted(there | of_owners)


def _files_in(root: Path) -> list[Path]:
    """The JSON files under a folder, those with hidden names left out."""
    files = sorted(root.rglob("*.json"))
    return [path for path in files if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def _elsewhere(path: Path, root: Path, stored: StoredRecord | StoredRanking) -> str:
    """Say that a record is not at its place below the folder of records; "" if it is."""
    home = root / f"{stored.record.place}.json"
    return "" if path == home else f"{path}: is not at its place among the records, {home}; move it or remove it"


def is_same_csv(text: str, other: str) -> bool:
    """Return whether two CSV files have the same cells, numbers to six digits."""
    rows, others = (list(csv.reader(io.StringIO(each))) for each in (text, other))
    return len(rows) == len(others) and all(
        len(row) == len(its) and all(map(_is_same_cell, row, its)) for row, its in zip(rows, others, strict=True)
    )


def _is_same_cell(cell: str, other: str) -> bool:
    try:
        return cell == other or isclose(float(cell), float(other), rel_tol=1e-6)
    except ValueError:
        return False
