"""One of each thing that can be added takes one file or two, and the rest of the program picks it up.

The parts of `added_parts` are written into a copy of the packages, and one process runs the commands on it.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from benchmark.leaderboard.levels import MARK
from tests.added_parts import ADDED
from tests.benchmark.tiny import TINY

ROOT = Path(__file__).parents[1]
RATE = 0.001
MODEL = "model.safetensors"

TRAINING = [
    *TINY, "--set=training.schedule=constant", "--set=training.warmup=0", "--set=training.scale_factor=1",
    "--set=training.weight_decay=0", f"--set=training.learning_rate={RATE}",
]  # fmt: skip
RUN = ["tirg-bench", "run", "--composer", "shifted", "--preset", "quick", "--threads", "1", "--out", "boards"]
COMMANDS = {
    "render": ["css-gen", "render", "--n", "120", "--size", "32", "--jobs", "1"],
    "verify data": ["css-gen", "verify", "data/css", "--jobs", "1"],
    "info": ["css-gen", "info", "data/css"],
    "export": ["css-gen", "export", "data/css", "--format", "texts", "--out", "texts"],
    "list": ["tirg-bench", "list"],
    "run": [*RUN, "--dataset", "css", "--dataset", "shades", *TRAINING],
    "loss": [*RUN, "--dataset", "css", *TRAINING, "--set", "training.loss=flat"],
    "optimiser": [*RUN, "--dataset", "css", *TRAINING, "--set", "training.optimiser=signs"],
    "encoders": [*RUN, "--dataset", "css", *TRAINING, "--set", "model.text_encoder=text_bytes",
                 "--set", "model.image_encoder=patches"],
    "verify": ["tirg-bench", "verify", "--out", "boards"],
    "site": ["tirg-bench", "leaderboard", "--html", "--out", "boards"],
}  # fmt: skip

PROCESS = """
import json, sys
import benchmark.cli.main, css_gen.cli, css_gen.dataset
from click.testing import CliRunner
from css_gen.scenes.modification import parse

programs = {"css-gen": css_gen.cli.main, "tirg-bench": benchmark.cli.main.main}
outputs = {}
for name, (program, *arguments) in json.load(sys.stdin).items():
    result = CliRunner().invoke(programs[program], arguments)
    assert result.exit_code == 0, f"{program} {' '.join(arguments)}\\n{result.output}"
    outputs[name] = result.output
queries = list(css_gen.dataset.open("data/css").split("test").iter_queries())
outputs["texts"] = [[query.kind, query.text, parse(query.text) == query.modification] for query in queries]
print(json.dumps(outputs), file=sys.__stdout__)
"""


class Grown(NamedTuple):
    """What the commands left behind: a folder, and what each printed."""

    folder: Path
    said: dict[str, Any]

    def record(self, task: str, *parts: str) -> Path:
        """The record of the run whose recipe names these parts."""
        found = []
        for path in (self.folder / "boards" / "records" / task / "shifted").glob("*.json"):
            configuration = json.loads(path.read_text())["configuration"]
            if {"flat", "signs", "text_bytes", "patches"} & set(configuration.values()) == set(parts):
                found.append(path)
        (path,) = found
        return path

    def weights(self, *parts: str) -> dict[str, npt.NDArray[Any]]:
        """What that run on CSS has trained, running statistics left out."""
        tensors = load_file(self.folder / "runs" / "css" / "shifted" / self.record("css", *parts).stem / MODEL)
        return {name: value for name, value in tensors.items() if not re.search(r"running_|num_batches", name)}

    def tables(self, task: str) -> list[list[dict[str, str]]]:
        """The tables of a task's page: a dictionary for each line."""
        blocks = re.findall(r"(?:^\|.*\n)+", (self.folder / "boards" / f"{task}.md").read_text(), re.MULTILINE)
        split = [[[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()] for block in blocks]
        return [[dict(zip(header, line, strict=True)) for line in lines] for header, _, *lines in split]

    def csv(self, task: str) -> list[dict[str, str]]:
        with (self.folder / "boards" / f"{task}.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def terminal(self, task: str) -> dict[str, str]:
        """The row of a task's board, as the first `run` printed it."""
        lines = self.said["run"].partition(f"\n{task}, preset")[2].splitlines()[1:]
        header, _, row, *_ = [re.split(r"\s{2,}", line.strip()) for line in lines if line.strip()]
        return dict(zip(header, row, strict=True))


def add(file: Path, text: str, place: str = "") -> None:
    """Write a new file; or, in a file that exists, the text behind a place that occurs once."""
    assert file.exists() == bool(place), file
    before = file.read_text() if place else ""
    assert not place or before.count(place) == 1, f"{file}: where is {place!r}?"
    file.write_text(before.replace(place, place + text) if place else text)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    root = tmp_path_factory.mktemp("grown")
    for package in ("css_gen", "models", "benchmark"):
        # Compiled modules come along; not those that another process is writing, nor kernels, whose cache is shared.
        others = shutil.ignore_patterns(".*", "*.pyc.*", "kernels-*")
        shutil.copytree(ROOT / package, root / "packages" / package, ignore=others)
    for changes in ADDED.values():
        for path, *place, text in changes:
            add(root / "packages" / path, text, *place)
    (root / "work").mkdir()
    environment = {
        "NUMBA_CACHE_DIR": str(ROOT / "css_gen" / "rendering" / "kernels" / "__pycache__"),
        **os.environ,
        "PYTHONPATH": str(root / "packages"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROCESS],
        input=json.dumps(COMMANDS),
        cwd=root / "work",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Grown(root / "work", json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("what", ADDED)
def test_each_takes_one_file_or_two(what: str) -> None:
    files = {path for path, *_ in ADDED[what]}
    assert len(files) <= (2 if what in ("metric", "kind of modification") else 1)


def test_a_task_is_listed_made_run_and_shown(grown: Grown) -> None:
    listed = r" shades +cards of one grey each +data/grey-cards \(absent: `run` makes it\)"
    assert re.search(listed, grown.said["list"])
    assert (grown.folder / "data" / "grey-cards" / "greys.txt").exists()
    record = json.loads(grown.record("shades").read_text())
    assert (record["dataset"]["queries"], record["dataset"]["gallery"]) == (48, 25)
    assert (grown.folder / "boards" / "shades.md").read_text().startswith("# Shades of grey\n")
    assert {line["slice"]: line["queries"] for line in grown.csv("shades")} == {
        "all": "48", "direction=lighter": "24", "direction=darker": "24",
    }  # fmt: skip
    (by_direction,) = [table for table in grown.tables("shades") if "lighter" in table[0]]
    assert list(by_direction[0]) == ["Composer", "lighter", "darker"]
    page = (grown.folder / "boards" / "site" / "board" / "shades.html").read_text()
    assert "<h1>cards of one grey each" in page
    assert "direction of the step" in page


def test_a_composer_is_trained(grown: Grown) -> None:
    assert " shifted " in grown.said["list"]
    before, after = grown.weights("flat"), grown.weights()
    for name in ("weight", "bias"):
        assert (before[f"model.composer.shift.{name}"] != after[f"model.composer.shift.{name}"]).any()
    assert {line["title"] for line in grown.csv("css")} == {"Shifted"}


def test_a_loss_and_an_optimiser_are_what_trains(grown: Grown) -> None:
    """Without a slope the weights stay; by their signs they move by the rate in each of the two steps."""
    before, learnt, moved = grown.weights("flat"), grown.weights(), grown.weights("signs")
    steps = [np.abs(moved[name] - before[name]).ravel() / RATE for name in before]
    taken = np.concatenate(steps)
    assert np.allclose(taken, taken.round(), atol=1e-2)
    assert set(taken.round()) == {0.0, 1.0, 2.0}
    assert not np.allclose(np.concatenate([np.abs(learnt[name] - moved[name]).ravel() for name in before]), 0)


def test_a_metric_is_in_records_and_tables(grown: Grown) -> None:
    path = grown.record("css")
    outcomes = pq.read_table(path.with_suffix(".parquet")).to_pylist()
    metrics = json.loads(path.read_text())["metrics"]

    def expected(queries: list[dict[str, Any]]) -> float:
        return 100 * sum(1 / query["rank"] for query in queries) / len(queries)

    assert metrics["scores"]["mrr"] == pytest.approx(expected(outcomes))
    resized = [query for query in outcomes if query["kind"] == "resize"]
    assert metrics["slices"]["kind"]["resize"]["scores"]["mrr"] == pytest.approx(expected(resized))
    shown = f"{expected(outcomes):.2f}"
    assert shown in [table[0].get("MRR") for table in grown.tables("css")]
    assert pytest.approx(expected(outcomes)) in [float(line["mrr"]) for line in grown.csv("css")]
    assert grown.terminal("css")["MRR"] == shown
    assert shown in (grown.folder / "boards" / "site" / "board" / "css.html").read_text()


def test_a_slice_is_on_the_board(grown: Grown) -> None:
    texts = [text for _, text, _ in grown.said["texts"]]
    expected = Counter(str(len(text.split())) for text in texts)
    found = [table for table in grown.tables("css") if list(table[0]) == ["Composer", *sorted(expected)]]
    assert len(found) == 4, "each of the four recipes has a board"
    for *_, queries in found:
        assert {words: int(queries[words]) for words in expected} == expected
    page = (grown.folder / "boards" / "css.md").read_text()
    assert re.search(rf"### R@1{MARK}? by words\n", page), "on so few scenes an oracle may reach half of the best"


def test_a_kind_of_modification_is_asked_read_rendered_and_scored(grown: Grown) -> None:
    queries = grown.said["texts"]
    assert all(is_parsed for _, _, is_parsed in queries)
    asked = [text for kind, text, _ in queries if kind == "resize"]
    assert asked
    assert all(text.startswith("resize ") for text in asked)
    assert "data/css is sound" in grown.said["verify data"]
    assert re.search(rf"  resize .*\b{len(asked)}\b", grown.said["info"])
    by_kind = [table for table in grown.tables("css") if "resize" in table[0]]
    assert len(by_kind) == 4, "each of the four recipes has a board"
    for table in by_kind:
        assert list(table[0]) == ["Composer", "add", "remove", "make-colour", "make-size", "resize"]
        assert int(table[-1]["resize"]) == len(asked)


def test_an_exporter_is_a_format(grown: Grown) -> None:
    written = (grown.folder / "texts" / "test.txt").read_text().splitlines()
    assert written == [text for _, text, _ in grown.said["texts"]]


def test_a_column_is_in_every_table(grown: Grown) -> None:
    parameters = json.loads(grown.record("css").read_text())["parameters"]
    share = parameters["composer"] / parameters["total"]
    assert f"{share:.2%}" in [table[0].get("Share") for table in grown.tables("css")]
    assert pytest.approx(share) in [float(line["share"]) for line in grown.csv("css")]
    assert grown.terminal("css")["Share"] == f"{share:.2%}"


def test_encoders_are_trained_stored_and_read_again(grown: Grown) -> None:
    weights = grown.weights("text_bytes", "patches")
    assert weights["model.text_encoder.table.weight"].shape == (256, 8)
    assert weights["model.image_encoder.patches.weight"].shape == (12, 3, 8, 8)
    assert not any("lstm" in name or "gates" in name for name in weights)
    path = grown.record("css", "text_bytes", "patches").relative_to(grown.folder)
    assert f"{path}: re-scored" in grown.said["verify"]
    assert grown.said["verify"].splitlines()[-1] == "5 records are sound, 5 re-scored"
