"""The site in a real browser: sorting, filtering, keyboard, no request to anywhere, phone width, contrast."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmark.leaderboard.site import write_site
from tests.benchmark.browsers import CHROMIUM
from tests.benchmark.made_up_site import save_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LEAST_CONTRAST, LEAST_CONTRAST_OF_LARGE_TEXT = 4.5, 3.0
COMPOSERS = {"tirg": "TIRG", "film": "FiLM", "mrn": "MRN"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"),
]

CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = channels(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    throw new Error("no ground");
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, style, .hidden, [hidden]")) continue;
    const style = getComputedStyle(element);
    const ink = channels(element.closest("svg") ? style.fill : style.color);
    const [light, dark] = [luminance(ink), luminance(ground(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    found.push([(light + .05) / (dark + .05), large, walker.currentNode.data.trim()]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def site(css_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("browser")
    for seed, (name, title) in enumerate(COMPOSERS.items()):
        save_run(out, css_root, composer=name, title=title, seed=seed)
    write_site(out / "records", out)
    return out / "site"


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A page that fails its test for any message on the console, any error, and any request but for files."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.on("request", lambda request: is_local(request.url) or complaints.append(f"outside: {request.url}"))
    yield page
    context.close()
    assert complaints == []


def is_local(url: str) -> bool:
    return url.startswith(("file:", "data:"))


def visit(page: "Page", path: Path) -> None:
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
    page.wait_for_load_state("networkidle")


def all_pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def composers(page: "Page") -> list[str]:
    """Those of the ranking that are to be seen, from top to bottom."""
    rows = page.locator("table.sortable").first.locator("tbody tr:visible th")
    return [text.strip() for text in rows.all_text_contents()]


def values(page: "Page", column: int) -> list[float]:
    cells = page.locator("table.sortable").first.locator(f"tbody tr td:nth-child({column})")
    return [float(value) for value in cells.evaluate_all("cells => cells.map((cell) => cell.dataset.value)")]


def test_headers_sort_by_mouse_and_by_keyboard(page: "Page", site: Path) -> None:
    visit(page, site / "board" / "css.html")
    table = page.locator("table.sortable").first
    headings = [text.strip() for text in table.locator("thead th").all_text_contents()]
    for heading in ("R@10", "Parameters", "R@1"):
        column = 1 + headings.index(heading)
        header = table.locator("thead th").filter(has_text=re.compile(f"^{heading}$"))
        button = header.get_by_role("button")
        button.click()
        assert header.get_attribute("aria-sort") == "descending"
        assert values(page, column) == sorted(values(page, column), reverse=True)
        button.focus()
        page.keyboard.press("Enter")
        assert header.get_attribute("aria-sort") == "ascending"
        assert values(page, column) == sorted(values(page, column))
        assert table.locator("[aria-sort=ascending], [aria-sort=descending]").count() == 1
    table.get_by_role("button", name="Composer").press("Space")
    assert composers(page) == sorted(COMPOSERS.values(), key=str.lower)


def test_the_filter_narrows_the_ranking_and_says_so(page: "Page", site: Path) -> None:
    visit(page, site / "board" / "css.html")
    field = page.get_by_label("Filter by composer")
    field.press_sequentially("film 2019")
    assert composers(page) == ["FiLM"]
    assert page.get_by_role("status").first.text_content() == "1 of 3 shown"
    field.fill("nothing at all")
    assert composers(page) == []
    field.press("Escape")
    assert sorted(composers(page)) == sorted(COMPOSERS.values())


def test_the_keyboard_reaches_content_and_all_controls(page: "Page", site: Path) -> None:
    visit(page, site / "board" / "css.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
    wanted = "[...document.querySelectorAll('main :is(a[href], button, input, summary, [tabindex=\"0\"])')]"
    indices = page.evaluate(f"{wanted}.map((e) => [...document.querySelectorAll('*')].indexOf(e))")
    assert set(indices) <= reached
    page.locator("thead button").first.focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_its_width_and_has_contrast(page: "Page", site: Path, width: int, scheme: Any) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    for path in all_pages(site):
        visit(page, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(re.findall(r"\d+", ground)[0]) < 128) == (scheme == "dark")
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 5
        for ratio, is_large, text in contrasts:
            assert ratio >= (LEAST_CONTRAST_OF_LARGE_TEXT if is_large else LEAST_CONTRAST), (path, text, ratio)


def test_every_picture_loads(page: "Page", site: Path) -> None:
    for path in all_pages(site):
        visit(page, path)
        assert page.evaluate("[...document.images].filter((image) => !image.naturalWidth).length") == 0
