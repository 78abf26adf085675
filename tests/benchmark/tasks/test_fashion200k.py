"""Fashion200k against a slow reading of its layout, on generated folders, also those that were mangled on the way."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets.fashion200k import Fashion200k, cleaned, read_labels
from benchmark.datasets.splits import hold_out
from benchmark.errors import BenchmarkError
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler
from tests.benchmark.datasets.test_word_swaps import all_pairs
from tests.benchmark.folders import make_fashion200k


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_fashion200k(tmp_path_factory.mktemp("made") / "fashion200k", train=60, test=40, queries=25, seed=1)


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "fashion200k"))


def opened(root: Path, *, skip_broken: bool = False) -> Fashion200k:
    return Fashion200k(root, image_size=16, reporter=SilentRuns(), skip_broken=skip_broken)


def slow_captions(root: Path, split: str) -> dict[str, str]:
    """File -> caption, line by line."""
    found = {}
    for file in (root / "labels").iterdir():
        if file.name.endswith(f"_{split}_detect_all.txt"):
            for line in file.read_bytes().decode("utf-8").lstrip("\ufeff").split("\n"):
                if line.strip():
                    path, _, caption = line.strip("\r").split("\t")[:3]
                    found[path] = caption.strip().replace("&", "andmark")
    return found


def slow_queries(root: Path) -> list[tuple[str, str, str]]:
    """(source's caption, target's caption, text) of every test query; captions hold no word twice."""
    captions = slow_captions(root, "test")
    found = []
    for line in (root / "test_queries.txt").read_bytes().decode("utf-8").lstrip("\ufeff").split("\n"):
        if line.strip():
            one, other = (captions[file] for file in line.split())
            (source,) = [word for word in one.split() if word not in other.split()]
            (target,) = [word for word in other.split() if word not in one.split()]
            found.append((one, other, f"replace {source} with {target}"))
    return found


def every_text_file(root: Path, change: Callable[[str], str]) -> None:
    for file in [*(root / "labels").iterdir(), root / "test_queries.txt"]:
        file.write_bytes(change(file.read_text(encoding="utf-8")).encode())


def shuffled(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[row] for row in np.random.default_rng(len(text)).permutation(len(lines)))


MANGLED: dict[str, Callable[[str], str]] = {
    "as shipped": lambda text: text,
    "shuffled": shuffled,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "byte-order mark": lambda text: "\ufeff" + text,
    "unicode": lambda text: text.replace(" cube", " würfel").replace(" sphere", " 球"),
    "blank lines": lambda text: "\n\n" + text.replace("\n", "\n \t\n"),
    "trailing tab": lambda text: text.replace("\n", "\t\n"),
    "no last line end": lambda text: text.removesuffix("\n"),
    "marks": lambda text: text.replace(" large ", " large&wide "),
}


@pytest.mark.parametrize("mangling", MANGLED)
def test_queries_are_those_of_a_slow_reading(root: Path, mangling: str) -> None:
    every_text_file(root, MANGLED[mangling])
    test = opened(root).test
    captions = dict(enumerate(slow_rows(root, "test")))
    queries = test.queries
    found = [
        (captions[source], captions[target], text)
        for source, target, text in zip(queries.sources.tolist(), queries.targets.tolist(), queries.texts, strict=True)
    ]
    assert found == slow_queries(root)
    assert len(found) == 25
    np.testing.assert_array_equal(queries.source_images, queries.sources)
    labels = {}
    for row, caption in captions.items():
        assert labels.setdefault(caption, test.labels[row]) == test.labels[row]
    assert len(set(labels.values())) == len(labels)


def slow_rows(root: Path, split: str) -> list[str]:
    """Captions in the order of the images' rows, which is told by the pixels' file alone."""
    captions = slow_captions(root, split)
    return [captions[path] for path in read_labels(root).captions[split]]


@pytest.mark.parametrize("mangling", MANGLED)
def test_training_pairs_are_those_of_a_slow_search(root: Path, mangling: str) -> None:
    every_text_file(root, MANGLED[mangling])
    dataset = opened(root)
    captions = slow_rows(root, "train")
    pairs = all_pairs(captions)
    training = dataset.train
    sampler = make_sampler(training, groups=8, modifications=3, seed=5)
    assert len(captions) == 60
    for step in range(12):
        batch = sampler.batch(step)
        assert len(set(batch.sources.tolist())) == 8
        for place in range(24):
            pair = int(batch.sources[batch.group[place]]), int(batch.targets[place])
            assert training.texts[batch.texts[place]] == pairs[pair]
    assert set(training.texts) == set(pairs.values())


def test_an_epoch_has_every_source_and_batches_depend_on_seed_and_step_alone(root: Path) -> None:
    dataset = opened(root)
    training = dataset.train
    sources = {source for source, _ in all_pairs(slow_rows(root, "train"))}
    batches = len(sources) // 4
    first, second, other = (make_sampler(training, groups=4, modifications=2, seed=seed) for seed in (7, 7, 8))
    seen = [source for step in range(batches) for source in first.batch(step).sources.tolist()]
    assert len(set(seen)) == len(seen) > len(sources) - 4
    assert set(seen) <= sources
    for step in (5, 0, 3):
        np.testing.assert_array_equal(first.batch(step).targets, second.batch(step).targets)
        np.testing.assert_array_equal(first.batch(step).texts, second.batch(step).texts)
    assert any((first.batch(step).targets != other.batch(step).targets).any() for step in range(3))


def test_what_is_held_out_is_neither_a_source_nor_a_target(root: Path) -> None:
    dataset = opened(root)
    kept, held_out = hold_out(dataset.train, 0.3)
    assert held_out is not None
    held = set(held_out.queries.sources.tolist())
    assert held
    sampler = make_sampler(kept, groups=5, modifications=4, seed=0)
    for step in range(40):
        batch = sampler.batch(step)
        assert not held & {*batch.sources.tolist(), *batch.targets.tolist()}


def test_the_order_of_files_and_lines_changes_no_split(root: Path) -> None:
    before = opened(root)
    every_text_file(root, shuffled)
    after = opened(root)
    assert before.train.queries.texts == after.train.queries.texts
    np.testing.assert_array_equal(before.train.gallery, after.train.gallery)
    assert before.fingerprint != after.fingerprint


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("women/x.jpeg 0.5 no tabs", "expected file, detection score and caption"),
        ("women/x.jpeg\t0.5\t ", "expected file, detection score and caption"),
        ("../outside.jpeg\t0.5\ta red cube", "is outside the folder"),
        ("/etc/passwd\t0.5\ta red cube", "is outside the folder"),
        ("women/gone.jpeg\t0.5\ta red cube", "is missing"),
    ],
)
def test_a_bad_line_is_refused_by_name_and_skipped_on_request(root: Path, line: str, said: str) -> None:
    with (root / "labels" / "cubes_test_detect_all.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BenchmarkError, match=said) as caught:
        _ = opened(root).test
    assert line.split("\t")[0].split(" ")[0] in str(caught.value) or "cubes_test_detect_all.txt:1" in str(caught.value)
    assert "--skip-broken" in str(caught.value)
    dataset = opened(root, skip_broken=True)
    assert len(dataset.test.gallery) == 40
    assert len(dataset.skipped) == 1
    assert dataset.fingerprint != opened(made_again(root)).fingerprint


def made_again(root: Path) -> Path:
    (root / "labels" / "cubes_test_detect_all.txt").unlink()
    return root


def test_a_link_that_leaves_the_folder_is_refused_and_one_that_stays_is_not(root: Path, tmp_path: Path) -> None:
    path = root / next(iter(read_labels(root).captions["test"]))
    elsewhere = tmp_path / "elsewhere.jpeg"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(BenchmarkError, match="outside the folder"):
        _ = opened(root).test
    path.unlink()
    inside = root / "women" / "moved.jpeg"
    elsewhere.rename(inside)
    path.symlink_to(inside)
    assert len(opened(root).test.gallery) == 40


def test_a_query_on_an_unknown_or_broken_image_is_refused_or_skipped(root: Path) -> None:
    queries = root / "test_queries.txt"
    queries.write_text(queries.read_text() + "women/a.jpeg women/b.jpeg\nonly-one.jpeg\n")
    with pytest.raises(BenchmarkError, match=r"test_queries.txt:26: women/a.jpeg is in no test label file"):
        opened(root)
    dataset = opened(root, skip_broken=True)
    assert len(dataset.test.queries) == 25
    assert set(dataset.skipped) == {"test_queries.txt:26", "test_queries.txt:27"}
    victim = queries.read_text().split()[0]
    (root / victim).write_bytes((root / victim).read_bytes()[:300])
    dataset = opened(root, skip_broken=True)
    shutil.rmtree(root / ".cache")
    left = [line for line in slow_pairs(queries) if victim not in line]
    assert len(dataset.test.queries) == len(left) < 25
    assert victim in dataset.skipped


def slow_pairs(queries: Path) -> list[list[str]]:
    return [line.split() for line in queries.read_text().splitlines()[:25]]


def test_a_file_that_is_listed_twice_is_named(root: Path) -> None:
    file = root / "labels" / "cube_test_detect_all.txt"
    first = file.read_text().splitlines()[0]
    (root / "labels" / "more_test_detect_all.txt").write_text(first + "\n")
    (root / "labels" / "more_train_detect_all.txt").write_text(first + "\n")
    said = {str(problem) for problem in read_labels(root).problems}
    path = first.split("\t")[0]
    assert f"labels/more_test_detect_all.txt:1: {path} is listed twice" in said
    assert f"{path}: is listed for training and for the test" in said


@pytest.mark.parametrize("missing", ["labels", "test_queries.txt"])
def test_a_folder_without_its_text_files_says_what_is_expected(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(BenchmarkError, match=missing):
        opened(root)


def test_label_files_that_are_no_text_are_named(root: Path) -> None:
    (root / "labels" / "a_test_detect_all.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchmarkError, match=r"a_test_detect_all.txt: not UTF-8 text"):
        opened(root)


def test_hidden_files_are_never_data(root: Path) -> None:
    before = opened(root).fingerprint
    (root / "labels" / "._a_test_detect_all.txt").write_bytes(b"\xff\xfe of a file manager")
    assert opened(root).fingerprint == before


def test_marks_become_words() -> None:
    assert cleaned(" a.b? c & d* ") == "adotmarkbquestionmark c andmark dstarmark"
