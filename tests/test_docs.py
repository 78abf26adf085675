"""The documentation builds without a warning, its links lead somewhere, and every command and option is in it."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from copy import copy
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import click
import pytest
from bs4 import BeautifulSoup, Tag

from benchmark.cli.main import main as tirg_bench
from benchmark.recipe.schema import Recipe
from css_gen.cli import main as css_gen

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))


def commands(command: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and those below it, each with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, *words, name)


COMMANDS = [*commands(css_gen, "css-gen"), *commands(tirg_bench, "tirg-bench")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built as `make docs` builds it."""
    out = tmp_path_factory.mktemp("docs")
    options = ["-q", "-W", "--keep-going", "-c", "docs", "-b", "html", "."]
    assert f"-m sphinx {' '.join(options)} docs/_build\n" in (ROOT / "Makefile").read_text()
    built = subprocess.run([sys.executable, "-m", "sphinx", *options, out], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return out


@cache
def read(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(), "html.parser")


def compact(text: str) -> str:
    """A text without spaces and backticks, because tags divide the built text where the source has no space."""
    return "".join(text.replace("`", "").split())


def own_part(page: Path, anchor: str) -> Tag:
    """A section without the sections in it."""
    section = copy(read(page).find("section", id=anchor))
    assert isinstance(section, Tag), anchor
    for inner in section.find_all("section"):
        inner.decompose()
    return section


@pytest.mark.parametrize(("names", "command"), COMMANDS, ids=[" ".join(names) for names, _ in COMMANDS])
def test_every_command_is_there_with_its_help_and_every_option(
    names: tuple[str, ...], command: click.Command, site: Path
) -> None:
    """What `--help` prints, read from click in another way than the page is built."""
    part = own_part(site / "docs" / "commands.html", "-".join(names))
    text = compact(part.get_text())
    assert command.help
    for line in command.help.replace("\b", "").split("\n"):
        assert compact(line) in text
    entries = {compact(entry.dt.get_text()): compact(entry.dd.get_text()) for entry in part.select("dl.std.option")}  # type: ignore[union-attr]
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            assert f"{compact(parameter.human_readable_name)}#" in entries
            continue
        assert isinstance(parameter, click.Option)
        (described,) = (
            described
            for heading, described in entries.items()
            if heading.startswith(compact(",".join(parameter.opts))) and compact(parameter.help or "") in described
        )
        if parameter.show_default and not parameter.is_flag:
            default = parameter.default if isinstance(parameter.default, tuple) else (parameter.default,)
            assert f"[default:{','.join(map(str, default))}" in described
    assert len(entries) == len(command.params) + 1, "and --help"


def test_every_key_of_a_recipe_is_there_with_its_value_in_each_preset(site: Path) -> None:
    rows = read(site / "docs" / "commands.html").select("#keys-of-a-recipe tr")
    cells = {row.find("code").get_text(): row.get_text(" ").split() for row in rows[1:]}  # type: ignore[union-attr]
    assert list(cells) == list(Recipe.keys())
    assert cells["training.steps"][-7:] == ["385", "6000", "6000", "6000", "650", "650", "160000"]
    assert "pixels" in cells["data.image_size"]


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """Anchors, too, also those in HTML, of which Sphinx sees nothing."""
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    dead: list[str] = []
    for page in pages:
        if "_static" in page.parts:
            continue
        for tag in read(page).find_all(["a", "img", "script", "link"]):
            link = str(tag.get("href") or tag.get("src") or "")
            if link == "data:,":  # an icon without content: without it, browsers ask for /favicon.ico
                continue
            if urlsplit(link).scheme or link.startswith("//"):
                assert tag.name == "a", f"{page} loads {link}"
                continue
            path, anchor = urldefrag(unquote(link))
            target = (page.parent / path.partition("?")[0]).resolve() if path else page
            is_there = target.is_file()
            if is_there and anchor and target.suffix == ".html":
                is_there = read(target).find(id=anchor) is not None
            if not is_there:
                dead.append(f"{page.relative_to(site)}: {link}")
    assert dead == []


def test_a_missing_page_and_a_missing_anchor_are_errors(tmp_path: Path) -> None:
    """Of the settings that `make docs` builds with, so that the test above is not the only one to notice."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for name in ("conf.py", "site.css"):
        (tmp_path / "docs" / name).write_text((ROOT / "docs" / name).read_text())
    (tmp_path / "docs" / "index.md").write_text("# Page\n\n[gone](gone.md), [no heading](index.md#none)\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", ".", "out"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 1
    assert "gone.md" in built.stderr
    assert "none" in built.stderr


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_in_the_navigation(name: str, site: Path) -> None:
    tree = read(site / "docs" / "index.html").select("nav a")
    linked = {str(link.get("href")).partition("#")[0] for link in tree}
    for page in ("how_to", "explanation"):
        linked |= {str(link.get("href")) for link in read(site / "docs" / f"{page}.html").select("nav a")}
    assert name == "index" or f"{name}.html" in linked


def test_a_page_that_no_toctree_names_is_listed(conf: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("```{toctree}\n:hidden:\n\nFirst <first>\nsecond\n/docs/third\n```\n")
    for name in ("first", "second", "scaling", "reliability"):
        (tmp_path / "docs" / f"{name}.md").write_text("# Page\n")
    monkeypatch.setattr(conf, "ROOT", tmp_path)
    assert conf.new_pages() == "reliability\nscaling"


@pytest.fixture
def conf() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_conf", ROOT / "docs" / "conf.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
