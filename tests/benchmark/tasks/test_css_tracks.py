"""A track is a task: its data is read, labelled, trained on, scored, listed and explained as css's is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import css_gen.dataset
from benchmark import tasks
from benchmark.datasets.splits import Split
from benchmark.errors import BenchmarkError
from benchmark.records.code_version import shared_sources
from benchmark.scoring.evaluation import rank
from benchmark.scoring.metrics import WORST, contrast_name, metrics_of
from benchmark.training.progress import SilentRuns
from css_gen import tracks
from tests.benchmark.toy_track import TOY, rendered_toy

CONTRASTS = ("cell accuracy", "edit accuracy", "other accuracy")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with rendered_toy(tmp_path_factory.mktemp("toy") / "css-toy") as folder:
        yield folder


def split_of(root: Path, name: str = "test") -> Split:
    dataset = tasks.get("css-toy").open(root, image_size=8, reporter=SilentRuns(), skip_broken=False)
    return dataset.test if name == "test" else dataset.train


def test_wrong_answers_are_read_under_the_headings_of_their_contrasts(root: Path) -> None:
    split, stored = split_of(root), css_gen.dataset.open(root).split("test")
    assert tuple(split.contrasts) == CONTRASTS
    assert [images.shape for images in split.contrasts.values()] == [(len(stored.queries), most) for most in (2, 1, 0)]
    for row, query in enumerate(stored.queries):
        source = stored.scene(query.source_id)
        for name, why in zip(CONTRASTS, TOY.contrasts, strict=True):
            images = split.contrasts[name][row].tolist()
            assert images == [image for reason, image in query.distractors if reason == why]
            for image in images:
                lost = {*source} - {*stored.scene(image)}
                assert (not lost) if why == "nothing lost" else (len(lost) == 1), "the image shows what the label says"
                assert stored.keys[image] not in query.modification.targets(source)
    assert split_of(root, "train").contrasts == {}


def test_relevance_slices_groups_and_shortcut_are_those_of_the_programs(root: Path) -> None:
    split, stored = split_of(root), css_gen.dataset.open(root).split("test")
    assert split.relevant is not None
    assert split.shortcut is not None
    assert split.queries.groups is not None
    assert split.text_candidates is None
    assert split.combinations is not None
    several = 0
    for row, query in enumerate(stored.queries):
        before = stored.scene(query.source_id)
        right, taken = set(), set()
        for image in range(len(stored)):
            lost = {item.cell for item in {*before} - {*stored.scene(image)}}
            is_smaller = {*stored.scene(image)} < {*before} and len(lost) == 1
            if is_smaller and image != query.source_id:
                taken.add(image)
                right |= {image} if str(*lost) == query.text.split()[1] else set()
        found = {image for image in range(len(stored)) if split.labels[image] in split.relevant.row(row)}
        assert found == right
        assert (split.shortcut.candidates[row], split.shortcut.hits[row]) == (len(taken), len(right))
        several += len(right) > 1
        words = {name: str(column[row]) for name, column in split.queries.attributes.items()}
        assert (words["wording"], words["kind"]) == (query.text.split()[0], "lose")
        assert words["crowd"] == ("few" if len(before) < 5 else "many")
        assert words["objects"] == str(len(before))
    groups = split.queries.groups.tolist()
    assert all(groups.count(group) == 2 for group in groups)
    targets = {group: int(target) for group, target in zip(groups, split.queries.targets, strict=True)}
    assert [targets[group] for group in groups] == split.queries.targets.tolist()


def test_a_solver_that_knows_the_answers_scores_100_on_everything(root: Path) -> None:
    split = split_of(root)
    assert split.relevant is not None
    gallery = torch.eye(int(split.labels.max()) + 1)[torch.from_numpy(split.labels)]
    query = torch.zeros(len(split.queries), gallery.shape[1])
    for row in range(len(query)):
        query[row, torch.from_numpy(split.relevant.row(row))] = 1
    scores = metrics_of(rank(query, gallery, split).outcomes).scores
    assert scores["recall@1"] == scores[WORST] == 100
    assert [scores.get(contrast_name(name)) for name in CONTRASTS] == [100, 100, None]
    blind = metrics_of(rank(1 - query, gallery, split).outcomes).scores
    assert [blind[contrast_name(name)] for name in CONTRASTS[:2]] == [0, 0]


def test_the_folder_of_another_track_is_refused(root: Path, css_root: Path) -> None:
    for name, wrong, told in (
        ("css", root, "holds the track toy, and css is on css"),
        ("css-toy", css_root, "holds the track css, and css-toy is on toy; .* render it: css-gen render --track toy"),
    ):
        with pytest.raises(BenchmarkError, match=told):
            tasks.get(name).open(wrong, image_size=8, reporter=SilentRuns(), skip_broken=False)


@pytest.mark.usefixtures("root")
def test_tracks_are_available_where_their_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "css" in tasks.present_or_made({})
    assert "css-toy" not in tasks.present_or_made({}), "no dataset is rendered unasked, but css"
    assert "css-toy" in tasks.present_or_made({"css-toy": Path("elsewhere")})
    Path("data/css-toy").mkdir(parents=True)
    assert "css-toy" in tasks.present_or_made({})


@pytest.mark.usefixtures("root")
def test_results_of_a_track_depend_on_its_code_and_those_of_css_do_not() -> None:
    folder = Path(tracks.__file__).parent
    of_track = shared_sources("css-toy")
    assert {folder / name for name in ("__init__.py", "base.py", "plan.py", "registry.py")} <= of_track
    assert Path(__file__).parents[1] / "toy_track.py" in of_track
    assert Path(tasks.__file__).parent / "css_tracks.py" in of_track
    of_css = shared_sources("css")
    assert not [file for file in of_css if file.is_relative_to(folder)]
    assert not [file for file in of_css if file.name == "css_tracks.py"]
    for name in tracks.names():
        own = {file.name for file in shared_sources(f"css-{name}") if file.is_relative_to(folder)}
        assert name == "toy" or f"{name}.py" in own
