"""Valid and odd contents of other people's formats, well-formed always: Parquet, pickle, safetensors.

A content is JSON, or a list of operations, that a file is built from.
"""

import io
import json
import pickle
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save

from benchmark.any_model.queries import handles
from benchmark.any_model.ranking_file import RankingFile
from benchmark.datasets import css_original, plain_pickle
from benchmark.recipe import presets
from benchmark.records import outcomes_file
from benchmark.tasks.css import Css
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import SilentRuns
from css_gen.render import render
from css_gen.storage.configuration import Configuration


@cache
def rendered() -> Path:
    root = Path(tempfile.mkdtemp(prefix="css-bench-fuzz-")) / "css"
    render(root, Configuration(images=60, size=16), jobs=1)
    return root


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
    values = {"format": "css-bench checkpoint 2", "run": run, "tokenizer": {}, "steps": 1, "seconds": 0.0}
    return [json.dumps(values | {"code": ["", ""]}).encode()]
