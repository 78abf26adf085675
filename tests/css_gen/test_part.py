"""Processes that each render a part make the folder that one process makes, in any order and after any death."""

from contextlib import ExitStack
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen.errors import DatasetError
from css_gen.part import render_part
from css_gen.render import begin, finished, prepare, render
from css_gen.storage import folder
from css_gen.storage.configuration import Configuration
from css_gen.storage.folder import Part
from css_gen.storage.plan import units
from tests.css_gen.one_line import RENDER, assert_one_line


@given(st.integers(1, 40), st.integers(24, 20_000))
def test_every_file_belongs_to_exactly_one_part(count, images):
    configuration = Configuration(images=images, size=224)
    every = list(units(configuration))
    parts = [Part(number, count).of(every) for number in range(1, count + 1)]
    assert sorted(unit.name for part in parts for unit in part) == sorted(unit.name for unit in every)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))), ids=str)
def test_the_part_that_ends_last_completes_the_dataset(tiny_dataset, tiny_configuration, tmp_path, contents, order):
    root = tmp_path / "css"
    for number in order[:-1]:
        assert render_part(root, tiny_configuration, Part(number, 3), jobs=1) is None
        assert not (root / "manifest.json").exists()
        assert finished(root, tiny_configuration) is None
    manifest = render_part(root, tiny_configuration, Part(order[-1], 3), jobs=1)
    assert manifest == finished(root, tiny_configuration)
    assert contents(root) == contents(tiny_dataset)
    assert render_part(root, tiny_configuration, Part(order[0], 3), jobs=1) == manifest


def test_a_plain_render_makes_what_parts_left_out(tiny_dataset, tiny_configuration, tmp_path, contents):
    root = tmp_path / "css"
    render_part(root, tiny_configuration, Part(2, 3), jobs=1)
    made = {path: path.stat().st_mtime_ns for path in root.rglob("*.parquet")}
    render(root, tiny_configuration, jobs=1)
    assert contents(root) == contents(tiny_dataset)
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_other_divisions_one_after_the_other(tiny_dataset, tiny_configuration, tmp_path, contents):
    root = tmp_path / "css"
    assert render_part(root, tiny_configuration, Part(1, 2), jobs=1) is None
    assert render_part(root, tiny_configuration, Part(2, 5), jobs=1) is None
    assert render_part(root, tiny_configuration, Part(2, 2), jobs=1)
    assert contents(root) == contents(tiny_dataset)


def test_what_a_dead_worker_left_is_deleted_at_the_end(tiny_dataset, tiny_configuration, tmp_path, contents):
    root = tmp_path / "css"
    assert render_part(root, tiny_configuration, Part(1, 2), jobs=1) is None
    (root / "train" / ".images-00001-of-00004.parquet.1234567890.partial").write_bytes(b"half")
    assert render_part(root, tiny_configuration, Part(2, 2), jobs=1)
    assert contents(root) == contents(tiny_dataset)


def test_a_file_that_changed_since_it_was_noted_is_made_again(tiny_dataset, tiny_configuration, tmp_path, contents):
    root = tmp_path / "css"
    render_part(root, tiny_configuration, Part(1, 2), jobs=1)
    path = next(root.glob("train/images-*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])  # a short Parquet file may still have a valid end: it is not whole
    assert render_part(root, tiny_configuration, Part(2, 2), jobs=1) is None
    assert render_part(root, tiny_configuration, Part(1, 2), jobs=1)
    assert contents(root) == contents(tiny_dataset)


def test_parts_and_the_whole_keep_out_of_each_other_s_way(tiny_configuration, tmp_path):
    root = tmp_path / "css"
    with ExitStack() as stack:
        with folder.held_for_parts(root):
            begin(root, tiny_configuration)
            prepare(root, list(units(tiny_configuration)), keep_manifest=False)
            stack.enter_context(folder.part_held(root, Part(1, 2)))
        for work in (
            lambda: render(root, tiny_configuration, jobs=1),
            lambda: render_part(root, tiny_configuration, Part(1, 2), jobs=1),
            lambda: render_part(root, tiny_configuration, Part(1, 3), jobs=1),
        ):
            with pytest.raises(DatasetError, match="another css-gen process renders part 1/2 of"):
                work()
        assert render_part(root, tiny_configuration, Part(2, 2), jobs=1) is None
    assert render_part(root, tiny_configuration, Part(1, 2), jobs=1)


def test_a_part_does_not_begin_where_the_whole_is_rendered(tmp_path):
    root = tmp_path / "css"
    with folder.held(root), pytest.raises(DatasetError, match="another css-gen process is using"):  # noqa: SIM117
        with folder.held_for_parts(root, timeout=0):
            pass


@pytest.mark.parametrize("change", [{"size": 48}, {"seed": 4}, {"images": 152}])
def test_a_part_of_another_dataset_is_refused(tiny_configuration, tmp_path, change):
    root = tmp_path / "css"
    render_part(root, tiny_configuration, Part(1, 2), jobs=1)
    with pytest.raises(DatasetError, match="holds another dataset"):
        render_part(root, replace(tiny_configuration, **change), Part(2, 2), jobs=1)


def test_foreign_files_are_kept(tiny_configuration, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DatasetError, match=r"css-gen did not make \(thesis\.tex\)"):
        render_part(tmp_path, tiny_configuration, Part(1, 2), jobs=1)


def test_jobs_of_a_scheduler_side_by_side(start_css_gen, tiny_dataset, tmp_path, contents):
    """One is killed and started again."""
    out = tmp_path / "css"
    command = ("render", "--n", 150, "--size", 32, "--seed", 3, "--jobs", 1, "--out", out, "--shard")
    jobs = [start_css_gen(*command, f"{number}/3") for number in (1, 2, 3)]
    jobs[1].kill()
    for job in jobs:
        job.communicate()
    assert [jobs[0].returncode, jobs[2].returncode] == [0, 0]
    again = start_css_gen(*command, "2/3")
    stdout, stderr = again.communicate()
    assert again.returncode == 0, stderr
    assert "150 images" in stdout
    assert contents(out) == contents(tiny_dataset)


@pytest.mark.parametrize("given", ["0/4", "5/4", "2", "1/0", "a/b", "-1/4", "1/2/3", "1.5/2"])
def test_a_wrong_share_is_one_line(run_css_gen, tmp_path, given):
    result = run_css_gen(*RENDER, "--out", tmp_path / "css", "--shard", given)
    assert_one_line(result, 2, repr(given), "1/N")
    assert not (tmp_path / "css").exists()


@pytest.mark.parametrize("other", [("--force",), ("--executor", "ray")])
def test_what_a_share_excludes(run_css_gen, tmp_path, other):
    assert_one_line(run_css_gen(*RENDER, "--out", tmp_path / "css", "--shard", "1/2", *other), 2, "--shard", other[0])


def test_an_address_without_ray(run_css_gen, tmp_path):
    assert_one_line(run_css_gen(*RENDER, "--out", tmp_path / "css", "--address", "auto"), 2, "--executor ray")
