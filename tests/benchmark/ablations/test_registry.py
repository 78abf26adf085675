"""Every ablation names what exists, and its recipe changes can be trained with."""

from dataclasses import replace

import pytest

import models
from benchmark import ablations, tasks
from benchmark.ablations import Ablation, Setting
from benchmark.ablations.runs import setting_run
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.presets import preset, preset_names
from benchmark.runs.recipes import recipe_on
from models.registry import variants

every_ablation = pytest.mark.parametrize(
    "ablation", [ablations.get(name) for name in ablations.names()], ids=ablations.names()
)
every_preset = pytest.mark.parametrize("name", preset_names())


@every_ablation
def test_it_names_composers_tasks_and_a_source_that_exist(ablation: Ablation) -> None:
    assert ablation.composer in models.names()
    assert ablation.source in tasks.SOURCES
    for setting in ablation.settings:
        assert setting.composer in ("", *variants())
        replaced = setting.tasks or {}
        assert {*replaced, *replaced.values(), *setting.published} <= set(tasks.names())


@every_ablation
def test_the_first_setting_changes_nothing_and_titles_differ(ablation: Ablation) -> None:
    full = ablation.settings[0]
    assert (full.composer, full.changes, full.tasks) == ("", (), None)
    titles = [setting.title for setting in ablation.settings]
    assert len(titles) == len(set(titles))


@every_preset
@every_ablation
def test_its_recipes_can_be_trained_with_on_every_task(ablation: Ablation, name: str) -> None:
    for task in ablation.tasks:
        base = recipe_on(task, name)
        for setting in ablation.settings:
            found = setting_run(ablation, setting, task, base)
            if found is None:
                continue
            assert found.recipe == override(base, setting.changes)
            assert found.recipe.data == base.data
            # The other task's board has the same recipe, so that its row can be used.
            if setting.tasks is not None:
                assert recipe_on(found.task, name).hash == base.hash


@every_ablation
def test_what_the_paper_reports_of_the_full_composer_is_what_the_tasks_say(ablation: Ablation) -> None:
    for task, value in ablation.settings[0].published.items():
        published = tasks.get(task).published_of(ablation.composer)
        assert published is not None
        assert published.recall[1] == value


def test_every_variant_belongs_to_an_ablation() -> None:
    used = {setting.composer for name in ablations.names() for setting in ablations.get(name).settings}
    assert set(variants()) <= used


@pytest.mark.parametrize("name", ["quick", "paper"])
def test_a_setting_of_the_loss_is_that_of_the_papers_equation_under_every_preset(name: str) -> None:
    """Also under `paper`, whose own loss is that of the released code."""
    for title, group in (("K = 2", 2), ("K = B", preset(name).training.batch)):
        (setting,) = (each for each in ablations.get("tirg").settings if each.title == title)
        training = override(preset(name), setting.changes).training
        assert (training.loss, training.group) == ("sample_similarity", group)
        assert (training.symmetric, training.remembered) == (False, 0)
        assert training.groups == (training.batch - 1 if group == 2 else 1)


def settings_on_board(name: str) -> set[str]:
    tirg, base = ablations.get("tirg"), recipe_on("css", name)
    runs = {setting.title: setting_run(tirg, setting, "css", base) for setting in tirg.settings}
    return {title for title, run in runs.items() if run and run.is_on_board}


def test_a_setting_that_is_a_run_of_the_boards_is_known_to_be() -> None:
    same = {"full", "last linear layer", "last convolution"}
    assert settings_on_board("quick") == settings_on_board("paper") == same


def test_a_setting_that_a_task_cannot_have_is_left_out() -> None:
    tirg = ablations.get("tirg")
    convolution = next(setting for setting in tirg.settings if setting.title == "last convolution")
    assert setting_run(tirg, convolution, "fashion200k", preset("quick")) is None
    (linear,) = (setting for setting in tirg.settings if setting.title == "last linear layer")
    found = setting_run(tirg, linear, "css", preset("quick"))
    assert found is not None
    assert (found.task, found.composer) == ("css-pooled", "tirg")


def test_a_composer_has_one_set_of_ablations(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.ablations import registry

    monkeypatch.setattr(registry, "_ablations", dict(registry._ablations))
    with pytest.raises(BenchmarkError, match="there are ablations of tirg already"):
        ablations.register(ablations.get("tirg"))
    other = replace(ablations.get("tirg"), composer="film")
    assert ablations.register(other) is other
    assert ablations.names() == ("film", "tirg")


def test_an_unknown_ablation_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown ablation 'trig': did you mean tirg\?"):
        ablations.get("trig")


def test_a_setting_cannot_change_the_data() -> None:
    with pytest.raises(ValueError, match=r"changes data.image_size=64: all settings of a task share its data"):
        Setting(title="larger images", about="", changes=("data.image_size=64",))
