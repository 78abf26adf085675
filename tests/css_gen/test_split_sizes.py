"""Splits given by their images: the configuration, one test split beside any training split, and its fingerprint."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import css_gen
from css_gen import tracks
from css_gen.description import print_description
from css_gen.fresh import render_fresh_test
from css_gen.render import finished, render
from css_gen.scenes.randomness import SplitId
from css_gen.storage.configuration import Configuration
from css_gen.storage.estimate import require_large_enough
from css_gen.storage.plan import split_plan
from tests.conftest import CssGen
from tests.css_gen.one_line import assert_one_line

TEST = 60
SIZES = st.integers(1, 5_000_000)


def counted(train: int, test: int = TEST, **others: object) -> Configuration:
    return Configuration(images=train + test, test_images=test, **{"size": 32, "seed": 3, **others})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three renderings with one test split, two of them by the images of their splits."""
    folder = tmp_path_factory.mktemp("sizes")
    configurations = {
        "few": counted(24),
        "many": counted(90),
        "fraction": Configuration(images=80, test_fraction=0.75, size=32, seed=3),
    }
    for name, configuration in configurations.items():
        render(folder / name, configuration, jobs=1)
    return {name: folder / name for name in configurations}


@given(SIZES, SIZES)
def test_the_splits_hold_exactly_what_was_given(train: int, test: int) -> None:
    configuration = counted(train, test)
    assert [configuration.split_images(split) for split in (SplitId.TRAIN, SplitId.TEST)] == [train, test]
    assert Configuration.from_json(json.loads(json.dumps(configuration.to_json()))) == configuration
    assert configuration.images == train + test


def test_json_has_the_images_of_the_splits_in_place_of_n_and_the_fraction() -> None:
    by_n, by_split = Configuration(images=100).to_json(), Configuration(images=100, test_images=10).to_json()
    assert list(by_n)[:4] == ["n", "seed", "size", "test-fraction"]
    assert (by_split.pop("train"), by_split.pop("test")) == (90, 10)
    assert by_split == {name: value for name, value in by_n.items() if name not in ("n", "test-fraction")}


@pytest.mark.parametrize("images", [20_000, 101, 12])
def test_halves_are_the_configuration_that_n_gives(images: int) -> None:
    by_n = Configuration(images=images)
    by_split = Configuration(images=images, test_images=by_n.split_images(SplitId.TEST))
    assert by_split == by_n
    assert by_split.to_json() == by_n.to_json()
    assert Configuration(images=images, test_images=images // 2 + 1 + images % 2) != by_n


def test_a_configuration_with_sizes_of_both_kinds_is_refused() -> None:
    values = counted(24).to_json()
    for broken in (values | {"n": 84}, values | {"test-fraction": 0.5}, {**values, "train": None}, {"test": 60}):
        with pytest.raises(ValueError, match=r"exactly|--train must be a JSON int"):
            Configuration.from_json(broken)
    with pytest.raises(ValueError, match=r"--test-fraction must be left out beside --test, got 0.3"):
        replace(counted(24), test_fraction=0.3)


def test_differences_name_what_only_one_side_has() -> None:
    assert counted(24).differences(counted(90)) == ["train is 90 there and 24 here"]
    assert counted(24).differences(Configuration(images=84, size=32, seed=3)) == [
        "train is not given there and 24 here",
        "test is not given there and 60 here",
        "n is 84 there and not given here",
        "test-fraction is 0.5 there and not given here",
    ]


def test_the_test_split_is_the_same_whatever_the_training_split_is(roots: dict[str, Path]) -> None:
    opened = {name: css_gen.open_dataset(root) for name, root in roots.items()}
    tests = [
        {name: entry.content for name, entry in each.manifest.files.items() if name.startswith("test/")}
        for each in opened.values()
    ]
    assert len(tests[0]) == 5
    assert tests[0] == tests[1] == tests[2]
    splits = [each.split("test") for each in opened.values()]
    assert len({split.fingerprint for split in splits}) == 1
    assert splits[0].png_3d(59) == splits[1].png_3d(59) == splits[2].png_3d(59)
    assert len({each.split("train").fingerprint for each in opened.values()}) == 3
    assert len({each.fingerprint for each in opened.values()}) == 3
    assert [len(each.split("train")) for each in opened.values()] == [24, 90, 20]


def test_the_fingerprint_of_a_split_is_made_from_its_files_alone(roots: dict[str, Path]) -> None:
    values = json.loads((roots["few"] / "manifest.json").read_text())
    assert values["configuration"] == counted(24).to_json()
    for split in ("train", "test"):
        files = sorted(
            [name, entry["content"]] for name, entry in values["files"].items() if name.split("/")[0] == split
        )
        expected = hashlib.sha256(json.dumps(["css", 1, *files]).encode()).hexdigest()
        assert css_gen.open_dataset(roots["few"]).split(split).fingerprint == expected


def test_info_and_the_card_show_the_fingerprints(roots: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    print_description(roots["few"])
    said = "".join(capsys.readouterr().out.replace("│", "").split())  # the table folds what is long
    card = (roots["few"] / "README.md").read_text()
    for split in ("train", "test"):
        fingerprint = css_gen.open_dataset(roots["few"]).split(split).fingerprint
        assert f"of{split}{fingerprint}" in said
        assert f"of {split} `{fingerprint}`" in card
    assert "train24test60" in said


def test_a_fresh_test_set_has_as_many_images(roots: dict[str, Path], tmp_path: Path) -> None:
    render_fresh_test(tmp_path, counted(24), seed=11, jobs=1)
    fresh = css_gen.open_dataset(tmp_path).split("test")
    assert len(fresh) == TEST
    assert fresh.fingerprint != css_gen.open_dataset(roots["few"]).split("test").fingerprint


def test_the_command_renders_resumes_verifies_and_repairs(run_css_gen: CssGen, tmp_path: Path) -> None:
    arguments = (
        "render",
        "--train",
        24,
        "--test",
        60,
        "--size",
        32,
        "--seed",
        3,
        "--jobs",
        1,
        "--out",
        tmp_path / "css",
    )
    result = run_css_gen(*arguments)
    assert result.exit_code == 0, result.output
    assert "84 images" in result.stdout
    assert "nothing to do" in run_css_gen(*arguments).stdout
    before = (tmp_path / "css" / "manifest.json").read_bytes()
    (tmp_path / "css" / "manifest.json").unlink()
    next((tmp_path / "css" / "train").glob("images-*")).unlink()
    result = run_css_gen("verify", tmp_path / "css", "--repair", "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "css" / "manifest.json").read_bytes() == before
    assert finished(tmp_path / "css", counted(24))
    assert_one_line(
        run_css_gen(*arguments[:2], 30, *arguments[3:]), 1, "holds another dataset: train is 24 there and 30 here"
    )


@pytest.mark.parametrize("track", tracks.names())
def test_the_test_split_of_a_track_is_the_same_too(track: str) -> None:
    plans = [split_plan(counted(train, 120, track=track), SplitId.TEST) for train in (40, 90)]
    assert [plan.images for plan in plans] == [120, 120]
    assert len({tuple(plan.scene(image).key for image in range(120)) for plan in plans}) == 1
    texts = [[query.modification.to_json() for query in plan.queries(0, plan.query_count)] for plan in plans]
    assert texts[0] == texts[1]
    values = counted(40, 120, track=track).to_json()
    assert values["track"] == track
    assert Configuration.from_json(values) == counted(40, 120, track=track)
    with pytest.raises(ValueError, match=r"--train must be at least 4 and --test at least \d+, got 40 and 4: the test"):
        require_large_enough(counted(40, 4, track=track), by_split=True)


@pytest.mark.parametrize(
    ("train", "test", "short"),
    [
        (3, 40, "the train split of chain needs 3 references and 1 image of a query"),
        (40, 8, "the test split of chain needs 3 references and 6 images of a query"),
        (3, 8, "the train split of chain needs 3 references and 1 image of a query and the test split of chain needs "
         "3 references and 6 images of a query"),
    ],
)  # fmt: skip
def test_the_error_names_the_splits_of_a_track_that_are_short(train: int, test: int, short: str) -> None:
    with pytest.raises(ValueError, match=rf"got {train} and {test}: {short}$"):
        require_large_enough(counted(train, test, track="chain"), by_split=True)
