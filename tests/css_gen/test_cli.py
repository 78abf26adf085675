"""Every command of css-gen: its help, what it prints and what it leaves on disk."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from css_gen import dataset
from css_gen.cli import main
from css_gen.contact_sheet import choose
from css_gen.render import finished
from css_gen.scenes.modification import KINDS
from css_gen.storage.configuration import Configuration
from css_gen.storage.manifest import FileEntry, Manifest, SplitCounts, read_manifest

HEAVY = {"numpy", "numba", "pyarrow", "PIL", "rich", "filelock", "css_gen.storage.configuration"}


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_and_option_has_help(run_css_gen, name):
    result = run_css_gen(name, "--help")
    assert result.exit_code == 0
    assert main.commands[name].help.split(".")[0] in " ".join(result.stdout.split())
    for parameter in main.commands[name].params:
        if parameter.param_type_name == "option" and parameter.name != "split":
            assert parameter.help, parameter.name


def test_every_command_is_in_the_package_and_here(run_css_gen):
    assert set(main.commands) == {"render", "info", "verify", "show", "export", "push"}
    listed = run_css_gen("--help").stdout
    assert all(name in listed for name in main.commands)


def test_help_needs_nothing_heavy():
    """Which is what makes it answer at once; a process of its own, since here all of it is loaded already."""
    script = (
        "import sys\nfrom css_gen.cli import main\n"
        "try: main(['render', '--help'])\nexcept SystemExit: pass\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage: css-gen render" in ran.stdout
    assert ran.stderr.strip() == "[]"


def test_render_makes_what_its_options_say(run_css_gen, tmp_path):
    out = tmp_path / "deep" / "css"
    result = run_css_gen(
        "render", "--n", 40, "--out", out, "--seed", 5, "--size", 16, "--jobs", 1, "--test-fraction", 0.3,
        "--names", "3d", "--materials", "metal,rubber", "--no-jitter", "camera,lights", "--view", "clevr",
        "--with", "depth,masks",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    opened = dataset.open(out)
    assert opened.manifest.configuration.to_json() == {
        "n": 40, "seed": 5, "size": 16, "test-fraction": 0.3, "names": "3d", "view": "clevr",
        "jitter": ["position", "rotation"], "materials": ["rubber", "metal"], "with": ["masks", "depth"],
    }  # fmt: skip
    assert opened.fingerprint[:16] in result.stdout
    assert len(opened.split("test")) == 12


def test_the_same_command_again_has_nothing_to_do(run_css_gen, tiny_copy, contents):
    before = contents(tiny_copy)
    times = {path: path.stat().st_mtime_ns for path in tiny_copy.rglob("*")}
    result = run_css_gen("render", "--n", 150, "--size", 32, "--seed", 3, "--out", tiny_copy)
    assert result.exit_code == 0
    assert "is complete" in result.stdout
    assert "nothing to do" in result.stdout
    assert contents(tiny_copy) == before
    assert {path: path.stat().st_mtime_ns for path in tiny_copy.rglob("*")} == times


def test_the_same_command_makes_a_shard_that_has_gone(run_css_gen, tiny_dataset, tiny_copy, contents):
    (tiny_copy / "test" / "images-00002-of-00004.parquet").unlink()
    result = run_css_gen("render", "--n", 150, "--size", 32, "--seed", 3, "--out", tiny_copy, "--jobs", 1)
    assert result.exit_code == 0
    assert "resuming in" in result.stderr
    assert contents(tiny_copy) == contents(tiny_dataset)


def test_force_starts_over_and_keeps_what_is_not_ours(run_css_gen, tiny_copy, contents):
    (tiny_copy / "notes.txt").write_text("mine")
    (tiny_copy / "train" / "images.parquet").write_text("mine too")
    arguments = ("render", "--n", 24, "--size", 16, "--out", tiny_copy, "--jobs", 1)
    refused = run_css_gen(*arguments)
    assert refused.exit_code == 1
    assert "n is 150 there and 24 here; seed is 3 there and 0 here; size is 32 there and 16 here" in refused.stderr
    assert run_css_gen(*arguments, "--force").exit_code == 0
    assert run_css_gen("verify", tiny_copy, "--jobs", 1).exit_code == 0
    assert set(contents(tiny_copy)) - set(dataset.open(tiny_copy).manifest.files) == {
        "notes.txt", "train/images.parquet", "README.md", "croissant.json", "manifest.json",
    }  # fmt: skip
    assert (tiny_copy / "notes.txt").read_text() == "mine"


def test_info_prints_the_counts(run_css_gen, tiny_dataset):
    result = run_css_gen("info", tiny_dataset)
    assert result.exit_code == 0
    opened = dataset.open(tiny_dataset)
    words = " ".join(result.stdout.split())
    for kind in KINDS:
        numbers = [sum(query.kind == kind for query in opened.split(name).queries) for name in ("train", "test")]
        assert f"{kind} │ {numbers[0]} │ {numbers[1]}" in words
    assert "images │ 75 │ 75" in words
    assert re.search(r"best Recall@1 +│ (9\d\.\d|100\.0) │ (9\d\.\d|100\.0) │", words)
    assert opened.fingerprint[:40] in words
    for combination in opened.manifest.held_out["test_only"]:
        assert combination in words


def test_verify_says_so_when_all_is_well(run_css_gen, tiny_dataset):
    result = run_css_gen("verify", tiny_dataset, "--jobs", 1)
    assert result.exit_code == 0
    assert "is sound" in result.stdout


def test_verify_names_what_is_broken_and_repairs_it(run_css_gen, tiny_copy):
    (tiny_copy / "test" / "queries.parquet").unlink()
    result = run_css_gen("verify", tiny_copy, "--jobs", 1)
    assert result.exit_code == 1
    assert result.stdout == "test/queries.parquet: is missing\n"
    assert "has 1 problem;" in result.stderr
    assert "--repair" in result.stderr
    repaired = run_css_gen("verify", tiny_copy, "--jobs", 1, "--repair")
    assert repaired.exit_code == 0
    assert "repaired: test/queries.parquet" in repaired.stdout
    assert "is sound" in repaired.stdout
    assert "nothing to repair" in run_css_gen("verify", tiny_copy, "--jobs", 1, "--repair").stdout


def test_show_draws_the_queries(run_css_gen, tiny_dataset, tmp_path):
    out = tmp_path / "sheet.png"
    result = run_css_gen("show", tiny_dataset, "--queries", 5, "--out", out, "--split", "train", "--seed", 2)
    assert result.exit_code == 0, result.stderr
    sheet = dataset.decode_png(out.read_bytes())
    split = dataset.open(tiny_dataset).split("train")
    for query in choose(split.queries, 5, seed=2):
        for image_id in (query.source_id, query.target_id):
            for image in (split.image_3d(image_id), split.image_2d(image_id)):
                shown = np.repeat(np.repeat(image, 8, axis=0), 8, axis=1)
                assert occurs(shown, sheet), query


def occurs(part: np.ndarray, whole: np.ndarray) -> bool:
    """Whether an image is found, to the pixel, somewhere in another: its busiest row first, then all of it."""
    height, width = part.shape[:2]
    busiest = int(np.argmax([len(np.unique(row, axis=0)) for row in part]))
    needle = part[busiest].tobytes()
    for y, row in enumerate(whole):
        x, rest = divmod(row.tobytes().find(needle), 3)
        top = y - busiest
        if x >= 0 and not rest and top >= 0 and (whole[top : top + height, x : x + width] == part).all():
            return True
    return False


def test_show_chooses_every_kind_and_by_its_seed(tiny_dataset):
    queries = dataset.open(tiny_dataset).split("test").queries
    chosen = choose(queries, 8, seed=0)
    assert [query.kind for query in chosen].count("add") == 2
    assert {query.kind for query in chosen} == set(KINDS)
    assert chosen == choose(queries, 8, seed=0) != choose(queries, 8, seed=1)
    assert sorted(query.query_id for query in choose(queries, 200, seed=1)) == list(range(len(queries)))
    assert choose([], 4, seed=0) == []


def test_show_takes_images_of_any_size(run_css_gen, tmp_path):
    for size, side in ((16, 256), (300, 224)):
        assert (
            run_css_gen("render", "--n", 12, "--size", size, "--out", tmp_path / str(size), "--jobs", 1).exit_code == 0
        )
        assert run_css_gen("show", tmp_path / str(size), "--queries", 1, "--out", tmp_path / "one.png").exit_code == 0
        sheet = dataset.decode_png((tmp_path / "one.png").read_bytes())
        assert sheet.shape[1] == 4 * side + 2 * 8 + 56 + 2 * 40


def test_export_writes_the_layout(run_css_gen, tiny_dataset, tmp_path):
    result = run_css_gen("export", tiny_dataset, "--format", "png", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    first = (tmp_path / "out" / "test" / "image_3d" / "000000.png").read_bytes()
    assert first == dataset.open(tiny_dataset).split("test").png_3d(0)


def test_version_is_printed(run_css_gen):
    result = run_css_gen("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("css-gen, version ")


def test_an_unexpected_error_is_one_line_without_debug(run_css_gen, tiny_dataset, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of no use")

    monkeypatch.setattr("css_gen.description.print_description", fail)
    for arguments in (("info", tiny_dataset, "--debug"), ("--debug", "info", tiny_dataset)):
        result = run_css_gen(*arguments)
        assert result.exit_code == 1
        assert "Traceback" in result.stderr
    result = run_css_gen("info", tiny_dataset)
    assert result.exit_code == 1
    assert result.stderr == (
        "css-gen: error: unexpected ZeroDivisionError: of no use; rerun with --debug for the traceback\n"
    )


def test_finished_goes_by_names_and_sizes(tiny_copy, tiny_configuration):
    assert finished(tiny_copy, tiny_configuration) is not None
    path = tiny_copy / "train" / "queries.parquet"
    path.write_bytes(path.read_bytes() + b"\0")
    assert finished(tiny_copy, tiny_configuration) is None
    manifest = json.loads((tiny_copy / "manifest.json").read_text())
    assert manifest["format"] == "css"


FILES = 10_000


@pytest.fixture(scope="module")
def many_files(tiny_dataset, tmp_path_factory) -> Path:
    """A dataset of 5 million images in 10,000 files, each an empty stub, with the queries of a small one."""
    root = tmp_path_factory.mktemp("many") / "css"
    small = read_manifest(tiny_dataset)
    files = {name: entry for name, entry in small.files.items() if name.endswith("queries.parquet")}
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny_dataset / name, root / name)
    half = FILES // 2
    for split in ("train", "test"):
        for index in range(half):
            name = f"{split}/images-{index:05d}-of-{half:05d}.parquet"
            (root / name).touch()
            files[name] = FileEntry(500, 0, "0" * 64, "0" * 64)
    counts = {name: SplitCounts(500 * half, 10, of.queries) for name, of in small.splits.items()}
    Manifest.of(Configuration(images=1000 * half), counts, small.held_out, files).write(root)
    return root


def test_ten_thousand_stubs(run_css_gen, many_files, tiny_dataset):
    result = run_css_gen("info", many_files)
    assert result.exit_code == 0, result.stderr
    assert f"in {FILES + 2} files" in result.stdout
    assert "2,500,000" in result.stdout
    kinds = Counter(query.kind for query in dataset.open(tiny_dataset).split("test").iter_queries())
    for kind, count in kinds.items():
        (row,) = [line for line in result.stdout.splitlines() if line.startswith(f"│   {kind} ")]
        assert f" {count} " in row
    assert "--all" in result.stdout
    assert "different scenes" not in result.stdout


def test_with_all_every_file_is_read(run_css_gen, many_files):
    result = run_css_gen("info", many_files, "--all")
    assert result.exit_code == 1
    assert "images-00000-of-05000.parquet cannot be read" in result.stderr


def test_counts_of_queries_are_those_of_the_rows(run_css_gen, tiny_dataset):
    """Counted by column and, here, row by row."""
    output = run_css_gen("info", tiny_dataset).stdout
    for name, split in ((name, dataset.open(tiny_dataset).split(name)) for name in ("train", "test")):
        place = {"train": -2, "test": -1}[name]
        expected = Counter(query.kind for query in split.iter_queries())
        expected["novel"] = sum(query.novel for query in split.iter_queries())
        for kind, count in expected.items():
            (row,) = [line for line in output.splitlines() if line.startswith(f"│   {kind} ")]
            assert [cell.strip() for cell in row.strip("│ ").split("│")][place] == str(count)
