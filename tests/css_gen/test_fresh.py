"""A fresh test split could have been the dataset's own: same configuration and held-out combinations, other scenes."""

from dataclasses import replace
from pathlib import Path

import pytest

import css_gen.dataset
from css_gen.fresh import render_fresh_test
from css_gen.render import render
from css_gen.rendering.nuisance import Jitter
from css_gen.scenes.held_out import HeldOut
from css_gen.scenes.randomness import SplitId
from css_gen.storage.configuration import Configuration
from css_gen.storage.plan import held_out

CONFIGURATIONS = (
    Configuration(images=150, size=32, seed=3),
    Configuration(
        images=40, size=24, seed=5, test_fraction=0.4, names="3d", view="clevr", extras=("masks",),
        jitter=Jitter(position=False, materials=("rubber", "metal")),
    ),
)  # fmt: skip
SEED = 987_654_321


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda each: f"{each.images} images")
def test_it_is_the_test_split_that_the_dataset_would_have_with_that_seed(
    configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    combinations = held_out(configuration)
    assert held_out(replace(configuration, seed=SEED)) != combinations, "or the test shows nothing"
    fresh = render_fresh_test(tmp_path / "fresh", configuration, seed=SEED, jobs=1)
    monkeypatch.setattr(HeldOut, "sample", lambda *, seed: combinations)  # noqa: ARG005
    whole = render(tmp_path / "whole", replace(configuration, seed=SEED), jobs=1)
    assert fresh.configuration == whole.configuration
    assert fresh.splits == {"test": whole.splits["test"]}
    assert fresh.files == {name: entry for name, entry in whole.files.items() if name.startswith("test/")}
    assert fresh.held_out == whole.held_out == combinations.to_json()


def test_the_same_seed_gives_the_same_and_another_seed_another(
    tiny_configuration: Configuration, tmp_path: Path
) -> None:
    prints = [
        render_fresh_test(tmp_path / f"{number}", tiny_configuration, seed=seed, jobs=jobs).fingerprint
        for number, (seed, jobs) in enumerate([(7, 1), (7, 2), (8, 1)])
    ]
    assert prints[0] == prints[1] != prints[2]


def test_it_shares_size_and_combinations_with_the_dataset_and_no_image(
    tiny_dataset: Path, tiny_configuration: Configuration, tmp_path: Path
) -> None:
    render_fresh_test(tmp_path, tiny_configuration, seed=SEED, jobs=1)
    own, fresh = (css_gen.dataset.open(root).split("test") for root in (tiny_dataset, tmp_path))
    assert (len(fresh), len(fresh.queries)) == (len(own), len(own.queries))
    assert not {*own.iter_pngs()} & {*fresh.iter_pngs()}
    assert not (tmp_path / "train").exists()
    shown = {(item.shape, item.colour) for image in range(len(fresh)) for item in fresh.scene(image)}
    combinations = held_out(tiny_configuration)
    assert shown <= {*combinations.allowed(SplitId.TEST)}
    assert shown & combinations.test_only
    assert any(query.novel for query in fresh.queries)


def test_the_datasets_own_seed_is_refused(tiny_configuration: Configuration, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seed 3 is the dataset's own"):
        render_fresh_test(tmp_path, tiny_configuration, seed=3, jobs=1)
    assert not list(tmp_path.iterdir())
