"""The site is whole, safe to open, small, and a function of the records alone."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from click.testing import CliRunner

import css_gen.dataset
from benchmark import tasks
from benchmark.cli.main import main
from benchmark.errors import BenchmarkError
from benchmark.explanation.rendered import Rendered
from benchmark.leaderboard.site import write_site
from benchmark.records.store import read_stored
from css_gen.render import render
from css_gen.storage.configuration import Configuration
from tests.benchmark.made_up_site import random_answers, save_run

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"
LARGEST_PAGE = 1_000_000
Contents = Callable[[Path], dict[str, bytes]]


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def addresses(self) -> list[str]:
        return [value for _, attributes in self.tags for name in ("href", "src") if (value := attributes.get(name))]


@pytest.fixture(scope="module")
def out(css_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two composers, one with a submission, on two tasks; one old record without examples."""
    out = tmp_path_factory.mktemp("site")
    for seed in range(2):
        save_run(out, css_root, seed=seed)
    save_run(out, css_root, composer="film", title="FiLM", with_examples=False)
    save_run(out, css_root, composer="mine", title="Mine", protocol="css-2d3d")
    submission = out / "submissions" / "mine"
    submission.mkdir(parents=True)
    (submission / "mine.py").write_text("# </code></pre><script>alert(3)</script>\n")
    write_site(out / "records", out)
    return out


@pytest.fixture(scope="module")
def pages(out: Path) -> list[Page]:
    return [Page(path) for path in sorted((out / "site").rglob("*.html"))]


def test_there_is_a_page_for_all(out: Path, css_root: Path) -> None:
    names = {path.relative_to(out / "site").as_posix() for path in (out / "site").rglob("*.html")}
    fingerprint = css_gen.dataset.open(css_root).fingerprint
    assert names == {
        "index.html",
        *(f"board/{name}.html" for name in tasks.names()),
        *(f"composer/{name}.html" for name in ("css/tirg", "css/film", "css-2d3d/mine")),
        f"dataset/{fingerprint}.html",
    }


def test_every_link_leads_to_a_file_or_to_the_web(pages: list[Page]) -> None:
    for page in pages:
        for address in page.addresses():
            if address.startswith(("#", "https://", "http://", "data:,")):
                continue
            assert ":" not in address
            assert (page.path.parent / unquote(address)).is_file(), (page.path, address)


def test_nothing_is_fetched_from_outside(pages: list[Page], out: Path) -> None:
    for page in pages:
        loaded = [attributes.get("src") or "" for tag in ("img", "script", "iframe") for attributes in page.all(tag)]
        loaded += [attributes["href"] or "" for attributes in page.all("link")]
        assert not any(address.startswith(("http", "//")) for address in loaded)
    assert not re.search(r"url\(|@import", (out / "site" / "style.css").read_text())


def test_every_page_is_small_and_named_and_its_ids_are_unique(pages: list[Page]) -> None:
    for page in pages:
        assert page.path.stat().st_size < LARGEST_PAGE
        assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
        assert all("alt" in attributes for attributes in page.all("img"))
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert "{{" not in page.text
        assert page.all("style") == []


def test_the_same_records_give_the_same_bytes(out: Path, contents: Contents, tmp_path: Path) -> None:
    (tmp_path / "submissions").symlink_to(out / "submissions")
    write_site(out / "records", tmp_path)
    assert contents(tmp_path / "site") == contents(out / "site")


def test_pictures_are_stored_once_under_their_hash(pages: list[Page], out: Path) -> None:
    files = sorted((out / "site" / "images").iterdir())
    assert len({path.read_bytes() for path in files}) == len(files)
    assert all(path.suffix == ".webp" and path.read_bytes()[8:12] == b"WEBP" for path in files)
    shown = {str(image["src"]).rpartition("/")[2] for page in pages for image in page.all("img")}
    assert shown == {path.name for path in files}


def test_the_gallery_shows_queries_with_the_relevant_images_marked(out: Path, css_root: Path) -> None:
    page = Page(out / "site" / "composer" / "css" / "tirg.html")
    split = css_gen.dataset.open(css_root).split("test")
    outcomes, top = random_answers(css_root, seed=0)
    assert len([tag for tag, about in page.tags if about.get("class") == "query"]) > 12
    worst = split.queries[int(outcomes.ranks.argmax())]
    assert worst.text in page.text
    assert f"The first relevant one is at rank {outcomes.ranks.max()}." in page.text
    marks = [about.get("class") for about in page.all("li")]
    expected = []
    (record,) = (out / "records" / "css" / "tirg").glob("*-s0-*.json")
    for example in read_stored(record).record.examples:
        query = split.queries[example.query]
        drawn, relevant = split.keys[query.target_id], query.modification.targets(split.scene(query.source_id))
        shown = [split.keys[image] for image in example.top]
        expected += ["target" if key == drawn else "completion" if key in relevant else "" for key in shown]
    assert sorted(map(str, marks)) == sorted(expected)
    assert "target" in expected
    alts = [str(image["alt"]) for image in page.all("img")]
    assert f"answer 1: {split.keys[top[outcomes.ranks.argmax(), 0]] or 'nothing'}" in alts


def test_flat_sources_are_shown_flat(out: Path) -> None:
    def sources(path: str) -> set[str | None]:
        images = Page(out / "site" / "composer" / path).all("img")
        return {image["src"] for image in images if str(image["alt"]).startswith("source")}

    assert sources("css/tirg.html").isdisjoint(sources("css-2d3d/mine.html"))


def test_source_recipe_and_curves_are_on_the_page(out: Path) -> None:
    page = Page(out / "site" / "composer" / "css" / "tirg.html")
    assert "class Tirg(Composer):" in page.text
    assert "training.learning_rate" in page.text
    assert "At the end: 0.025 (seed 0), 0.025 (seed 1)." in page.text
    assert "Validation Recall@1" in page.text
    mine = Page(out / "site" / "composer" / "css-2d3d" / "mine.html")
    assert "alert(3)" in mine.text
    assert mine.all("script") == []


def test_a_record_without_examples_says_so(out: Path) -> None:
    page = Page(out / "site" / "composer" / "css" / "film.html")
    assert "The records of this composer hold no examples" in page.text
    assert [image for image in page.all("img") if str(image["alt"]).startswith("answer ")] == []


def pictures_of(out: Path, css_root: Path, rendering: object, **about: object) -> tuple[str, int]:
    """What is said on all pages of one run whose record says this of its dataset, and how many pictures there are."""
    save_run(out, css_root, rendering=rendering, **about)
    write_site(out / "records", out)
    pages = [Page(path) for path in (out / "site").rglob("*.html")]
    return " ".join(page.text for page in pages), sum(len(page.all("img")) for page in pages)


def test_pictures_are_those_of_the_dataset_on_disk(css_root: Path) -> None:
    """Though nothing of it is read: the configuration gives the same scenes, queries and pixels again."""
    dataset = css_gen.dataset.open(css_root)
    split = dataset.split("test")
    rendered = Rendered(dataset.manifest.configuration)
    assert rendered.queries == split.queries
    assert [scene.key for scene in rendered.scenes] == split.keys
    assert rendered.held_out == dataset.manifest.held_out
    for image in (0, 7, len(split) - 1):
        assert np.array_equal(rendered.pixels(image, "image_3d"), split.image_3d(image))
        assert np.array_equal(rendered.pixels(image, "image_2d"), split.image_2d(image))
    counts = rendered.counts()
    for name in dataset.split_names:
        each = dataset.split(name)
        assert counts["images"][name] == len(each)
        assert counts["different scenes"][name] == len(set(each.keys))
        assert counts["queries: add"][name] == sum(query.kind == "add" for query in each.queries)
        assert counts["different texts"][name] == len({query.text for query in each.queries})


def test_images_with_more_columns_and_larger_ones_are_shown_too(rich_dataset: Path) -> None:
    configuration = css_gen.dataset.open(rich_dataset).manifest.configuration
    split = css_gen.dataset.open(rich_dataset).split("test")
    assert np.array_equal(Rendered(configuration).pixels(3, "image_3d"), split.image_3d(3))
    large = Rendered(replace(configuration, size=4096))
    assert large.pixels(3, "image_3d").shape == (224, 224, 3)


def test_pictures_of_a_track_show_its_materials(tmp_path: Path) -> None:
    rendered = Rendered(Configuration(images=400, size=24, track="systematic"))
    render(tmp_path / "css", rendered.configuration, jobs=1)
    split = css_gen.dataset.open(tmp_path / "css").split("test")
    for image in (8, 9):  # of rubber, of metal
        assert np.array_equal(rendered.pixels(image, "image_3d"), split.image_3d(image))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, "do not say how their dataset is rendered"),
        ({"seed": 4}, "hold other queries than their dataset's configuration gives here"),
        ({"n": 10_000_000}, "hold other queries"),
        ({"n": 7}, "cannot be rendered here"),
        ({"size": "large"}, "cannot be rendered here (--size must be a JSON int"),
        ({"colour": 3}, "cannot be rendered here (expected a configuration with exactly"),
    ],
)
def test_a_record_whose_dataset_cannot_be_made_again_has_pages_without_pictures(
    change: dict[str, object] | None, said: str, css_root: Path, tmp_path: Path
) -> None:
    configuration = css_gen.dataset.open(css_root).manifest.configuration.to_json()
    text, pictures = pictures_of(tmp_path, css_root, None if change is None else configuration | change)
    assert said in text
    assert pictures == 0
    assert not (tmp_path / "site" / "images").exists()


def test_images_of_others_are_not_shown(css_root: Path, tmp_path: Path) -> None:
    text, pictures = pictures_of(tmp_path, css_root, None, protocol="mit-states")
    assert "We may not redistribute these images" in text
    assert pictures == 0
    assert "not registered here" in pictures_of(tmp_path / "other", css_root, "its own", protocol="other")[0]


def test_what_records_and_submissions_say_stays_text(css_root: Path, tmp_path: Path) -> None:
    save_run(
        tmp_path,
        css_root,
        composer="evil",
        title=HOSTILE,
        url="https://x.org/'onmouseover=alert(1)",
        device=HOSTILE,
        configuration={"recipe_version": 1, HOSTILE: HOSTILE},
    )
    write_site(tmp_path / "records", tmp_path)
    for path in (tmp_path / "site").rglob("*.html"):
        page = Page(path)
        assert [about for about in page.all("script") if about] == []
        assert len(page.all("script")) == ("board" in path.parts)
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
        assert "x" not in page.addresses()
    assert HOSTILE in Page(tmp_path / "site" / "composer" / "css" / "evil.html").text


def test_what_is_no_more_is_removed_and_what_is_not_ours_is_kept(css_root: Path, tmp_path: Path) -> None:
    save_run(tmp_path, css_root)
    gone = save_run(tmp_path, css_root, composer="film", title="FiLM")
    write_site(tmp_path / "records", tmp_path)
    foreign = tmp_path / "site" / "notes.txt"
    foreign.write_text("mine")
    kept = tmp_path / "site" / "composer" / "css" / "tirg.html"
    gone.unlink()
    write_site(tmp_path / "records", tmp_path)
    assert not (tmp_path / "site" / "composer" / "css" / "film.html").exists()
    assert foreign.exists()
    before = kept.stat().st_mtime_ns
    write_site(tmp_path / "records", tmp_path)
    assert kept.stat().st_mtime_ns == before


def test_missing_records_and_blocked_folders_are_named(out: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="there is no folder of records"):
        write_site(tmp_path / "nothing", tmp_path / "out")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "site").write_text("")
    with pytest.raises(BenchmarkError, match="the site cannot be written"):
        write_site(out / "records", tmp_path / "taken")


def test_the_command_writes_the_site(out: Path) -> None:
    result = CliRunner().invoke(main, ["leaderboard", "--out", str(out), "--html"])
    assert result.exit_code == 0, result.output
    assert f"the site is {out / 'site' / 'index.html'}" in result.output.replace("\n", "")
