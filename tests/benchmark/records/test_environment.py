"""A record says which machine and which commit it was made with."""

import json
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from benchmark.recipe.presets import preset
from benchmark.recipe.runtime import Runtime
from benchmark.records.environment import Environment, checkout, current_environment


def test_the_environment_describes_this_machine() -> None:
    runtime = Runtime(threads=3)
    model = preset("quick").model
    environment = current_environment(runtime, model=model, code_version="ab" * 32, other_cores=0.5)
    assert (environment.runtime, environment.code_version, environment.other_cores) == (runtime, "ab" * 32, 0.5)
    assert environment.cuda is None
    assert environment.device
    assert environment.cpu_count >= 1
    assert (environment.code_commit is None) == (environment.dirty is None)


@pytest.mark.parametrize(
    ("changes", "libraries"),
    [
        ({}, set()),
        ({"image_encoder": "timm/resnet18@16"}, {"timm"}),
        ({"image_encoder": "open_clip/RN50", "text_encoder": "open_clip/RN50"}, {"open_clip"}),
        ({"image_encoder": "timm/resnet18@16", "text_encoder": "open_clip/RN50"}, {"timm", "open_clip"}),
    ],
)
def test_the_versions_of_the_encoders_libraries_are_named_where_they_are_used(
    changes: dict[str, str], libraries: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", {"timm": "1.2.3", "open_clip_torch": "4.5.6"}.__getitem__)
    model = preset("quick").model.model_copy(update=changes)
    environment = current_environment(Runtime(), model=model, code_version="ab" * 32, other_cores=None)
    written = environment.model_dump(mode="json")
    versions = {"timm": "1.2.3", "open_clip": "4.5.6"}
    assert {name: version for name, version in written.items() if name in versions} == {
        name: versions[name] for name in libraries
    }
    assert Environment.model_validate_json(json.dumps(written)) == environment


@pytest.mark.parametrize(
    ("said", "expected"), [("", (None, None)), ("c0ffee", ("c0ffee", False)), ("c0ffee+", ("c0ffee", True))]
)
def test_a_copy_without_git_has_the_commit_that_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, expected: tuple[str | None, bool | None]
) -> None:
    monkeypatch.setenv("CSS_BENCH_COMMIT", said)
    assert checkout(tmp_path / "environment.py") == expected


def test_git_knows_better_than_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSS_BENCH_COMMIT", "c0ffee")
    file = tmp_path / "environment.py"
    for name in ("environment.py", "table.md"):
        (tmp_path / name).touch()
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        subprocess.run([*git, *arguments], check=True)
    commit, dirty = checkout(file)
    assert commit is not None
    assert len(commit) == 40
    assert dirty is False
    (tmp_path / "table.md").write_text("a run writes tables")
    assert checkout(file) == (commit, False)
    file.write_text("changed")
    assert checkout(file) == (commit, True)
