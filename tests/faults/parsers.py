"""Every parser of ours, with valid inputs and the errors that it may raise.

Inputs of other people's parsers (Parquet, pickle, safetensors) are built well-formed, with odd contents.
"""

import io
import json
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save

from benchmark.any_model.queries import handles
from benchmark.any_model.ranking_file import RankingFile
from benchmark.cli.options import Place, Seeds
from benchmark.datasets import css_original, fashion200k, fashion_iq, plain_pickle
from benchmark.errors import BenchmarkError
from benchmark.recipe import presets
from benchmark.recipe.changes import override
from benchmark.recipe.runtime import split_assignments
from benchmark.records import known_queries, outcomes_file, tier
from benchmark.records.rankings import RankingRecord
from benchmark.records.schema import canonical, sha256
from benchmark.records.store import RunRecord, load_as
from benchmark.submissions import messages
from benchmark.tasks.css import Css
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import SilentRuns
from css_gen import tracks
from css_gen.errors import CssBenchError
from css_gen.render import render
from css_gen.scenes import modification
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.storage import folder
from css_gen.storage.configuration import Configuration
from css_gen.storage.manifest import FileEntry, read_manifest
from css_gen.tracks.plan import TrackPlan

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


@cache
def rendered() -> Path:
    root = Path(tempfile.mkdtemp(prefix="css-bench-fuzz-")) / "css"
    render(root, Configuration(images=60, size=16), jobs=1)
    return root


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


def as_parquet(content: bytes, **types: pa.DataType) -> bytes | None:
    """A Parquet file of {"columns": {name: values}}; None if the values make no column."""
    with suppress(ValueError, RecursionError, AttributeError, TypeError, KeyError, OverflowError, pa.ArrowException):
        columns = {name: pa.array(values, types.get(name)) for name, values in json.loads(content)["columns"].items()}
        sink = io.BytesIO()
        pq.write_table(pa.table(columns), sink)
        return sink.getvalue()
    return None


def outcomes(content: bytes, _: Path) -> object:
    parquet = as_parquet(content, further_hits=pa.list_(pa.int32()))
    return None if parquet is None else outcomes_file.decode(parquet, 2)


def outcome_columns() -> list[bytes]:
    columns: dict[str, Any] = {name: [1, 1] for name in ("relevant_labels", "top1", "source", "group")}
    columns |= {"rank": [1, 2], "drawn_rank": [3, 2], "relevant": [2, 1], "candidates": [9, 9]}
    columns |= {"further_hits": [[3], []], "kind": ["add", "make"]}
    return [json.dumps({"columns": columns}).encode()]


@cache
def css() -> Css:
    return Css("css", rendered(), source_view="3d", image_size=16, reporter=SilentRuns())


def ranking(content: bytes, root: Path) -> None:
    parquet = as_parquet(content)
    if parquet is not None:
        (root / "ranking.parquet").write_bytes(parquet)
        for _ in RankingFile(root / "ranking.parquet", css()):
            pass


def rankings() -> list[bytes]:
    split = css().test
    lists = [[image for image in range(30) if image != own] for own in split.queries.source_images.tolist()]
    return [json.dumps({"columns": {"query_id": list(handles(css()).ids), "image_ids": lists}}).encode()]


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


def pickled_tables(content: bytes, root: Path) -> None:
    with suppress(ValueError, RecursionError):
        array = np.empty((), dtype=object)
        array[()] = json.loads(content)
        np.save(root / css_original.TABLE_NAME, array, allow_pickle=True)
        css_original.read_tables(root)


def original_tables() -> list[bytes]:
    item = {"shape": "circle", "color": "red", "size": "small", "pos": [0.1, 0.9]}
    mod = {"from": [0], "to": [1], "to_str": "remove red circle", "type": "remove"}
    table = {"objects_img": [[item], []], "mods": [mod], "labels": ["a", "b"]}
    return [json.dumps({"train": table, "test": table}).encode()]


OPCODES: tuple[bytes, ...] = (
    pickle.MARK, pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS,
    pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.NONE, pickle.NEWTRUE, pickle.BININT1 + b"\5", pickle.POP,
    pickle.EMPTY_TUPLE,
    pickle.SHORT_BINUNICODE + b"\1a", pickle.BINPUT + b"\1", pickle.BINGET + b"\1", pickle.DUP, pickle.REDUCE,
    pickle.BUILD, pickle.NEWOBJ, pickle.STACK_GLOBAL, pickle.BINPERSID, b"cnumpy\ndtype\n", b"cnumpy\nndarray\n",
    b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy.core.multiarray\nscalar\n", b"cbuiltins\nlen\n",
)  # fmt: skip


ARRAY = bytes(
    OPCODES.index(each)
    for each in (
        b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n", pickle.TUPLE1, pickle.REDUCE,
        pickle.MARK, pickle.NONE, pickle.EMPTY_TUPLE,
        b"cnumpy\ndtype\n", pickle.SHORT_BINUNICODE + b"\1a", pickle.TUPLE1, pickle.REDUCE,
        pickle.NONE, pickle.EMPTY_LIST, pickle.NEWTRUE, pickle.APPEND, pickle.TUPLE, pickle.BUILD,
    )
)  # fmt: skip
"""An array of the object True."""


def opcodes(content: bytes, root: Path) -> None:
    """Each byte is an operation on the unpickler's stack; nothing but plain values may come of them."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    program = b"".join(OPCODES[byte % len(OPCODES)] for byte in content)
    (root / "a.npy").write_bytes(header.getvalue() + pickle.PROTO + b"\2" + program + pickle.STOP)
    json.dumps(plain_pickle.load_plain(root / "a.npy"), skipkeys=True)


def checkpoint(content: bytes, root: Path) -> object:
    (root / "a.safetensors").write_bytes(
        save({"model.a": torch.zeros(2)}, {"css_bench": content.decode(errors="replace")})
    )
    return Checkpoint.read(root / "a.safetensors")


def checkpoints() -> list[bytes]:
    recipe = presets.preset("quick").content
    run = {"task": "css", "composer": "tirg", "recipe": recipe, "seed": 0, "fingerprint": "0", "spatial": True}
    values = {
        "format": "css-bench checkpoint 2",
        "run": run,
        "tokenizer": {},
        "steps": 1,
        "seconds": 0.0,
        "code": ["", ""],
    }
    return [json.dumps(values).encode()]


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
    "operations of a pickle": Parser(opcodes, lambda: [ARRAY, bytes(range(len(OPCODES)))], (*OURS, AttributeError)),
    "checkpoint": Parser(checkpoint, checkpoints, (*OURS, RecursionError)),
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
