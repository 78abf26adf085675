"""The tables of the records: for every task a Markdown page and a CSV file, and whether these are up to date.

The files are a pure function of the records, so whoever regenerates them gets the same bytes.
"""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from math import isclose
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark import ablations, tasks
from benchmark.ablations.runs import records_of_ablations
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.ablation_tables import ablation_tables
from benchmark.leaderboard.any_model import model_tables, of_protocol
from benchmark.leaderboard.boards import Board, Row, build
from benchmark.leaderboard.scores import Score
from benchmark.leaderboard.tables import csv_table, markdown_page, print_table
from benchmark.records.rankings import StoredRanking, is_ranking, read_ranking
from benchmark.records.store import StoredRecord, read_stored
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
    "model_tables",
    "print_table",
    "stale_tables",
    "tables_of",
    "write_leaderboards",
]


class Written(NamedTuple):
    """The files that were written, and a line for every record that was left out."""

    files: tuple[Path, ...]
    problems: tuple[str, ...]


def load_records(root: Path) -> tuple[list[StoredRecord], list[str]]:
    """All records under a folder that are consistent with themselves and each other, and a line for every other one.

    Raises:
        BenchmarkError: there is no such folder.
    """
    if not root.is_dir():
        raise BenchmarkError(f"{root}: there is no folder of records; `tirg-bench run` makes one")
    stored: list[StoredRecord] = []
    problems: list[str] = []
    first_with: dict[tuple[object, ...], StoredRecord] = {}
    for path in sorted(root.rglob("*.json")):
        if any(part.startswith(".") for part in path.relative_to(root).parts) or is_ranking(path):
            continue
        try:
            run = read_stored(path)
        except BenchmarkError as error:
            problems.append(str(error))
            continue
        first = first_with.setdefault(_scored_data(run), run)
        if _has_same_queries(run, first):
            stored.append(run)
        else:
            problems.append(f"{path}: names the dataset of {first.path} but holds other queries; run it again")
    return stored, problems


def load_rankings(root: Path, stored: Sequence[StoredRecord]) -> tuple[list[StoredRanking], list[str]]:
    """All records of models that are known by their rankings, and a line for every one that cannot be used.

    Args:
        root: the folder of records.
        stored: what `load_records` gives of it; models that were asked other queries on the same data are left out.
    """
    first_with: dict[tuple[object, ...], StoredRecord | StoredRanking] = {}
    for run in stored:
        first_with.setdefault(_scored_data(run), run)
    rankings: list[StoredRanking] = []
    problems: list[str] = []
    for path in sorted(path for path in root.glob("*/*/*.json") if is_ranking(path)):
        try:
            ranking = read_ranking(path)
        except BenchmarkError as error:
            problems.append(str(error))
            continue
        first = first_with.setdefault((ranking.record.protocol, ranking.record.dataset.fingerprint, None), ranking)
        if _has_same_queries(ranking, first):
            rankings.append(ranking)
        else:
            problems.append(f"{path}: names the dataset of {first.path} but holds other queries; score it again")
    return rankings, problems


def load_ablations(out_root: Path) -> tuple[list[StoredRecord], list[str]]:
    """Load the records of ablations, as `load_records` does; none if there is no folder of them."""
    root = records_of_ablations(out_root)
    return load_records(root) if root.is_dir() else ([], [])


def write_leaderboards(records_root: Path, out_root: Path) -> Written:
    """Write `<protocol>.md` and `<protocol>.csv` again in `out_root` for every protocol that has a folder of records,
    and for those whose data only their owners give; and `<composer>-ablations.md` and `.csv` where there are records
    of ablations. Tables whose records are gone are removed.

    Two processes may do so at the same time: each reads and writes under a lock, so the last one has read everything.

    Raises:
        BenchmarkError: there is no folder of records, or the tables cannot be written.
    """
    files = []
    try:
        out_root.mkdir(parents=True, exist_ok=True)
        with locking.held(out_root / ".leaderboards.lock", timeout=-1):
            stored, problems = load_records(records_root)
            rankings, further = load_rankings(records_root, stored)
            of_ablations, more = load_ablations(out_root)
            problems += [*further, *more]
            protocols = _protocols(records_root)
            texts = tables_of(stored, protocols, rankings) | ablation_tables(stored, of_ablations)
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
    each record of an ablation that is left out.

    Pages are compared to the letter, numbers in CSV files to six digits: another processor may round the last ones.

    Args:
        stored, rankings: what `load_records` and `load_rankings` give of `records_root`. Records of ablations are read
            from `out_root`.
    """
    remedy = "run `tirg-bench leaderboard`"
    of_ablations, problems = load_ablations(out_root)
    protocols = _protocols(records_root)
    texts = tables_of(stored, protocols, rankings) | ablation_tables(stored, of_ablations)
    problems += [f"{path}: its records are gone; {remedy}" for path in _without_records(out_root, protocols, texts)]
    for name, content in texts.items():
        path = out_root / name
        try:
            text = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            problems.append(f"{path}: is missing or cannot be read; {remedy}")
            continue
        if not (_is_same_csv(text, content) if path.suffix == ".csv" else text == content):
            problems.append(f"{path}: is out of date; {remedy}")
    return problems


def _without_records(out_root: Path, protocols: Iterable[str], texts: Collection[str]) -> list[Path]:
    """The tables in `out_root` that are not among `texts`, of the names that are ever written there."""
    tables = {*protocols, *tasks.names(), *(f"{composer}-ablations" for composer in ablations.names())}
    names = sorted(f"{table}.{ending}" for table in tables for ending in ("csv", "md"))
    return [path for name in names if name not in texts and (path := out_root / name).is_file()]


def _protocols(records_root: Path) -> list[str]:
    """Those that have a folder of records, and those whose data only their owners give."""
    of_owners = {name for name in tasks.names() if not tasks.get(name).is_rendered}
    there = {each.name for each in records_root.iterdir() if each.is_dir() and not each.name.startswith(".")}
    return sorted(there | of_owners)


def _scored_data(run: StoredRecord) -> tuple[object, ...]:
    """What decides the queries that a record holds: the data and, where the validation part was scored, that part."""
    recipe = run.record.configuration
    part = {key: value for key, value in recipe.items() if key.startswith("evaluation.")}
    is_validation = part.get("evaluation.split") == "validation"
    return run.record.protocol, run.record.dataset.fingerprint, tuple(sorted(part.items())) if is_validation else None


def _is_same_csv(text: str, other: str) -> bool:
    rows, others = (list(csv.reader(io.StringIO(each))) for each in (text, other))
    return len(rows) == len(others) and all(
        len(row) == len(its) and all(map(_is_same_cell, row, its)) for row, its in zip(rows, others, strict=True)
    )


def _is_same_cell(cell: str, other: str) -> bool:
    try:
        return cell == other or isclose(float(cell), float(other), rel_tol=1e-6)
    except ValueError:
        return False


def _has_same_queries(run: StoredRecord | StoredRanking, other: StoredRecord | StoredRanking) -> bool:
    mine, others = run.outcomes, other.outcomes
    if mine.attributes.keys() != others.attributes.keys():
        return False
    pairs = [(getattr(mine, name), getattr(others, name)) for name in ("relevant", "candidates", "sources")]
    pairs += [(column, others.optional[name]) for name, column in mine.optional.items() if name in others.optional]
    pairs += [(column, others.attributes[name]) for name, column in mine.attributes.items()]
    return all(np.array_equal(left, right) for left, right in pairs)
