import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from css_gen.description import print_description
from css_gen.rendering import nuisance, stage
from css_gen.rendering.nuisance import MATERIALS, Jitter
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.sampling import split_size
from css_gen.storage import configuration as module
from css_gen.storage.configuration import (
    EXTRAS,
    FULL_SIZE_FINGERPRINT,
    LEADERBOARD_FINGERPRINT,
    NAMES,
    SWITCHES,
    VIEWS,
    Configuration,
    split_images,
)
from css_gen.storage.estimate import require_large_enough
from css_gen.storage.plan import shards, units

SUBSETS = st.sets(st.sampled_from(MATERIALS), min_size=1).map(lambda words: tuple(sorted(words)))
JITTERS = st.builds(Jitter, **dict.fromkeys(SWITCHES, st.booleans()), materials=SUBSETS)
CONFIGURATIONS = st.builds(
    Configuration,
    images=st.integers(1, module.MOST_IMAGES),
    seed=st.integers(0, 2**70),
    size=st.integers(module.SMALLEST_SIZE, module.LARGEST_SIZE),
    test_fraction=st.floats(0, 1, exclude_min=True, exclude_max=True),
    names=st.sampled_from(NAMES),
    view=st.sampled_from(VIEWS),
    jitter=JITTERS,
    extras=st.lists(st.sampled_from(EXTRAS), unique=True).map(tuple),
)


@given(CONFIGURATIONS)
def test_json_round_trip(configuration):
    assert Configuration.from_json(configuration.to_json()) == configuration


@given(CONFIGURATIONS)
def test_the_splits_hold_all_images(configuration):
    train, test = (configuration.split_images(split) for split in SplitId)
    assert train + test == configuration.images
    assert abs(test - configuration.images * configuration.test_fraction) <= 0.5 + 1e-6


@given(st.integers(1, 30_000), st.integers(module.SMALLEST_SIZE, module.LARGEST_SIZE))
def test_shards_hold_every_image_once_in_order(images, size):
    configuration = Configuration(images=images, size=size)
    for split in SplitId:
        parts = list(shards(configuration, split))
        numbers = [number for part in parts for number in range(part.start, part.stop)]
        assert numbers == list(range(configuration.split_images(split)))
        assert [part.index for part in parts] == list(range(len(parts)))
        assert all(0 < part.stop - part.start <= 500 for part in parts)
        assert len(parts) >= min(4, configuration.split_images(split))


def test_unit_names_are_unique():
    names = [unit.name for unit in units(Configuration(images=20_000))]
    assert len(names) == len(set(names))
    assert {"train/queries.parquet", "test/images-00000-of-00020.parquet"} <= set(names)


@given(CONFIGURATIONS, CONFIGURATIONS)
def test_configurations_differ_exactly_where_they_say(ours, theirs):
    differences = ours.differences(theirs)
    assert (not differences) == (ours == theirs)
    assert len(differences) == sum(ours.to_json()[name] != theirs.to_json()[name] for name in ours.to_json())


def test_a_difference_reads_like_a_sentence():
    ours = Configuration(images=100)
    theirs = replace(ours, size=64, jitter=Jitter(camera=False), extras=("depth",))
    assert ours.differences(theirs) == [
        "size is 64 there and 224 here",
        "jitter is position, rotation, lights there and position, rotation, camera, lights here",
        "with is depth there and nothing here",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 0}, "--n must be from 1 to"),
        ({"images": -5}, "--n must be from 1 to"),
        ({"images": module.MOST_IMAGES + 1}, "--n must be from 1 to"),
        ({"seed": -1}, "--seed must be 0 or more, got -1"),
        ({"size": 15}, "--size must be 16 to 4096 pixels, got 15"),
        ({"test_fraction": 0.0}, "--test-fraction must be between 0 and 1"),
        ({"test_fraction": 1.0}, "--test-fraction must be between 0 and 1"),
        ({"test_fraction": float("nan")}, "--test-fraction must be between 0 and 1"),
        ({"names": "4d"}, "--names must be one of 2d, 3d, got 4d"),
        ({"view": "top"}, "--view must be one of grid, clevr, got top"),
        ({"extras": ("normals",)}, "--with must be some of masks, depth, geometry, got normals"),
    ],
)
def test_a_value_out_of_range_names_its_option(changes, message):
    with pytest.raises(ValueError, match=message):
        Configuration(**{"images": 100, **changes})


@pytest.mark.parametrize(
    ("name", "value"),
    [("n", "100"), ("n", True), ("seed", 1.5), ("test-fraction", 1), ("with", "masks"), ("jitter", ["wind"])],
)
def test_json_of_the_wrong_type_is_refused(name, value):
    values = Configuration(images=100).to_json()
    with pytest.raises(ValueError, match=f"--{name} must be"):
        Configuration.from_json({**values, name: value})


def test_json_with_missing_or_unknown_names_is_refused():
    values = Configuration(images=100).to_json()
    for broken in ({**values, "new": 1}, {"n": 100}, [], None):
        with pytest.raises(ValueError, match="exactly n, seed"):
            Configuration.from_json(broken)


def test_the_vocabulary_is_the_renderers():
    assert tuple(stage.VIEWS) == VIEWS
    assert {*SWITCHES, "materials"} == set(nuisance.Jitter.__dataclass_fields__)


@given(st.floats(1e-6, 1 - 1e-6))
def test_the_smallest_dataset_that_is_named_is_the_smallest(test_fraction):
    with pytest.raises(ValueError, match=r"--n must be at least \d+ with") as refused:
        require_large_enough(Configuration(images=1, test_fraction=test_fraction))
    smallest = int(str(refused.value).split()[5])
    require_large_enough(Configuration(images=smallest, test_fraction=test_fraction))
    for split in SplitId:
        assert split_size(split_images(smallest, test_fraction, split))
    with pytest.raises(ValueError, match="at least"):
        split_size(min(split_images(smallest - 1, test_fraction, split) for split in SplitId))


RECORDS = sorted((Path(__file__).parents[3] / "leaderboards" / "records").glob("css*/*/*.json"))


def test_it_is_the_data_of_every_published_record() -> None:
    """A track's records are of one dataset, too, with the same options. The full-size boards have one of their own."""
    cards = [json.loads(path.read_text())["dataset"] for path in RECORDS]
    fingerprints: dict[tuple[str, bool], set[str]] = {}
    for card in cards:
        is_full_size = card["rendering"]["n"] == 38_024
        fingerprints.setdefault((card["name"], is_full_size), set()).add(card["fingerprint"])
        track = card["name"].removeprefix("css-")
        images, size = (38_024, 128) if is_full_size else (20_000, 224)
        assert card["rendering"] == Configuration(images=images, size=size, track=track).to_json()
    assert fingerprints["css", False] == {LEADERBOARD_FINGERPRINT}
    assert fingerprints["css", True] == {FULL_SIZE_FINGERPRINT}
    assert all(len(each) == 1 for each in fingerprints.values())


def test_info_says_whether_a_dataset_is_that_one(
    tiny_dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_description(tiny_dataset)
    out = capsys.readouterr().out
    assert "leaderboard   │ other data; the leaderboard's has the fingerprint " in out
    assert "│ 332e216a: css-gen render --n 20000 " in out
    assert "│ a09e6088: css-gen render --n 38024 --size 128 (full size) " in out
    fingerprint = json.loads((tiny_dataset / "manifest.json").read_text())["fingerprint"]
    for name, expected in (
        ("FULL_SIZE", "this is the data of the leaderboard's rows at full size"),
        ("LEADERBOARD", "this is the leaderboard's data"),
    ):
        monkeypatch.setattr(f"css_gen.description.{name}_FINGERPRINT", fingerprint)
        print_description(tiny_dataset)
        assert f"leaderboard   │ {expected} " in capsys.readouterr().out
