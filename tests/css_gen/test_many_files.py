"""`css-gen info` on a dataset of thousands of files reads its manifest and its queries, and no image file."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from css_gen import dataset
from css_gen.storage.configuration import Configuration
from css_gen.storage.manifest import FileEntry, Manifest, SplitCounts, read_manifest

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
