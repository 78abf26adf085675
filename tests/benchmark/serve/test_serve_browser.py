"""The page of `tirg-bench serve` in a real browser: queries by keyboard and by mouse, WCAG AA, phone width, weight."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

import css_gen.dataset
from benchmark.serve.app import make_app
from benchmark.serve.service import Service
from tests.benchmark.browsers import CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, expect
else:
    expect = pytest.importorskip("playwright.sync_api").expect

AXE = (Path(__file__).parent / "axe.min.js").read_text()
WCAG_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
MOST_BYTES = 1_000_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(service), log_level="error"))
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture
def page(browser: "Browser", address: str) -> Iterator["Page"]:
    """A page that fails its test for any message on the console, any error, and any request to somewhere else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: is_own(request.url, address) or complaints.append(f"outside: {request.url}"))
    yield page
    context.close()
    assert complaints == []


def is_own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", f"blob:{address}"))


@pytest.fixture(scope="module")
def query(css_root: Path) -> css_gen.dataset.QueryRow:
    return css_gen.dataset.open(css_root).split("test").queries[4]


def visit(page: "Page", address: str, asked: str = "") -> None:
    page.goto(f"{address}{asked}")
    settle(page)


def settle(page: "Page") -> None:
    """Wait until the answers are there."""
    page.wait_for_selector(".cards li")
    page.wait_for_selector("#answers:not([aria-busy])")
    page.wait_for_load_state("networkidle")


def violations(page: "Page") -> list[str]:
    """What axe-core finds against WCAG AA: the rule, and the elements."""
    page.evaluate(AXE)
    found = page.evaluate("(tags) => axe.run(document, { runOnly: tags })", WCAG_AA)
    assert len(found["passes"]) > 10
    return [f"{each['id']}: {[node['html'][:90] for node in each['nodes']]}" for each in found["violations"]]


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_of_the_page_keeps_the_rules_of_wcag_aa(
    page: "Page", address: str, width: int, scheme: Any
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    visit(page, address, "?second=again")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    page.get_by_role("combobox", name="What to change").fill("make ")
    page.wait_for_selector("#words li")
    page.keyboard.press("ArrowDown")
    assert violations(page) == []
    page.locator(".cards button").first.click()
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("#text").fill("")
    page.locator("#search").click()
    page.wait_for_selector("#error:visible")
    assert violations(page) == []


def test_a_query_is_asked_by_keyboard_alone(page: "Page", address: str, query: css_gen.dataset.QueryRow) -> None:
    visit(page, address, f"?image={query.source_id}")
    page.locator("#text").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("rem")
    expect(page.locator("#words li")).to_have_text(["remove"])
    page.keyboard.press("ArrowDown")
    assert page.locator("#text").get_attribute("aria-activedescendant") == "word-0"
    page.keyboard.press("Enter")
    expect(page.locator("#words li")).to_have_count(23)
    assert page.locator("#text").input_value() == "remove "
    page.keyboard.type("object")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("text=remove\\+object"))
    settle(page)
    page.locator(".cards button").nth(1).focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").get_by_role("heading").inner_text().startswith("tirg, rank 2: ")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")
    assert page.evaluate("document.activeElement === document.querySelectorAll('.cards button')[1]")


def test_right_answers_are_marked_and_wrong_ones_explained(
    page: "Page", address: str, service: Service, query: css_gen.dataset.QueryRow
) -> None:
    visit(page, address, f"?image={query.source_id}&text={query.text}&second=again")
    expected = service.answer("tirg", query.source_id, query.text, 24)
    columns = page.locator(".composer")
    assert columns.count() == 2
    assert [columns.nth(0).locator("h2").inner_text(), columns.nth(1).locator("h2").inner_text()] == ["tirg", "again"]
    assert " ms" in columns.nth(1).locator("p").first.inner_text()
    marks = columns.nth(0).locator("li").evaluate_all("cards => cards.map((card) => card.className)")
    assert marks == ["right" if answer["is_relevant"] else "wrong" for answer in expected["answers"]]
    wrong = next(answer for answer in expected["answers"] if not answer["is_relevant"])
    card = columns.nth(0).locator("li").nth(wrong["rank"] - 1)
    assert wrong["verdict"]["kind"] in card.inner_text()
    card.get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    assert wrong["verdict"]["meaning"] in dialog.inner_text()
    rows = dialog.locator("tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    assert rows == [[row["cell"], *row["shown"]] for row in wrong["verdict"]["cells"]]
    dialog.get_by_role("button", name="Start from this image").click()
    expect(page.locator("#row")).to_have_value(str(wrong["row"]))


def test_an_uploaded_image_is_searched_and_other_files_are_refused(page: "Page", address: str, css_root: Path) -> None:
    visit(page, address)
    png = css_gen.dataset.open(css_root).split("test").png_3d(7)
    page.locator("#file").set_input_files({"name": "my.png", "mimeType": "image/png", "buffer": png})
    page.locator("#text").fill("remove object")
    page.locator("#search").click()
    expect(page).to_have_url(re.compile("text=remove"))
    settle(page)
    assert page.locator("#name").inner_text() == "my.png"
    assert page.locator("#scene li").count() >= 1, "its pixels are those of a test image"
    page.locator("#file").set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no image"})
    assert page.get_by_role("alert").inner_text() == "notes.txt: expected a JPEG or PNG image"


def test_on_a_phone_the_answers_come_into_view(page: "Page", address: str) -> None:
    page.set_viewport_size({"width": 375, "height": 700})
    visit(page, address)
    page.locator("#texts button").last.click()
    expect(page.locator("#truth")).to_be_in_viewport(ratio=1)


def test_the_page_weighs_little_without_its_images(page: "Page", address: str) -> None:
    sizes: dict[str, int] = {}

    def weigh(response: Any) -> None:
        if response.headers.get("content-type", "").partition("/")[0] != "image":
            sizes[response.url] = len(response.body())

    page.on("requestfinished", lambda request: weigh(request.response()))
    visit(page, address)
    assert len(sizes) >= 6
    assert sum(sizes.values()) < MOST_BYTES
