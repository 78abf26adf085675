"""What the documentation tells people to run runs: the tutorial, the notebook, the examples, the container's steps."""

import doctest
import importlib.util
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import css_gen as css_gen_package
from benchmark.cli.main import main as tirg_bench
from css_gen import open_dataset
from css_gen.cli import main as css_gen
from models import registry
from tests.benchmark.tiny import TINY

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SMALLER = {"--n 4000 --size 64": "--n 150 --size 16"}
Shell = Callable[[str], None]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Run a line of a page in this process, in a new folder, at a size that takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("models.registry._composers", dict(registry._composers))

    def run(line: str) -> None:
        for large, small in SMALLER.items():
            line = line.replace(large, small)
        program, *words = shlex.split(line, comments=True)
        training = [*TINY, "--threads=1"] if words[:1] == ["run"] else []
        result = CliRunner().invoke({"css-gen": css_gen, "tirg-bench": tirg_bench}[program], [*words, *training])
        assert result.exit_code == 0, f"{line}: {result.output}"

    return run


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_every_command_of_the_tutorial_runs(shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "".join(blocks(DOCS / "tutorial.md", "sh")).splitlines()
    assert lines[0] == "make setup && source .venv/bin/activate"
    assert sum(large in line for line in lines for large in SMALLER) == len(SMALLER)
    for line in lines[1:]:
        shell(line)
    assert {"sheet.png", "answer.html", "my_composer.py"} <= {path.name for path in tmp_path.iterdir()}
    assert len(re.findall(r"^\| +\d", (tmp_path / "boards" / "css.md").read_text(), re.MULTILINE)) >= 3
    (code,) = blocks(DOCS / "tutorial.md", "python")
    exec(compile(code, "tutorial.md", "exec"), {})
    assert [line[:2] for line in capsys.readouterr().out.splitlines()[-3:]] == ["1 ", "2 ", "3 "]


def test_every_cell_of_the_notebook_runs(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython's two kinds of line are done here: a `!` runs a command, `%%writefile` writes the cell to a file."""
    notebook = json.loads((DOCS / "notebooks" / "first_steps.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    mpl.use("Agg")
    names: dict[str, Any] = {"shell": shell}
    for cell in cells:
        source = "".join(cell["source"])
        if file := re.match(r"%%writefile (\S+)\n", source):
            (tmp_path / file[1]).write_text(source.removeprefix(file[0]))
            continue
        code = re.sub(r"^( *)!(.*)$", lambda line: f"{line[1]}shell({line[2]!r})", source, flags=re.MULTILINE)
        exec(compile(code, "first_steps.ipynb", "exec"), names)
    assert len(names["found"].answers) == 5
    assert names["right"]
    assert (tmp_path / "boards" / "css.md").exists()


@pytest.mark.parametrize("name", [path.name for path in sorted(DOCS.glob("*.md")) if ">>> " in path.read_text()])
def test_examples_of_a_page_give_what_they_show(name: str) -> None:
    code = "\n".join(block for block in blocks(DOCS / name, "python") if block.startswith(">>> "))
    examples = doctest.DocTestParser().get_doctest(code, {}, name, name, 0)
    result = doctest.DocTestRunner().run(examples)
    assert result.attempted > 1
    assert result.failed == 0


def test_the_training_loop_reads_every_query_with_workers_of_either_kind(tiny_dataset: Path, tmp_path: Path) -> None:
    """In a process of its own, whose workers import the page's code as a user's would."""
    (code,) = (block for block in blocks(DOCS / "how_to.md", "python") if "class Queries" in block)
    (tmp_path / "loop.py").write_text(code.replace("data/css", str(tiny_dataset)))
    script = """
import json, sys, torch, loop
if __name__ == "__main__":
    data, found = loop.Queries(sys.argv[1], "test"), []
    for workers, context in ((0, None), (2, "fork"), (2, "spawn")):
        options = {"num_workers": workers, "multiprocessing_context": context}
        loader = torch.utils.data.DataLoader(data, 7, shuffle=True, **options)
        rows = [row for batch in loader for row in zip(*batch, strict=True)]
        found.append(sorted([text, source.tolist(), target.tolist()] for source, text, target in rows))
    print(json.dumps({"equal": found[0] == found[1] == found[2], "rows": found[0]}))
"""
    (tmp_path / "read.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(tmp_path / "read.py"), str(tiny_dataset)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    read = json.loads(ran.stdout)
    split = open_dataset(tiny_dataset).split("test")
    images = [
        np.moveaxis(np.asarray(Image.open(io.BytesIO(png))), 2, 0).tolist() for (png,) in split.iter_pngs(["image_3d"])
    ]
    expected = sorted([query.text, images[query.source_id], images[query.target_id]] for query in split.queries)
    assert len(expected) == 72
    assert read == {"equal": True, "rows": expected}
    subprocess.run([sys.executable, str(tmp_path / "loop.py")], env=environment, check=True)


def test_the_geometry_of_the_page_is_read(rich_dataset: Path) -> None:
    (code,) = (block for block in blocks(DOCS / "how_to.md", "python") if "test.geometry" in block)
    names: dict[str, Any] = {"css_gen": css_gen_package}
    exec(compile(code.replace("data/css-geometry", str(rich_dataset)), "how_to.md", "exec"), names)
    split = open_dataset(rich_dataset).split("test")
    np.testing.assert_array_equal(names["mask"], split.mask(0))
    assert (names["left"], names["top"], names["right"], names["bottom"]) == split.geometry(0).objects[-1].box_image_3d


def test_the_pictures_of_the_renderer_are_what_it_renders() -> None:
    """Of the tiles alone: the letters below them depend on the version of Pillow."""
    spec = importlib.util.spec_from_file_location("explanation_plot", DOCS / "explanation_plot.py")
    assert spec
    assert spec.loader
    plot = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plot)
    kinds = {
        "explanation-relevance.png": (plot.relevance_tiles(), 3),
        "explanation-renderer.png": (plot.renderer_tiles(), 4),
    }
    for name, (tiles, columns) in kinds.items():
        stored = np.asarray(Image.open(DOCS / name).convert("RGB"))
        for number, (label, _, image) in enumerate(tiles):
            left, top = plot.corner(number, columns)
            np.testing.assert_array_equal(stored[top : top + plot.SIDE, left : left + plot.SIDE], image, err_msg=label)
    labels = [label for label, _, _ in kinds["explanation-relevance.png"][0]]
    assert labels[1:] == ["relevant: the drawn target", "relevant", "relevant", "not relevant", "not relevant"]


def test_the_steps_of_the_container_are_a_script_that_this_repository_has() -> None:
    """No image is built: the steps are read by a shell, and what they name has to be there."""
    text = re.sub(r"\\\n", "", (ROOT / "Containerfile").read_text())
    steps = re.findall(r"^([A-Z]+) (.*)$", text, re.MULTILINE)
    assert [word for word, _ in steps] == ["FROM", "RUN", "ENV", "WORKDIR", "COPY", "RUN", "RUN", "CMD"]
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert oldest
    assert f"python:{oldest[1]}-slim" in steps[0][1]
    script = "\n".join(line for word, line in steps if word == "RUN")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    makefile = (ROOT / "Makefile").read_text()
    named = [*re.findall(r"make ([a-z]+)$", script, re.MULTILINE), *json.loads(steps[-1][1])[1:]]
    assert named == ["setup", "docs", "demo"]
    for target in named:
        assert f"\n{target}: " in makefile
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv", "data", "runs"} <= set(ignored)
    assert not {".git", "docs", "leaderboards", "tests"} & set(ignored), "the image tests, and records its commit"
