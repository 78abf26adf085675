"""The page of a search is whole, and what files and people are called stays text."""

import base64
import html
import io
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import css_gen.dataset
from tests.benchmark.search.reading import Search, answers, found_by


class Page(HTMLParser):
    """What a browser makes of a page: its tags, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def sources(self) -> list[str]:
        return [attributes["src"] or "" for tag, attributes in self.tags if tag == "img"]


def folder_of_images(root: Path, css_root: Path) -> Path:
    split = css_gen.dataset.open(css_root).split("test")
    (root / "deep").mkdir(parents=True)
    for row, name in enumerate(("a.png", "<b>bold.png", "deep/c.PNG", ".hidden.png")):
        Image.fromarray(split.image_3d(row)).save(root / name, format="PNG")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    (root / "note.txt").write_text("no image")
    return root


def test_the_page_holds_the_answers_and_their_images(search: Search, css_root: Path, tmp_path: Path) -> None:
    query = css_gen.dataset.open(css_root).split("test").queries[0]
    asked = (f"--image={query.source_id}", f"--text={query.text}", "--k=4")
    rows = found_by(search, *asked)
    result = search(*asked, "--out=page.html")
    assert "the page is page.html" in result.stdout
    page = Page(tmp_path / "page.html")
    assert len(page.sources()) == 5
    for source in page.sources():
        kind, _, content = source.partition(",")
        assert kind == "data:image/webp;base64"
        with Image.open(io.BytesIO(base64.b64decode(content)), formats=["WEBP"]) as image:
            image.load()
            assert image.size == (32, 32)
    for _, similarity, name, verdict in rows:
        assert similarity in page.text
        assert f"\n{name}\n" in page.text
        assert {"yes": "✓ relevant", "no": "not relevant"}[verdict] in page.text
    assert css_gen.dataset.open(css_root).split("test").scene(query.source_id).key.split("; ")[0] in page.text
    assert "prefers-color-scheme: dark" in page.text
    assert not re.search(r"https?://|url\(", (tmp_path / "page.html").read_text())
    assert not list(tmp_path.glob(".*"))


def test_hostile_names_and_texts_stay_text(search: Search, folder: Path, tmp_path: Path) -> None:
    names = ['<img src=x onerror="alert(1)">.png', "{{ 7 * 7 }}.png", "\x1b[31mred.png", "[bold]b.png"]
    for name in names:
        shutil.copy(folder / "2.png", folder / name)
    os.rename(os.fsencode(folder / "0.png"), os.fsencode(folder) + b"/\xff\xfe.png")  # noqa: PTH104  no str is this name
    text = '<script>alert("x")</script> {{ 1 + 1 }} [red]make\x1b[0m object red\u202e'
    result = search(f"--image={folder / '3.png'}", "--text", text, f"--gallery={folder}", "--out=page.html", "--k=20")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "[bold]b.png" in result.stdout
    page = Page(tmp_path / "page.html")
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags
    assert tags.count("img") == 10
    assert all(source.startswith("data:") for source in page.sources())
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert '<script>alert("x")</script> {{ 1 + 1 }}' in page.text
    assert names[0] in page.text
    assert names[1] in page.text
    assert "\N{REPLACEMENT CHARACTER}[31mred.png" in html.unescape(page.text)
    assert "\u202e" not in page.text
    assert "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.png" in page.text


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.html").write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = search("--image=0", "--text=red", "--out=page.html")
    assert result.exit_code == 1
    assert "--out page.html: cannot be written (No space left on device)" in result.stderr
    assert (tmp_path / "page.html").read_text() == "before"
    assert not list(tmp_path.glob(".page*"))


def test_a_folder_is_searched_and_the_page_shows_it_all(search: Search, css_root: Path, tmp_path: Path) -> None:
    folder, page = folder_of_images(tmp_path / "images", css_root), tmp_path / "page.html"
    result = search("--image", folder / "a.png", "--text", "<script>x</script>", "--gallery", folder, "--out", page)
    assert result.exit_code == 0, result.output
    assert sorted(words[2] for words in answers(result)) == ["<b>bold.png", "deep/c.PNG"]  # not a.png: the query itself
    assert "left out: broken.jpg" in result.stderr
    parsed = Page(page)
    tags = [tag for tag, _ in parsed.tags]
    assert "script" not in tags
    assert "b" not in tags
    assert "<script>x</script>" in parsed.text
    assert "<b>bold.png" in parsed.text
    assert tags.count("img") == 3
    assert all(address.startswith("data:image/webp;base64,") for address in parsed.sources())
