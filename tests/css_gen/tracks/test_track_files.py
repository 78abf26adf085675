"""A track's dataset on disk: the same bytes from any number of workers, read, verified, shown, described, exported."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from css_gen import contact_sheet, dataset, tracks
from css_gen.fresh import render_fresh_test
from css_gen.render import render
from css_gen.rendering.nuisance import sample_nuisance
from css_gen.rendering.render3d import render_3d
from css_gen.repair import repair
from css_gen.scenes.factors import Cell
from css_gen.scenes.randomness import SplitId, Stream, stream
from css_gen.storage.configuration import Configuration
from css_gen.storage.estimate import estimated_bytes, require_large_enough
from css_gen.storage.plan import split_plan
from css_gen.tracks import Program
from css_gen.verify import verify

TINY = Configuration(images=120, size=32, seed=3, track="chain")
QUERIES = "test/queries.parquet"
every_track = pytest.mark.parametrize("name", tracks.names())


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("chain") / "css-chain"
    render(root, TINY, jobs=1)
    return root


@pytest.fixture
def chain_copy(chain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chain, tmp_path / "css-chain"))


@pytest.mark.parametrize(
    ("changes", "fingerprint"),
    [
        ({}, "47d562258b4311f3dc0d7dd839cf8993a56cd640fd684b795912d11b71c11208"),
        (
            {"names": "3d", "extras": ("masks", "depth"), "seed": 7},
            "e6edaf582d5cab56e26f8a5d351940f91bdc6f8d2127ae306527026c5790cd93",
        ),
    ],
)
def test_css_is_what_it_was_before_there_were_tracks(tmp_path: Path, changes: dict, fingerprint: str) -> None:
    assert render(tmp_path / "css", Configuration(images=24, size=16, **changes), jobs=1).fingerprint == fingerprint
    assert "track" not in json.loads((tmp_path / "css" / "manifest.json").read_text())["configuration"]


def test_several_workers_make_the_same_bytes(
    chain: Path, tmp_path: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    render(tmp_path / "css-chain", TINY, jobs=2)
    assert contents(tmp_path / "css-chain") == contents(chain)


@every_track
def test_what_is_read_is_what_was_planned(name: str, tmp_path: Path) -> None:
    configuration = Configuration(images=60, size=16, track=name, names="3d")
    render(tmp_path / "css", configuration, jobs=1)
    assert verify(tmp_path / "css", jobs=1) == []
    opened = dataset.open(tmp_path / "css")
    assert opened.track == name
    for split in SplitId:
        plan, read = split_plan(configuration, split), opened.split(split.name.lower())
        assert read.keys == [plan.scene(image).key for image in range(plan.images)]
        expected = plan.queries(0, plan.query_count)
        assert len(read.queries) == read.counts.queries == len(expected)
        for row, query in zip(read.queries, expected, strict=True):
            assert isinstance(row.modification, Program)
            assert row.modification == query.modification
            assert row.text == query.modification.text_with("3d")
            assert (row.query_id, row.source_id, row.target_id) == (query.index, query.source, query.target)
            assert (row.kind, row.novel) == (query.modification.kind, query.novel)
            assert (row.modification_id, row.distractors) == (query.modification_id, query.distractors)
            assert row.to_json()["distractors"] == row.distractors


def test_a_track_says_what_the_objects_of_an_image_are_made_of(tmp_path: Path) -> None:
    configuration = Configuration(images=400, size=24, track="systematic")
    render(tmp_path / "css", configuration, jobs=1)
    shown = set()
    for split, read in ((split, dataset.open(tmp_path / "css").split(split.name.lower())) for split in SplitId):
        plan = split_plan(configuration, split)
        for index, (stored,) in enumerate(read.iter_images(["image_3d"])):
            (material,) = plan.materials(index)
            shown.add((split, material))
            rng = stream(configuration.seed, split, Stream.NUISANCE, index)
            nuisance = replace(sample_nuisance(configuration.jitter, rng=rng), materials=(material,) * len(Cell))
            np.testing.assert_array_equal(stored, render_3d(plan.scene(index), nuisance, size=24).image)
    assert shown == {(SplitId.TRAIN, "rubber"), (SplitId.TEST, "rubber"), (SplitId.TEST, "metal")}


def test_the_card_names_the_columns_of_the_queries(chain: Path) -> None:
    header = yaml.safe_load((chain / "README.md").read_text().split("---\n")[1])
    features = {each["config_name"]: each["features"] for each in header["dataset_info"]}["queries"]
    assert [each["name"] for each in features] == pq.read_schema(chain / QUERIES).names
    assert features[-2:] == [
        {"name": "distractor_ids", "sequence": "int64"},
        {"name": "distractor_why", "sequence": "string"},
    ]
    assert header["pretty_name"] == "CSS (Color-Shape-Size), track chain"
    assert "- `novel`: whether an object that source and target do not share is of" in (chain / "README.md").read_text()


def test_css_has_no_distractors(tiny_dataset: Path) -> None:
    opened = dataset.open(tiny_dataset)
    assert opened.track == "css"
    assert {query.distractors for query in opened.split("test").queries} == {()}
    assert "distractors" not in opened.split("test").queries[0].to_json()
    columns = pq.read_schema(tiny_dataset / QUERIES).names
    assert not [name for name in columns if "distractor" in name]


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("distractor_ids", lambda ids: ids[::-1], "distractor_ids are"),
        ("distractor_ids", lambda ids: ids[:-1], "distractor_why has 5 entries where distractor_ids has 4"),
        ("distractor_why", lambda why: ["x", *why[1:]], "distractor_why has 'x', which is not one of missing"),
        ("target_id", lambda target: target + 1, "target_id is"),
        ("modification_id", lambda number: number + 1, "modification_id is"),
        ("novel", lambda novel: not novel, "novel is"),
        ("kind", lambda _: "5 edits", "kind is 5 edits where"),
        ("text", lambda text: f"{text}, then remove circle", "does not say what its modification does"),
        ("modification", lambda _: "[]", "its modification cannot be read"),
    ],
)  # fmt: skip
def test_damage_to_a_query_is_named(chain_copy: Path, column: str, value: Callable, problem: str) -> None:
    path = chain_copy / QUERIES
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[1][column] = value(rows[1][column])
    footer = {key: each for key, each in pq.read_metadata(path).metadata.items() if key != b"ARROW:schema"}
    pq.write_table(pa.Table.from_pylist(rows, table.schema.with_metadata(footer)), path)
    found = [str(each) for each in verify(chain_copy, jobs=1)]
    assert any(f"{QUERIES}, row 1" in each and problem in each for each in found), found


def test_a_distractor_that_is_right_is_named(chain_copy: Path) -> None:
    """The first distractor's scene becomes the target's."""
    query = dataset.open(chain_copy).split("test").queries[2]
    for path in sorted((chain_copy / "test").glob("images-*")):
        table = pq.read_table(path)
        rows = table.to_pylist()
        target = dataset.open(chain_copy).split("test").scene(query.target_id).to_json()
        for row in rows:
            if row["image_id"] == query.target_id + 1:
                row["scene"] = target
                footer = {k: v for k, v in pq.read_metadata(path).metadata.items() if k != b"ARROW:schema"}
                pq.write_table(pa.Table.from_pylist(rows, table.schema.with_metadata(footer)), path)
    found = [str(each) for each in verify(chain_copy, jobs=1)]
    assert any(f'distractor {query.target_id + 1} satisfies "{query.text}"' in each for each in found), found


def test_repair_makes_a_lost_file_again(
    chain: Path, chain_copy: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    (chain_copy / QUERIES).unlink()
    (chain_copy / "manifest.json").unlink()
    assert repair(chain_copy, jobs=1) == [QUERIES]
    assert contents(chain_copy) == contents(chain)


def test_a_fresh_test_split_has_other_scenes_and_the_same_form(chain: Path, tmp_path: Path) -> None:
    render_fresh_test(tmp_path, TINY, seed=9, jobs=1)
    fresh, old = dataset.open(tmp_path).split("test"), dataset.open(chain).split("test")
    assert dataset.open(tmp_path).track == "chain"
    assert fresh.counts == old.counts
    assert [query.text for query in fresh.queries] != [query.text for query in old.queries]


def test_the_folder_is_named_after_the_track(
    run_css_gen: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run_css_gen("render", "--n", 40, "--size", 16, "--track", "chain", "--jobs", 1)
    assert ran.exit_code == 0, ran.output
    assert dataset.open("data/css-chain").track == "chain"
    other = run_css_gen("render", "--n", 40, "--size", 16, "--jobs", 1, "--out", "data/css-chain")
    assert other.exit_code == 1
    assert "holds another dataset: track is chain there and css here" in other.output


@pytest.mark.parametrize("arguments", [("--track", "chian"), ("--track", "chain", "--n", 16)])
def test_what_cannot_be_rendered_is_one_line(run_css_gen: Callable, tmp_path: Path, arguments: tuple) -> None:
    ran = run_css_gen("render", "--n", 40, "--out", tmp_path / "css", *arguments)
    assert ran.exit_code == 2
    assert ran.output.count("\n") == 1
    assert ("--track must be one of css, chain" in ran.output) != ("--n must be at least 17" in ran.output)
    assert not (tmp_path / "css").exists()


@every_track
def test_the_smallest_dataset_that_is_named_is_the_smallest(name: str) -> None:
    with pytest.raises(ValueError, match=r"--n must be at least \d+ with") as refused:
        require_large_enough(Configuration(images=1, track=name, test_fraction=0.3))
    smallest = Configuration(images=int(str(refused.value).split()[5]), track=name, test_fraction=0.3)
    require_large_enough(smallest)
    for split in SplitId:
        assert split_plan(smallest, split).query_count >= 1


def test_the_estimate_is_near(chain: Path) -> None:
    size = sum(entry.bytes for entry in dataset.open(chain).manifest.files.values())
    assert estimated_bytes(TINY) == pytest.approx(size, rel=0.4)


def test_info_prints_the_certificate(run_css_gen: Callable, chain: Path) -> None:
    lines = [" ".join(line.replace("│", " ").split()) for line in run_css_gen("info", chain).output.splitlines()]
    split = dataset.open(chain).split("test")
    for why in tracks.get("chain").contrasts:
        count = sum(why == each for query in split.queries for each, _ in query.distractors)
        assert f"distractors: {why} 0 {count}" in lines
    assert "% the text alone determines 0.00" in lines
    assert "% the source alone determines 0.00" in lines
    for label in ("last edit only", "centre of the block"):
        assert any(line.startswith(f"Recall@1, {label} ") for line in lines)
    assert "Recall@1, chance in the block 16.67" in lines
    assert not any("leaderboard" in line or "best Recall@1" in line for line in lines)


def test_the_contact_sheet_shows_the_wrong_answers(chain: Path) -> None:
    split = dataset.open(chain).split("test")
    sheet = contact_sheet.draw(split, queries=3, seed=1)
    pixels = np.asarray(sheet)
    for query in contact_sheet.choose(split.queries, 3, seed=1):
        images = (query.source_id, query.target_id, *(image for _, image in query.distractors))
        found = [_places(pixels, split.image_3d(image).repeat(8, axis=0).repeat(8, axis=1)) for image in images]
        # A source may be shown more than once, and the row is that of the target.
        row = found[1][0][0]
        across = [min(x for y, x in places if y == row) for places in found]
        assert across == sorted(set(across))
        assert len(across) == 7


def _places(sheet: np.ndarray, image: np.ndarray) -> list[tuple[int, int]]:
    """Return where an image is on a sheet; only places that fit in a few pixels are looked at in full."""
    height, width = image.shape[:2]
    found = np.argwhere((sheet[:-height, :-width] == image[0, 0]).all(-1))
    for y, x in product((height // 2, height - 1), (width // 3, width // 2, width - 1)):
        found = found[(sheet[found[:, 0] + y, found[:, 1] + x] == image[y, x]).all(-1)]
    return [(y, x) for y, x in found if np.array_equal(sheet[y : y + height, x : x + width], image)]


def test_a_layout_that_needs_modifications_of_css_refuses(run_css_gen: Callable, chain: Path, tmp_path: Path) -> None:
    ran = run_css_gen("export", chain, "--format", "tirg", "--out", tmp_path / "out")
    assert ran.exit_code == 1
    assert "is of the track chain" in ran.output
    assert ran.output.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    for layout, file in {"png": "test/queries.jsonl", "webdataset": "test-queries.jsonl"}.items():
        assert run_css_gen("export", chain, "--format", layout, "--out", tmp_path / layout).exit_code == 0
        rows = [json.loads(line) for line in (tmp_path / layout / file).read_text().splitlines()]
        expected = [query.to_json() for query in dataset.open(chain).split("test").queries]
        assert rows == json.loads(json.dumps(expected))
        assert len(rows[0]["distractors"]) == 5
