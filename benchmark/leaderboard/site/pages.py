"""Turn records into a folder of pages: gather what each shows, write what changed, remove what is out of date."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from benchmark import tasks as datasets
from benchmark.errors import BenchmarkError
from benchmark.explanation.rendered import Rendered, find_rendered
from benchmark.leaderboard.any_model import model_columns, model_tables, of_protocol
from benchmark.leaderboard.boards import Board, build, comparable
from benchmark.leaderboard.cells import duration, reached
from benchmark.leaderboard.columns import headings as column_headings
from benchmark.leaderboard.columns import shown_on
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.files import Written, load_rankings, load_records
from benchmark.leaderboard.fresh import NOTE
from benchmark.leaderboard.levels import MARK, doubts_of, levels_of, note_on
from benchmark.leaderboard.optional_parts import notes_on_parts
from benchmark.leaderboard.page_templates import page_templates
from benchmark.leaderboard.score_columns import has_exact_answers
from benchmark.leaderboard.site.composer_sections import Section, section
from benchmark.leaderboard.site.gallery import of_dataset
from benchmark.leaderboard.site.sources import source_files
from benchmark.leaderboard.site.thumbnails import SIDE, Thumbnails
from benchmark.records.rankings import StoredRanking
from benchmark.records.store import SUBMISSIONS, StoredRecord
from benchmark.scoring.recall import KS
from benchmark.tasks import SOURCES
from css_gen.storage.atomic import write_atomically
from css_gen.storage.locking import held
from models.errors import RegistryError
from models.registry import get

_STYLE = "style.css"
_ON_THE_FRONT = 4
_WRITTEN = ("*.html", "board/*.html", "composer/*/*.html", "dataset/*.html", "images/*.webp")
"""Removed where no record asks for them any more."""


class _Table(NamedTuple):
    """A board with its sections, in the order of its rows."""

    board: Board
    sections: tuple[Section, ...]
    rendered: Rendered | str


def write_site(records_root: Path, out_root: Path) -> Written:
    """Write the site of these records to `out_root/site`. Pages and pictures that no record asks for are removed.

    Raises:
        BenchmarkError: there is no folder of records, or the site cannot be written.
    """
    root = out_root / "site"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with held(out_root / ".leaderboards.lock", timeout=-1):
            stored, problems = load_records(records_root)
            rankings, further = load_rankings(records_root)
            problems += further
            files = _site(stored, rankings, out_root / SUBMISSIONS)
            for name, content in files.items():
                _write(root / name, content)
            kept = {root / name for name in files}
            for stale in {path for pattern in _WRITTEN for path in root.glob(pattern)} - kept:
                stale.unlink()
    except OSError as error:
        raise BenchmarkError(f"{root}: the site cannot be written ({error.strerror}); check the folder") from None
    return Written(tuple(root / name for name in files), tuple(problems))


def _site(stored: Sequence[StoredRecord], rankings: Sequence[StoredRanking], submissions: Path) -> dict[str, bytes]:
    """Every file's content under its path in the site."""
    thumbnails = Thumbnails()
    tables = list(_tables(stored, thumbnails))
    by_protocol: dict[str, list[_Table]] = {name: [] for name in datasets.names()}
    for table in tables:
        by_protocol.setdefault(table.board.protocol, []).append(table)
    models = model_tables(rankings)
    for protocol in (table.protocol for table in models):
        by_protocol.setdefault(protocol, [])
    by_dataset: dict[str, list[_Table]] = {}
    for table in tables:
        by_dataset.setdefault(table.board.dataset.fingerprint, []).append(table)

    environment = _environment()
    files: dict[str, bytes] = {}

    def page(path: str, template: str, **values: Any) -> None:
        up = "../" * path.count("/")
        files[path] = environment.get_template(template).render(up=up, **values).encode()

    shown = next((table.rendered for table in tables if isinstance(table.rendered, Rendered)), None)
    examples = of_dataset(shown, thumbnails)[:_ON_THE_FRONT] if shown else []
    page("index.html", "index.html.jinja", by_protocol=by_protocol, by_dataset=by_dataset, examples=examples)
    for protocol, found in by_protocol.items():
        task = datasets.find(protocol)
        rows = sorted(task.published if task else (), key=lambda row: -row.recall.get(1, -1.0))
        published = [(_title_of(row.method), row) for row in rows]
        columns = shown_on("site", task)
        path = f"board/{protocol}.html"
        page(
            path,
            "board.html.jinja",
            protocol=protocol,
            tables=found,
            published=published,
            columns=columns,
            models=of_protocol(models, protocol),
            model_columns=model_columns(task),
        )
        for name, sections in _by_composer(found).items():
            sources = source_files(name, submissions)
            path = f"composer/{protocol}/{name}.html"
            page(path, "composer.html.jinja", protocol=protocol, sections=sections, sources=sources)
    for fingerprint, found in by_dataset.items():
        rendered = found[0].rendered
        there = rendered if isinstance(rendered, Rendered) else None
        page(
            f"dataset/{fingerprint}.html",
            "dataset.html.jinja",
            tables=found,
            missing="" if there else rendered,
            rendered=there,
            examples=of_dataset(there, thumbnails) if there else [],
            counts=there.counts() if there else {},
        )
    files[_STYLE] = _text(environment, _STYLE).encode()
    return files | {f"images/{name}": content for name, content in sorted(thumbnails.files.items())}


def _tables(stored: Sequence[StoredRecord], thumbnails: Thumbnails) -> Iterator[_Table]:
    opened: dict[tuple[str, str], Rendered | str] = {}
    for board, runs in zip(build(stored), comparable(stored), strict=True):
        task = datasets.find(board.protocol)
        place = (task.folder if task else board.protocol, board.dataset.fingerprint)
        if place not in opened:
            opened[place] = find_rendered(runs[0])
        rendered = opened[place]
        of_row = {row.composer.name: [run for run in runs if run.record.composer == row.composer] for row in board.rows}
        sections = (
            section(number, board, row, of_row[row.composer.name], rendered, thumbnails)
            for number, row in enumerate(board.rows)
        )
        yield _Table(board, tuple(sections), rendered)


def _by_composer(tables: Sequence[_Table]) -> dict[str, list[Section]]:
    found: dict[str, list[Section]] = {}
    for table in tables:
        for each in table.sections:
            found.setdefault(each.row.composer.name, []).append(each)
    return dict(sorted(found.items()))


def _environment() -> Environment:
    environment = page_templates("benchmark.leaderboard.site")
    environment.filters |= {"percent": _percent, "path": _path, "web": _web, "duration": duration}
    script = _text(environment, "script.js")
    environment.globals |= {
        "ALL": ALL,
        "KS": KS,
        "MARK": MARK,
        "NOTE_ON_FRESH": NOTE,
        "doubts_of": doubts_of,
        "levels_of": levels_of,
        "note_on": note_on,
        "notes_on_parts": notes_on_parts,
        "reached": reached,
        "column_headings": column_headings,
        "side": SIDE,
        "published_sources": SOURCES,
        "title_of_protocol": _title_of_protocol,
        "headings": _headings(),
        "has_exact_answers": has_exact_answers,
        "task_of": datasets.find,
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment


def _text(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _title_of_protocol(protocol: str) -> str:
    task = datasets.find(protocol)
    return task.about if task else protocol


def _headings() -> dict[str, str]:
    """Of slices, by attribute."""
    return {name: each.heading for task in map(datasets.get, datasets.names()) for name, each in task.slices.items()}


def _title_of(composer: str) -> str:
    try:
        return get(composer).info.title
    except RegistryError:
        return composer


def _percent(value: float) -> str:
    """Format with one decimal, or with two significant digits below one."""
    return f"{value:.1f}" if value >= 1 or value == 0 else f"{value:#.2g}"


def _path(path: str) -> str:
    """Percent-encoded, for an address relative to the page."""
    return quote(path)


def _web(url: str) -> str:
    """The address if it is one of the web, else nothing: a page's link runs no script."""
    return url if url.startswith(("https://", "http://")) else ""


def _write(path: Path, content: bytes) -> None:
    """Write a file unless it holds this already."""
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A site has thousands of files; one that a power failure empties is written again from the records.
        write_atomically(path, content, is_synced=False)
