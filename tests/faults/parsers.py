"""Every parser of ours, with valid inputs and the errors that it may raise.

Those of files in other people's formats are in `built_files`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmark.cli.options import Place, Seeds
from benchmark.datasets import fashion200k, fashion_iq
from benchmark.errors import BenchmarkError
from benchmark.recipe import presets
from benchmark.recipe.changes import override
from benchmark.recipe.runtime import split_assignments
from benchmark.records import known_queries, tier
from benchmark.records.rankings import RankingRecord
from benchmark.records.schema import canonical, sha256
from benchmark.records.store import RunRecord, load_as
from benchmark.submissions import messages
from css_gen import tracks
from css_gen.errors import CssBenchError
from css_gen.scenes import modification
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.storage import folder
from css_gen.storage.configuration import Configuration
from css_gen.storage.manifest import FileEntry, read_manifest
from css_gen.tracks.plan import TrackPlan
from tests.faults.built_files import (
    ARRAY,
    OPCODES,
    checkpoint,
    checkpoints,
    opcodes,
    original_tables,
    outcome_columns,
    outcomes,
    pickled_tables,
    ranking,
    rankings,
    rendered,
)

RECORDS = Path(__file__).parents[2] / "leaderboards/records"
OURS = (CssBenchError, BenchmarkError)


@dataclass(frozen=True)
class Parser:
    """Attributes:
    parse: takes the content, and an empty folder to put it into.
    seeds: valid contents.
    errors: what it may raise.
    """

    parse: Callable[[bytes, Path], object]
    seeds: Callable[[], list[bytes]]
    errors: tuple[type[BaseException], ...] = OURS


def text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def queries(name: str) -> Iterator[Any]:
    plan = TrackPlan(name, 60, seed=0, split=SplitId.TEST, held_out=HeldOut.sample(seed=0))
    return (query.modification for query in plan.queries(0, 8))


def reads_back(parse: Callable[[str], Any], written: Callable[[Any], str]) -> Callable[[bytes, Path], None]:
    """A parser whose results have to be read back from what they write."""

    def check(content: bytes, _: Path) -> None:
        found = parse(text(content))
        assert parse(written(found)) == found

    return check


def a_file(read: Callable[[Path], object], name: str) -> Callable[[bytes, Path], object]:
    def check(content: bytes, root: Path) -> object:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        return read(root / name)

    return check


def manifests() -> list[bytes]:
    return [(rendered() / "manifest.json").read_bytes()]


def notes(content: bytes, root: Path) -> None:
    (root / ".progress").mkdir()
    for name in ("configuration.json", "train.queries.parquet.json"):
        (root / ".progress" / name).write_bytes(content)
    entry = folder.done_entry(root, "train/queries.parquet")
    assert entry is None, entry
    folder.begun(root)


def notes_of_files() -> list[bytes]:
    state = {"generator_version": "1", "configuration": Configuration(images=60, size=16).to_json()}
    return [json.dumps(state).encode(), json.dumps(vars(FileEntry(1, 2, "a", "b"))).encode()]


def records() -> list[bytes]:
    files = sorted(RECORDS.glob("css/*/*.json"), key=lambda path: path.stat().st_size)
    return [path.read_bytes() for path in files[:2]]


def ranking_records() -> list[bytes]:
    values = json.loads(records()[0])
    name = f"ranking-{values['dataset']['fingerprint'][:8]}"
    mine = {
        "name": "mine",
        "title": "Mine",
        "author": "A",
        "url": "https://example.org",
        "given": "ranking",
        "depth": 50,
    }
    mine["ranks"] = {**values["ranks"], "path": f"{name}.parquet"}
    mine["files"] = [{"path": "a.parquet", "sha256": values["ranks"]["sha256"]}]
    return [
        json.dumps({key: value for key, value in values.items() if key in RankingRecord.model_fields} | mine).encode()
    ]


def sealed(kind: type[Any]) -> Callable[[bytes, Path], object]:
    """A record whose checksum is right, so that its fields are looked at."""

    def check(content: bytes, root: Path) -> object:
        with suppress(ValueError, RecursionError):
            values = json.loads(content)
            if isinstance(values, dict):
                values.pop("sha256", None)
                content = json.dumps(values | {"sha256": sha256(canonical(values))}).encode()
        return a_file(lambda path: load_as(path, kind), "record.json")(content, root)

    return check


def note(path: Path) -> object:
    path.with_suffix(".json").write_bytes(b"{}")
    return tier.note_on(path.with_suffix(".json"))


def fashion200k_labels(content: bytes, root: Path) -> None:
    (root / "labels").mkdir()
    for name in ("labels/a_train_detect_all.txt", "labels/a_test_detect_all.txt", "test_queries.txt"):
        (root / name).write_bytes(content)
    fashion200k.read_labels(root)


def fashion_iq_files(content: bytes, root: Path) -> None:
    for name in ("captions", "image_splits", "images"):
        (root / name).mkdir()
    (root / "images/a.png").touch()
    for split in fashion_iq.SPLITS:
        for category in fashion_iq.CATEGORIES:
            (root / f"captions/cap.{category}.{split}.json").write_bytes(content)
            (root / f"image_splits/split.{category}.{split}.json").write_bytes(content)
    fashion_iq.read_annotations(root)


def assignments(content: bytes, _: Path) -> None:
    recipe, _values = split_assignments((text(content),))
    override(presets.preset("quick"), recipe)


PARSERS: dict[str, Parser] = {
    "modification text": Parser(
        reads_back(modification.parse, lambda each: each.text),
        lambda: [b"add large red circle to top-left", b"remove object", b"make middle-right cube blue"],
        (ValueError,),
    ),
    "modification JSON": Parser(
        reads_back(modification.from_json, lambda each: each.to_json()),
        lambda: [modification.parse(each).to_json().encode() for each in ("add red circle", "make small object cyan")],
        (ValueError,),
    ),
    "scene JSON": Parser(
        reads_back(Scene.from_json, lambda each: each.to_json()),
        lambda: [b'[{"cell": "top-left", "size": "small", "colour": "red", "shape": "circle"}]', b"[]"],
        (ValueError,),
    ),
    "manifest": Parser(a_file(lambda path: read_manifest(path.parent), "manifest.json"), manifests),
    "notes of a rendering": Parser(notes, notes_of_files),
    "record": Parser(sealed(RunRecord), records),
    "record of a ranking": Parser(sealed(RankingRecord), ranking_records),
    "datasets.json": Parser(
        a_file(known_queries.read, "datasets.json"), lambda: [(RECORDS.parent / "datasets.json").read_bytes()]
    ),
    "verification note": Parser(
        a_file(note, "a.verified"),
        lambda: [b'{"tier": "re-scored", "record_sha256": "0", "recall_at_1": 1.0, "checked": "2026-01-01"}'],
    ),
    "outcomes": Parser(outcomes, outcome_columns, (ValueError,)),
    "ranking": Parser(ranking, rankings),
    "labels of Fashion200k": Parser(
        fashion200k_labels, lambda: [b"women/a.jpg\t0.5\tred dress\nwomen/b.jpg\t0.5\tblue dress\n", b"a b\n"]
    ),
    "files of FashionIQ": Parser(
        fashion_iq_files, lambda: [b'["a"]', b'[{"candidate": "a", "target": "a", "captions": ["is red"]}]']
    ),
    "labels of CSS": Parser(pickled_tables, original_tables),
    "operations of a pickle": Parser(opcodes, lambda: [ARRAY, bytes(range(len(OPCODES)))]),
    "checkpoint": Parser(checkpoint, checkpoints),
    "--set": Parser(assignments, lambda: [b"training.steps=5", b"evaluation.every=3", b"model.text_encoder=lstm"]),
    "--seeds": Parser(lambda content, _: Seeds().convert(text(content), None, None), lambda: [b"3", b"0,1"],
                      (click.UsageError,)),
    "--data": Parser(lambda content, _: Place().convert(text(content), None, None), lambda: [b"css=data/css"],
                     (click.UsageError,)),
    "message of a submission": Parser(
        lambda content, _: messages.parse(content), lambda: [b'{"event": "finding", "what": "a"}'], (ValueError,)
    ),
    "command to a submission": Parser(
        lambda content, _: messages.parse_command(content), lambda: [messages.Examine().model_dump_json().encode()],
        (ValueError,),
    ),
}  # fmt: skip
for _name in tracks.names():
    PARSERS[f"text of {_name}"] = Parser(
        lambda content, _, name=_name: tracks.get(name).parse(text(content)),  # type: ignore[misc]
        lambda name=_name: [each.text.encode() for each in queries(name)],  # type: ignore[misc]
        (ValueError,),
    )
    PARSERS[f"JSON of {_name}"] = Parser(
        reads_back(tracks.get(_name).from_json, lambda each: each.to_json()),
        lambda name=_name: [each.to_json().encode() for each in queries(name)],  # type: ignore[misc]
        (ValueError,),
    )
