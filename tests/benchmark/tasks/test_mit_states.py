"""MIT-States against a slow reading of its layout, on generated folders."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets.mit_states import TEST_NOUNS, MitStates
from benchmark.datasets.splits import hold_out
from benchmark.errors import BenchmarkError
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler
from tests.benchmark.folders import make_mit_states


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mit_states(tmp_path_factory.mktemp("made") / "mitstates", images=3, seed=1, colours=3)


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "mitstates"))


def opened(root: Path, *, skip_broken: bool = False) -> MitStates:
    return MitStates(root, image_size=16, reporter=SilentRuns(), skip_broken=skip_broken)


def slow_states(root: Path, *, test: bool) -> list[tuple[str, str]]:
    """(adjective, noun) of every image of the split, by noun, adjective and file."""
    found = []
    for folder in (root / "images").iterdir():
        if folder.name.split()[0] != "adj":
            adjective, noun = folder.name.split(" ", 1)
            found += [(noun, adjective, file.name) for file in folder.iterdir() if (noun in TEST_NOUNS) == test]
    return [(adjective, noun) for noun, adjective, _ in sorted(found)]


def slow_queries(root: Path) -> list[tuple[str, str, str]]:
    """(noun, adjective of the source, text), every image with every other adjective of its noun."""
    states = slow_states(root, test=True)
    queries = []
    for adjective, noun in states:
        others = {other for other, same in states if same == noun and other != adjective}
        queries += [(noun, adjective, other) for other in others]
    return sorted(queries)


def test_the_published_test_nouns_are_ours() -> None:
    assert len(TEST_NOUNS) == 49
    published = Path(__file__).parents[4] / "shared" / "facts" / "mit_states_test_nouns.txt"
    if not published.exists():
        pytest.skip("no ../shared here")
    assert frozenset(published.read_text().split()) == TEST_NOUNS


def test_queries_are_those_of_a_slow_reading(root: Path) -> None:
    test = opened(root).test
    states = slow_states(root, test=True)
    queries = test.queries
    found = []
    for source, target, text in zip(queries.sources.tolist(), queries.targets.tolist(), queries.texts, strict=True):
        assert states[target] == (text, states[source][1])
        found.append((states[source][1], states[source][0], text))
    assert sorted(found) == slow_queries(root)
    assert len(found) == 3 * 4 * 3 * 3
    for labels, key in (
        (test.labels, lambda s: s),
        (test.parts["adjective"], lambda s: s[0]),
        (test.parts["noun"], lambda s: s[1]),
    ):
        agree = np.array([[key(one) == key(other) for other in states] for one in states])
        np.testing.assert_array_equal(labels[:, None] == labels[None, :], agree)
    np.testing.assert_array_equal(queries.source_images, queries.sources)


def test_training_pairs_share_the_noun_and_the_text_is_the_adjective(root: Path) -> None:
    dataset = opened(root)
    training, states = dataset.train, slow_states(root, test=False)
    sampler = make_sampler(training, groups=6, modifications=3, seed=2)
    seen = set()
    for step in range(60):
        batch = sampler.batch(step)
        for place in range(18):
            source, target = int(batch.sources[batch.group[place]]), int(batch.targets[place])
            text = training.texts[batch.texts[place]]
            assert states[source][1] == states[target][1]
            assert states[source][0] != states[target][0] == text
            seen.add((source, text))
    adjectives = {adjective for adjective, _ in states}
    assert seen == {(row, other) for row, (own, _) in enumerate(states) for other in adjectives - {own}}


def test_what_is_held_out_is_whole_nouns_and_no_target(root: Path) -> None:
    dataset = opened(root)
    states = slow_states(root, test=False)
    kept, held_out = hold_out(dataset.train, 1 / 3)
    assert held_out is not None
    held = set(held_out.queries.sources.tolist())
    assert {states[row][1] for row in held} == {"sphere"}
    sampler = make_sampler(kept, groups=4, modifications=2, seed=0)
    for step in range(20):
        batch = sampler.batch(step)
        assert not held & {*batch.sources.tolist(), *batch.targets.tolist()}


def test_a_noun_with_one_adjective_asks_nothing_and_is_in_the_gallery(root: Path) -> None:
    for folder in (root / "images").glob("* candy"):
        if not folder.name.startswith("red"):
            shutil.rmtree(folder)
    for folder in (root / "images").glob("* cube"):
        if not folder.name.startswith("red"):
            shutil.rmtree(folder)
    dataset = opened(root)
    assert len(dataset.test.gallery) == 3 + 2 * 4 * 3
    assert len(dataset.test.queries) == len(slow_queries(root)) == 2 * 4 * 3 * 3
    states = slow_states(root, test=False)
    assert {states[row][1] for row in dataset.train.queries.sources} == {"cylinder", "sphere"}


def test_a_second_start_lists_no_folder_again_until_one_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = opened(root)
    _ = before.test, before.train
    listed = []
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: listed.append(self.name) or iterdir(self))
    again = opened(root)
    assert again.fingerprint == before.fingerprint
    assert listed == ["images"]
    folder = root / "images" / "red candy"
    (folder / "0.jpg").rename(folder / "renamed.jpg")
    listed.clear()
    assert opened(root).fingerprint != before.fingerprint
    assert listed == ["images", "red candy"]


@pytest.mark.parametrize(
    ("folder", "said"), [("nameless", "is not named <adjective> <noun>"), ("old hat", "holds no .jpg")]
)
def test_a_folder_that_is_no_state_is_named(root: Path, folder: str, said: str) -> None:
    queries = slow_queries(root)
    (root / "images" / folder).mkdir()
    with pytest.raises(BenchmarkError, match=f"images/{folder}: {said}"):
        opened(root)
    dataset = opened(root, skip_broken=True)
    assert len(dataset.test.queries) == len(queries)
    assert set(dataset.skipped) == {f"images/{folder}"}


def test_underscores_for_the_spaces_of_folder_names_are_the_same_data(root: Path) -> None:
    (root / "images" / "red candy").rename(root / "images" / "red cotton candy")
    before = opened(root)
    asked = (before.test.queries.texts, before.train.texts, before.test.labels.tolist(), before.fingerprint)
    for folder in list((root / "images").iterdir()):
        folder.rename(folder.with_name(folder.name.replace(" ", "_")))
    after = opened(root)
    assert (after.test.queries.texts, after.train.texts, after.test.labels.tolist(), after.fingerprint) == asked
    assert "adj" not in after.train.texts


def test_hidden_files_are_never_data(root: Path) -> None:
    before = opened(root).fingerprint
    (root / "images" / ".red candy").mkdir()
    shutil.copy(root / "images" / "red candy" / "0.jpg", root / "images" / ".red candy" / "0.jpg")
    (root / "images" / "red candy" / "._0.jpg").write_text("of a file manager")
    assert opened(root).fingerprint == before


def test_a_broken_image_is_refused_by_name_or_skipped(root: Path) -> None:
    (root / "images" / "red candy" / "1.jpg").write_text("no image")
    with pytest.raises(BenchmarkError, match=r"images/red candy/1.jpg.*not an image"):
        _ = opened(root).test
    dataset = opened(root, skip_broken=True)
    assert len(dataset.test.gallery) == 3 * 4 * 3 - 1
    assert len(dataset.test.queries) == (3 * 4 * 3 - 1) * 3
    assert set(dataset.skipped) == {"images/red candy/1.jpg"}


def test_another_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no folder images"):
        opened(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(BenchmarkError, match="<adjective> <noun>"):
        opened(tmp_path)
