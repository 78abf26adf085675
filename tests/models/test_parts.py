"""Parts by name, and those that installed packages add."""

import sys
from pathlib import Path

import pytest

from models.errors import RegistryError
from models.parts import Parts


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path with a distribution whose entry points name modules in it."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    names = ("good", "broken", "forgetful", "taken")
    lines = [f"{name} = their_{name}" for name in names]
    (info / "entry_points.txt").write_text("\n".join(["[tests.parts]", *lines]) + "\n")
    (tmp_path / "their_good.py").write_text("from tests.models.test_parts import PARTS\nPARTS.add('good', 7)\n")
    (tmp_path / "their_broken.py").write_text("raise OSError('no such library\\nin two lines')\n")
    (tmp_path / "their_forgetful.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name in names:
        monkeypatch.delitem(sys.modules, f"their_{name}", raising=False)
    return tmp_path


PARTS: Parts[int] = Parts("number", group="tests.parts")


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts[int]:
    # pytest imports this file under a name of its own, an installed package by its path
    monkeypatch.setitem(sys.modules, "tests.models.test_parts", sys.modules[__name__])
    monkeypatch.setattr(PARTS, "_parts", {"one": 1, "three": 3})
    return PARTS


def test_a_part_is_found_by_its_name(parts: Parts[int]) -> None:
    parts.register("two")(2)  # a decorator's result is what it decorates
    assert parts.names() == ("one", "three", "two")
    assert [parts.get(name) for name in parts.names()] == [1, 3, 2]
    with pytest.raises(RegistryError, match="the number 'two' is registered already; choose another name"):
        parts.add("two", 22)
    assert parts.get("two") == 2


@pytest.mark.parametrize(("name", "hint"), [("thre", "did you mean three"), ("x9q", "there are one, three")])
def test_an_unknown_name_offers_the_nearest(name: str, hint: str, parts: Parts[int]) -> None:
    with pytest.raises(RegistryError, match=rf"unknown number '{name}': {hint}"):
        parts.get(name)


def test_an_installed_package_adds_a_part_when_it_is_asked_for(parts: Parts[int], installed: Path) -> None:  # noqa: ARG001
    assert "good" in parts.names()
    assert "their_good" not in sys.modules
    assert parts.get("good") == 7
    assert parts.get("good") == 7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", r"'broken' \(entry point their_broken .*\) cannot be imported \(OSError: no such library\); repair"),
        ("taken", r"'taken' .* cannot be imported \(ModuleNotFoundError: .*their_taken.*\); repair"),
        ("forgetful", r"'forgetful' .* does not register 'forgetful' when it is imported"),
    ],
)
def test_an_installed_package_that_fails_is_named(
    name: str,
    message: str,
    parts: Parts[int],
    installed: Path,  # noqa: ARG001
) -> None:
    with pytest.raises(RegistryError, match=message) as caught:
        parts.get(name)
    assert "\n" not in str(caught.value)


def test_a_registry_without_a_group_asks_no_package(installed: Path) -> None:  # noqa: ARG001
    assert Parts[int]("number").names() == ()
