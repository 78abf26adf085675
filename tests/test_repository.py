"""What surrounds the code agrees with it: the Makefile, the workflows, the forms, the files of the wheel."""

import datetime
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.cli.main import main as tirg_bench
from css_gen.cli import main as css_gen

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][\w-]*):", MAKEFILE, flags=re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(set((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) - {ROOT / ".github/ISSUE_TEMPLATE/config.yml"})
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("speed/*.md"), *(ROOT / ".github").rglob("*.*")]
COMMANDS = {"css-gen": css_gen.commands, "tirg-bench": tirg_bench.commands}


def read(path: Path) -> Any:
    """A YAML file. In YAML 1.1 the key `on` is true."""
    return yaml.safe_load(path.read_text())


def named(paths: list[Path]) -> Any:
    return pytest.mark.parametrize("path", paths, ids=[path.relative_to(ROOT).as_posix() for path in paths])


def test_every_target_is_phony_and_there() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)
    assert set(phony.split()) == TARGETS
    assert {"test", "demo", "site", "clean", "wheel"} <= TARGETS


@named(PAGES)
def test_every_target_and_command_that_is_named_is_there(path: Path) -> None:
    text = path.read_text()
    pieces = [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^(?: {4,}|.*run: )(.*)$", text, re.MULTILINE)]
    for piece in pieces:
        if target := re.match(r"make ([a-z][\w-]*)\s*(?:#.*)?$", piece):
            assert target[1] in TARGETS, piece
        for program, command in re.findall(r"(css-gen|tirg-bench) ([a-z][\w-]*)", piece):
            assert command in COMMANDS[program], piece


@named([ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))])
def test_no_placeholder_is_left(path: Path) -> None:
    """Such as ERRORTABLE, where a table was to come. In code, capitals stand for what the reader puts in."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    files = {each.stem for each in (*ROOT.iterdir(), *ROOT.glob("*/*.md"))}
    assert set(re.findall(r"\b[A-Z_]{7,}\b", text)) <= files


def test_the_table_of_dependencies_has_the_versions_of_the_project() -> None:
    rows = re.findall(r"^\| ([a-z0-9, ]+) \| .* \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    at_least = {name: cell for names, cell in rows for name in names.split(", ")}
    for dependency in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        name, _, version = dependency.partition(">=")
        assert re.search(rf"(?<![\d.]){re.escape(version)}(?!\.?\d)", at_least[name]), dependency


@named(WORKFLOWS)
def test_every_workflow_asks_for_little_and_ends(path: Path) -> None:
    workflow = read(path)
    assert workflow["name"] == path.stem
    assert workflow[True]
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 30
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) if "uses" in step else step["run"]
            for target in re.findall(r"make (\S+)", step.get("run", "")):
                assert target in TARGETS | {".venv/.ready"}


def test_one_workflow_tests_every_pull_request_and_one_publishes_what_make_site_builds() -> None:
    tests, site = (read(ROOT / ".github" / "workflows" / f"{name}.yml") for name in ("test", "site"))
    assert {"push", "pull_request"} <= tests[True].keys()
    assert tests["jobs"]["test"]["steps"][-1]["run"] == "taskset --cpu-list 0,1 make test"
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert oldest
    setup = next(step for step in tests["jobs"]["test"]["steps"] if "setup-python" in step.get("uses", ""))
    assert setup["with"]["python-version"] == oldest[1]
    (uploaded,) = (step for step in site["jobs"]["build"]["steps"] if "upload-pages" in step.get("uses", ""))
    assert f"{uploaded['with']['path']}/" in (ROOT / ".gitignore").read_text().splitlines()
    assert site["jobs"]["publish"]["permissions"] == {"pages": "write", "id-token": "write"}


@named(FORMS)
def test_every_form_is_one_that_github_takes(path: Path) -> None:
    form = read(path)
    assert form.keys() == {"name", "description", "title", "labels", "body"}
    identifiers = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(identifiers) == len(set(identifiers)) > 0
    for part in form["body"]:
        assert part.keys() <= {"type", "id", "attributes", "validations"}
        assert part["type"] in {"markdown", "input", "textarea", "checkboxes"}
        assert part["attributes"].get("label" if part["type"] != "markdown" else "value")


def test_there_is_a_form_for_each_reason_to_write() -> None:
    assert {path.stem for path in FORMS} == {"bug", "submission", "task"}


def test_the_wheel_takes_every_file_that_a_package_holds() -> None:
    """`make wheel` builds it and compares; this is the same in a moment."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setuptools["package-data"]["*"]
    folders = [name.removesuffix("*") for name in setuptools["packages"]["find"]["include"]]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    others = [path for path in files if path.suffix != ".py" and "__pycache__" not in path.parts]
    assert len(others) >= 11
    for path in others:
        assert any(fnmatch(path.name, pattern) for pattern in patterns), path


RELEASED = ("pyproject.toml", "CITATION.cff", "CHANGELOG.md")
"""The files that hold the version, or get it at a release."""


def test_a_release_finds_each_place_that_it_changes_once() -> None:
    """A search that matches more, such as to the end of the file, would remove what it matches."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    version = project["project"]["version"]
    assert project["tool"]["bumpversion"]["current_version"] == version
    assert read(ROOT / "CITATION.cff")["version"] == version
    for place in project["tool"]["bumpversion"]["files"]:
        search = place["search"].format(current_version=version)
        pattern = search if place.get("regex") else re.escape(search)
        found = re.findall(pattern, (ROOT / place["filename"]).read_text(), re.MULTILINE | re.DOTALL)
        assert len(found) == 1, place
        assert found[0].strip().count("\n") == 0, place


@pytest.mark.slow
def test_a_release_writes_version_and_date_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("bumpversion", reason="pip install -e '.[release]'")
    before = {name: (ROOT / name).read_text() for name in RELEASED}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    git = ["git", "-c", "user.name=Me", "-c", "user.email=me@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    for key, value in (("user.name", "Me"), ("user.email", "me@example.org")):
        subprocess.run(["git", "config", key, value], cwd=tmp_path, check=True)
    program = [sys.executable, "-m", "bumpversion", "bump", "--new-version", "7.8.9"]
    subprocess.run(program, cwd=tmp_path, check=True, capture_output=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    version = read(ROOT / "CITATION.cff")["version"]
    expected = {
        "pyproject.toml": before["pyproject.toml"].replace(f'version = "{version}"', 'version = "7.8.9"'),
        "CITATION.cff": re.sub(r"date-released: \S+", f"date-released: {today}", before["CITATION.cff"]).replace(
            f"\nversion: {version}", "\nversion: 7.8.9"
        ),
        "CHANGELOG.md": before["CHANGELOG.md"].replace("## Unreleased\n", f"## Unreleased\n\n## 7.8.9 ({today})\n"),
    }
    assert {name: (tmp_path / name).read_text() for name in RELEASED} == expected

    def said(*command: str) -> str:
        return subprocess.run(
            ["git", *command], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert said("tag", "--points-at", "HEAD") == "v7.8.9"
    assert said("log", "-1", "--format=%s") == "Release 7.8.9"
    assert said("status", "--short") == ""


def test_the_citation_has_what_its_format_asks_for() -> None:
    """The required keys of Citation File Format 1.2.0, and those that tools make an entry of."""
    citation = read(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "abstract", "keywords", "license", "type"} <= citation.keys()
    assert isinstance(citation["version"], str)
    assert isinstance(citation["date-released"], datetime.date)
    (paper,) = citation["references"]
    assert {"type", "title", "authors", "year", "url", "collection-title"} <= paper.keys()
    assert [author["family-names"] for author in paper["authors"]] == [
        "Vo", "Jiang", "Sun", "Murphy", "Li", "Fei-Fei", "Hays"
    ]  # fmt: skip
