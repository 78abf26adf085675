"""FashionIQ against a slow reading of its layout, on generated folders."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import tasks
from benchmark.datasets.fashion_iq import CATEGORIES, FashionIq, joined, read_annotations
from benchmark.datasets.folder_images import decode
from benchmark.datasets.splits import hold_out, with_own_images
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.boards import ALL, build
from benchmark.leaderboard.files import load_records, write_leaderboards
from benchmark.leaderboard.levels import MARK
from benchmark.records.store import save_record
from benchmark.scoring.evaluation import rank
from benchmark.scoring.metrics import metrics_of
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler
from tests.benchmark import references
from tests.benchmark.folders import make_fashion_iq
from tests.benchmark.made_up import make_record


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_fashion_iq(tmp_path_factory.mktemp("made") / "fashion-iq", train=8, val=6, queries=9, seed=3)


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "fashion-iq"))


def opened(root: Path, *, skip_broken: bool = False) -> FashionIq:
    return FashionIq(root, image_size=16, reporter=SilentRuns(), skip_broken=skip_broken)


def read(root: Path, name: str) -> Any:
    return json.loads((root / name).read_text())


def file_of(root: Path, name: str) -> Path:
    (file,) = (root / "images").glob(f"{name}.*")
    return file


@pytest.mark.parametrize(("split", "file_split"), [("train", "train"), ("test", "val")])
def test_queries_are_those_of_a_slow_reading(root: Path, split: str, file_split: str) -> None:
    found = getattr(opened(root), split)
    expected = [
        (category, entry["candidate"], entry["target"], " and ".join(text.strip(" .") for text in entry["captions"]))
        for category in CATEGORIES
        for entry in read(root, f"captions/cap.{category}.{file_split}.json")
    ]
    name = [Path(file).stem for file in found.files]
    queries = found.queries
    assert [
        (str(category), name[source], name[target], text)
        for category, source, target, text in zip(
            queries.attributes["category"], queries.sources, queries.targets, queries.texts, strict=True
        )
    ] == expected
    np.testing.assert_array_equal(queries.source_images, queries.sources)
    for row in (0, len(name) - 1):
        np.testing.assert_array_equal(found.gallery[row], decode(root / found.files[row], 16))


def test_each_category_has_its_own_gallery_and_shared_images_are_in_both(root: Path) -> None:
    test = opened(root).test
    for number, category in enumerate(CATEGORIES):
        there = [Path(test.files[row]).stem for row in np.flatnonzero(test.galleries == number)]
        assert sorted(there) == sorted(read(root, f"image_splits/split.{category}.val.json"))
    shared = read(root, "image_splits/split.dress.val.json")[0]
    rows = [row for row, file in enumerate(test.files) if Path(file).stem == shared]
    assert len(rows) == 2
    assert len({test.labels[row] for row in rows}) == 1
    assert len({test.galleries[row] for row in rows}) == 2


def test_the_score_is_that_of_three_galleries_ranked_apart(root: Path) -> None:
    test = opened(root).test
    generator = torch.Generator().manual_seed(0)
    query, gallery = (
        torch.nn.functional.normalize(torch.randn(count, 6, generator=generator), dim=1)
        for count in (len(test.queries), len(test.gallery))
    )
    found = rank(query, gallery, test)
    ranks = []
    for row, category in enumerate(test.queries.attributes["category"]):
        there = [image for image in range(len(gallery)) if test.galleries[image] == CATEGORIES.index(category)]
        source, target = int(test.queries.sources[row]), int(test.queries.targets[row])
        bounds = references.rank_bounds(
            query[row].tolist(),
            gallery[there].tolist(),
            there.index(source),
            int(test.labels[target]),
            [int(test.labels[image]) for image in there],
        )
        assert bounds is not None
        ranks.append(bounds[0])
        assert found.outcomes.candidates[row] == len(there) - 1
    assert found.outcomes.ranks.tolist() == ranks
    assert set(metrics_of(found.outcomes).slices["category"]) == set(CATEGORIES)


def test_tables_show_recall_by_category_and_their_mean(root: Path, tmp_path: Path) -> None:
    test = opened(root).test
    generator = torch.Generator().manual_seed(1)
    for seed in range(2):
        query, gallery = (
            torch.nn.functional.normalize(torch.randn(count, 6, generator=generator), dim=1)
            for count in (len(test.queries), len(test.gallery))
        )
        outcomes = rank(query, gallery, test).outcomes
        save_record(make_record(outcomes, protocol="fashion-iq", seed=seed), outcomes, tmp_path / "records")
    stored, problems = load_records(tmp_path / "records")
    assert not problems
    (row,) = build(stored)[0].rows
    expected = {
        k: np.mean(
            [
                references.mean_over_values(run.outcomes.ranks.tolist(), list(run.outcomes.attributes["category"]), k)
                for run in stored
            ]
        )
        for k in (1, 10)
    }
    write_leaderboards(tmp_path / "records", tmp_path)
    lines = (tmp_path / "fashion-iq.md").read_text().replace(MARK, "").splitlines()
    header = next(line for line in lines if "Mean R@10" in line)
    cells = dict(
        zip(
            *([cell.strip() for cell in line.split("|")] for line in (header, lines[lines.index(header) + 2])),
            strict=True,
        )
    )
    assert cells["Mean R@1"] == f"{expected[1]:.1f}"
    assert cells["Mean R@10"] == f"{expected[10]:.1f}"
    assert "### R@10 by category" in lines
    assert "### R@50 by category" in lines
    table = lines[lines.index("### R@10 by category") + 2 :]
    assert [cell.strip() for cell in table[0].split("|")[2:5]] == list(CATEGORIES)
    assert [cell.strip() for cell in table[2].split("|")[2:5]] == [
        f"{row.scores[f'category={category}'].mean[10]:.1f}" for category in CATEGORIES
    ]
    assert row.scores[ALL].mean[1] == pytest.approx(np.mean([100 * (run.outcomes.ranks == 1).mean() for run in stored]))


def test_training_pairs_are_the_triplets_and_validation_takes_of_every_category(root: Path) -> None:
    train = opened(root).train
    triplets = {
        (source, train.texts[text], target)
        for source, text, target in zip(train.queries.sources, train.text_rows, train.queries.targets, strict=True)
    }
    batch = make_sampler(train, groups=3, modifications=2, seed=0).batch(4)
    for place, (text, target) in enumerate(zip(batch.texts, batch.targets, strict=True)):
        assert (batch.sources[batch.group[place]], train.texts[text], target) in triplets
    _, held_out = hold_out(train, 0.5)
    assert held_out is not None
    assert set(held_out.queries.attributes["category"]) == set(CATEGORIES)
    small = with_own_images(held_out)
    assert small.galleries is not None
    assert held_out.galleries is not None
    np.testing.assert_array_equal(small.galleries[small.queries.targets], held_out.galleries[held_out.queries.targets])


def test_captions_are_joined_as_the_docstring_says() -> None:
    assert joined([" is longer. ", "has (a) red belt!", "  "]) == "is longer and has (a) red belt"
    assert joined([]) == joined([" . "]) == ""


def fault_missing_image(root: Path) -> str:
    name = read(root, "image_splits/split.shirt.val.json")[2]
    file_of(root, name).unlink()
    return f"image_splits/split.shirt.val.json, entry 2: there is no image of '{name}'"


def fault_hidden_image(root: Path) -> str:
    name = read(root, "image_splits/split.toptee.val.json")[1]
    file = file_of(root, name)
    file.rename(file.with_name(f".{file.name}"))
    return f"image_splits/split.toptee.val.json, entry 1: there is no image of '{name}'"


def fault_path_for_an_id(root: Path) -> str:
    names = read(root, "image_splits/split.dress.val.json")
    (root / "image_splits" / "split.dress.val.json").write_text(json.dumps([*names, "../../secret", ["x"]]))
    return f"entry {len(names)}: there is no image of '../../secret'"


def _changed_entry(root: Path, **changes: Any) -> None:
    file = root / "captions" / "cap.dress.val.json"
    entries = json.loads(file.read_text())
    entries[1] = {name: value for name, value in (entries[1] | changes).items() if value is not None}
    file.write_text(json.dumps(entries))


def fault_other_category(root: Path) -> str:
    name = read(root, "image_splits/split.toptee.val.json")[0]
    _changed_entry(root, target=name)
    return f"captions/cap.dress.val.json, entry 1: '{name}' is not an image of this category and split"


def fault_no_target(root: Path) -> str:
    _changed_entry(root, target=None)
    return "entry 1: expected candidate, target and a list of captions"


def fault_one_string_of_captions(root: Path) -> str:
    _changed_entry(root, captions="is red")
    return "entry 1: expected candidate, target and a list of captions"


def fault_number_for_a_caption(root: Path) -> str:
    _changed_entry(root, captions=["is red", 3])
    return "entry 1: expected candidate, target and a list of captions"


def fault_no_words(root: Path) -> str:
    _changed_entry(root, captions=["", " ."])
    return "entry 1: has no words in its captions"


FAULTS = [value for name, value in sorted(globals().items()) if name.startswith("fault_")]


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named_and_can_be_skipped(root: Path, fault: Callable[[Path], str]) -> None:
    whole = len(opened(root).test.queries)
    said = fault(root)
    assert said in " | ".join(map(str, read_annotations(root).problems))
    with pytest.raises(BenchmarkError, match=r"`tirg-bench data check fashion-iq .*--skip-broken"):
        opened(root)
    dataset = opened(root, skip_broken=True)
    assert 0 < len(dataset.test.queries) <= whole
    assert dataset.skipped
    test = dataset.test
    assert all(test.galleries[test.queries.sources] == test.galleries[test.queries.targets])


def test_a_broken_image_is_refused_by_name_or_skipped(root: Path) -> None:
    shared = file_of(root, read(root, "image_splits/split.dress.val.json")[0])
    shared.write_text("no image")
    with pytest.raises(BenchmarkError, match=rf"images/{shared.name}: is not an image"):
        _ = opened(root).test
    test = opened(root, skip_broken=True).test
    assert f"images/{shared.name}" not in test.files
    assert len(test.files) == len(test.gallery) == len(test.labels) == len(test.galleries)
    for row in range(len(test.files)):
        np.testing.assert_array_equal(test.gallery[row], decode(root / test.files[row], 16))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), ("{", "not JSON"), ('{"a": 1}', "expected a list, found dict")]
)
def test_a_file_that_is_not_fashioniqs_is_one_line(root: Path, content: str | None, said: str) -> None:
    file = root / "captions" / "cap.toptee.val.json"
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(BenchmarkError, match=said) as caught:
        opened(root)
    assert str(file) in str(caught.value)


def test_the_fingerprint_is_of_annotations_and_images(root: Path) -> None:
    before = opened(root).fingerprint
    assert opened(root).fingerprint == before
    _changed_entry(root, captions=["is another", "colour"])
    assert opened(root).fingerprint != before


def test_check_counts_what_is_there(root: Path) -> None:
    task = tasks.get("FashionIQ")
    assert task.check is not None
    counts = {count.what: count.found for count in task.check(root).counts}
    assert counts["validation images"] == 3 * 6 + 1
    assert counts["training queries: shirt"] == 9
