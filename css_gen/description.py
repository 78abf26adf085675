"""Describe a dataset in tables, for `css-gen info`."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
from rich.console import Console
from rich.table import Column, Table

from css_gen import dataset
from css_gen.progress import Reporter, Silent
from css_gen.scenes.ceiling import best_recall_at_1
from css_gen.scenes.randomness import SplitId
from css_gen.storage.configuration import CSS, FULL_SIZE_FINGERPRINT, LEADERBOARD_FINGERPRINT
from css_gen.storage.estimate import human_bytes
from css_gen.storage.plan import queries_name
from css_gen.storage.reader import open_parquet, reading
from css_gen.tracks import Track, registry
from css_gen.tracks.certificate import Certificate, Question, certify

MOST_FILES = 400
"""Of a dataset that is described from all of its files; from a larger one, the manifest and the queries are read."""


def print_description(
    root: Path, console: Console | None = None, reporter: Reporter | None = None, *, all_files: bool = False
) -> None:
    """Print the contents of a dataset; the certificate of a large track takes some seconds, which `reporter` is told.

    Args:
        all_files: read all files of a dataset however many there are.

    Raises:
        DatasetError: there is none, or its queries cannot be read.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    opened = dataset.open(root)
    manifest = opened.manifest
    size = sum(entry.bytes for entry in manifest.files.values())
    title = f"CSS dataset in {root}" if opened.track == CSS else f"Dataset of the track {opened.track} in {root}"
    about = Table("", Column(overflow="fold"), show_header=False, title=title, title_justify="left")
    about.add_row("fingerprint", manifest.fingerprint)
    for name in opened.split_names:
        about.add_row(f"  of {name}", manifest.split_fingerprint(name))
    if opened.track == CSS:
        about.add_row("leaderboard", _leaderboard(manifest.fingerprint))
    about.add_row("made by", f"css-gen {manifest.generator_version}")
    about.add_row("on disk", f"{human_bytes(size)} in {len(manifest.files)} files")
    for name, value in manifest.configuration.to_json().items():
        about.add_row(name, (", ".join(value) or "nothing") if isinstance(value, list) else str(value))
    console.print(about)

    splits = {name: opened.split(name) for name in opened.split_names}
    counts, novel = {}, {}
    for name in splits:
        counts[name], novel[name] = _kinds(root, name)
    is_read = all_files or len(manifest.files) <= MOST_FILES
    table = Table("", *splits, title="Counts", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("images", *(f"{split.counts.images:,}" for split in splits.values()))
    table.add_row("references", *(f"{split.counts.references:,}" for split in splits.values()))
    if is_read:
        table.add_row("different scenes", *(f"{len(set(split.keys)):,}" for split in splits.values()))
    table.add_row("queries", *(f"{split.counts.queries:,}" for split in splits.values()))
    for kind in sorted(set().union(*counts.values())):
        table.add_row(f"  {kind}", *(f"{counts[name][kind]:,}" for name in splits))
    table.add_row("  novel", *(f"{novel[name]:,}" for name in splits))
    if is_read and opened.track == CSS:
        table.add_row("best Recall@1", *(f"{_best_recall(split):.1f}" for split in splits.values()))
    elif is_read:
        _add_certificate(table, opened.track, splits, reporter or Silent())
    console.print(table)
    if not is_read:
        console.print(f"What needs the scenes of all {len(manifest.files):,} files is left out: add --all for it.")

    held_out = Table("split", "only shown here", title="Held-out combinations", title_justify="left")
    for name, combinations in manifest.held_out.items():
        held_out.add_row(name.removesuffix("_only"), ", ".join(combinations))
    console.print(held_out)


def _leaderboard(fingerprint: str) -> str:
    if fingerprint == LEADERBOARD_FINGERPRINT:
        return "this is the leaderboard's data"
    if fingerprint == FULL_SIZE_FINGERPRINT:
        return "this is the data of the leaderboard's rows at full size"
    return (
        "other data; the leaderboard's has the fingerprint\n"
        f"{LEADERBOARD_FINGERPRINT[:8]}: css-gen render --n 20000\n"
        f"{FULL_SIZE_FINGERPRINT[:8]}: css-gen render --n 38024 --size 128 (full size)"
    )


def _kinds(root: Path, split: str) -> tuple[Counter[str], int]:
    """Count the queries of a split by kind, and those about novel combinations."""
    name = queries_name(SplitId[split.upper()])
    counts, novel = Counter[str](), 0
    with reading(root, name):
        for batch in open_parquet(root / name).iter_batches(columns=["kind", "novel"]):
            for each in pc.value_counts(batch["kind"]).to_pylist():
                counts[each["values"]] += each["counts"]
            novel += pc.sum(batch["novel"]).as_py() or 0
    return counts, novel


def _best_recall(split: dataset.Split) -> float:
    sources = [split.scene(image) for image in range(split.counts.references)]
    queries = ((sources[query.source_id], query.modification) for query in split.iter_queries())
    return best_recall_at_1(queries, frozenset(split.keys))


def _add_certificate(table: Table, name: str, splits: dict[str, dataset.Split], reporter: Reporter) -> None:
    """Add the distractors by what is wrong with them, and the test split's certificate in percent of its queries."""
    track = registry.get(name)
    reasons = [Counter(why for row in split.iter_queries() for why, _ in row.distractors) for split in splits.values()]
    for why in track.contrasts:
        table.add_row(f"distractors: {why}", *(f"{count[why]:,}" for count in reasons))
    certificates = {name: _certificate(track, split, reporter) for name, split in splits.items() if name == "test"}
    rows: dict[str, Callable[[Certificate], float]] = {
        f"Recall@1, {track.shortcut.name}": lambda each: each.shortcut_recall,
        "Recall@1, chance": lambda each: each.chance,
        "Recall@1, centre of the block": lambda each: each.centre,
        "Recall@1, chance in the block": lambda each: each.centre_chance,
        "% the text alone determines": lambda each: each.text_alone,
        "% the source alone determines": lambda each: each.source_alone,
    }
    for label, figure in rows.items():
        table.add_row(label, *(f"{figure(certificates[each]):.2f}" if each in certificates else "" for each in splits))


def _certificate(track: Track, split: dataset.Split, reporter: Reporter) -> Certificate:
    questions = [
        Question(query.modification, query.source_id, query.target_id, tuple(image for _, image in query.distractors))
        for query in split.iter_queries()
    ]
    gallery = [split.scene(image) for image in range(len(split))]
    with reporter.track("certificate", len(questions), "queries") as report:
        return certify(track, questions, gallery, report=report)
