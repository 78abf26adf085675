"""--nuisance-seed: the same scenes and queries in other pictures; without it, every byte is what it was."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from css_gen import dataset
from css_gen.dataset import Split
from css_gen.description import print_description
from css_gen.fresh import render_fresh_test
from css_gen.render import render
from css_gen.storage.configuration import EXTRAS, Configuration
from css_gen.storage.geometry_columns import to_row
from css_gen.verify import verify
from tests.conftest import CssGen
from tests.css_gen.one_line import assert_one_line

PLAIN = Configuration(images=60, size=24, seed=3, extras=EXTRAS)
OTHER = replace(PLAIN, nuisance_seed=8)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("nuisances")
    configurations = {
        "plain": PLAIN,
        "other": OTHER,
        "more images": replace(OTHER, images=90),
        "seed 8": replace(PLAIN, seed=8),
    }
    for name, configuration in configurations.items():
        render(folder / name, configuration, jobs=1)
    return {name: folder / name for name in configurations}


def opened(roots: dict[str, Path], name: str, split: str = "test") -> Split:
    return dataset.open(roots[name]).split(split)


@pytest.mark.parametrize(
    ("extras", "fingerprint"),
    [
        ((), "47d562258b4311f3dc0d7dd839cf8993a56cd640fd684b795912d11b71c11208"),
        (("masks", "depth"), "5ed90eb5d15e72e7219ca8dbf8ec867606e7a05141028b79d09aa4190dd16d67"),
    ],
)
def test_without_it_a_dataset_is_what_it_was_before(tmp_path: Path, extras: tuple[str, ...], fingerprint: str) -> None:
    """The fingerprints are those of commit 5adf83f, which had neither a nuisance seed nor columns of a geometry."""
    assert render(tmp_path / "css", Configuration(images=24, size=16, extras=extras), jobs=1).fingerprint == fingerprint


@pytest.mark.parametrize("split", ["train", "test"])
def test_scenes_and_queries_are_the_same_and_every_image_is_another(roots: dict[str, Path], split: str) -> None:
    plain, other = opened(roots, "plain", split), opened(roots, "other", split)
    assert plain.queries == other.queries
    assert len(plain.queries) > 20
    assert plain.keys == other.keys
    for image_id in range(len(plain)):
        assert plain.scene(image_id) == other.scene(image_id)
        assert (plain.image_3d(image_id) != other.image_3d(image_id)).any()
        if len(plain.scene(image_id)):
            assert (plain.image_2d(image_id) != other.image_2d(image_id)).any()
        before, after = to_row(plain.geometry(image_id)), to_row(other.geometry(image_id))
        same = {name for name, value in before.items() if value == after[name] and value != []}
        assert same - {"object_material", "object_box_image_3d", "object_box_image_2d"} == {
            "object_half_extent", "camera_intrinsics", "lamp_size", "lamp_radiance", "sun_irradiance",
        } - {name for name, value in before.items() if value == []}  # fmt: skip


def test_an_image_does_not_depend_on_how_many_there_are(roots: dict[str, Path]) -> None:
    few, many = opened(roots, "other"), opened(roots, "more images")
    for image_id in range(3):  # references; how many there are decides which images answer queries
        assert few.scene(image_id) == many.scene(image_id)
        for column in ("image_3d", "image_2d", "mask", "depth"):
            assert few.png(image_id, column) == many.png(image_id, column)


def test_lights_and_camera_are_those_of_that_seed(roots: dict[str, Path]) -> None:
    other, seed = opened(roots, "other"), opened(roots, "seed 8")
    for image_id in range(len(other)):
        one, two = other.geometry(image_id), seed.geometry(image_id)
        np.testing.assert_array_equal(one.camera.position, two.camera.position)
        np.testing.assert_array_equal(one.lamps[1].position, two.lamps[1].position)
    assert other.keys != seed.keys


def test_the_seed_itself_is_the_default() -> None:
    assert replace(PLAIN, nuisance_seed=3) == PLAIN
    assert "nuisance-seed" not in PLAIN.to_json()
    assert OTHER.to_json() == {**PLAIN.to_json(), "nuisance-seed": 8}
    assert Configuration.from_json(json.loads(json.dumps(OTHER.to_json()))) == OTHER
    for value in ("8", 8.0, None, True):
        with pytest.raises(ValueError, match="--nuisance-seed must be a JSON int"):
            Configuration.from_json({**PLAIN.to_json(), "nuisance-seed": value})


def test_it_is_recorded_wherever_a_dataset_describes_itself(
    roots: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads((roots["other"] / "manifest.json").read_text())["configuration"]["nuisance-seed"] == 8
    assert '"nuisance-seed": 8' in json.loads((roots["other"] / "croissant.json").read_text())["rai:dataCollection"]
    assert "as with seed 8" in " ".join((roots["other"] / "README.md").read_text().split())
    print_description(roots["other"])
    assert "nuisance-seed │ 8" in " ".join(capsys.readouterr().out.split())
    plain = [(roots["plain"] / name).read_text() for name in ("manifest.json", "README.md", "croissant.json")]
    assert not any("nuisance-seed" in text or "as with seed" in text for text in plain)


def test_it_is_sound_and_a_fresh_test_set_draws_nuisances_of_its_own(roots: dict[str, Path], tmp_path: Path) -> None:
    assert verify(roots["other"], jobs=1) == []
    fresh = [render_fresh_test(tmp_path / f"{each.nuisance_seed}", each, seed=9, jobs=1) for each in (PLAIN, OTHER)]
    assert fresh[0].fingerprint == fresh[1].fingerprint


def test_the_command_takes_it_and_names_it_where_it_differs(run_css_gen: CssGen, tmp_path: Path) -> None:
    arguments = ("render", "--n", 24, "--size", 16, "--jobs", 1, "--out", tmp_path / "css")
    assert run_css_gen(*arguments, "--nuisance-seed", 5).exit_code == 0
    assert dataset.open(tmp_path / "css").manifest.configuration == Configuration(images=24, size=16, nuisance_seed=5)
    assert_one_line(run_css_gen(*arguments), 1, "nuisance-seed is 5 there and not given here")
    assert_one_line(run_css_gen(*arguments, "--nuisance-seed", -1), 2, "--nuisance-seed must be 0 or more, got -1")
