"""The pages show the kinds of first images that the scenes give, with examples, and count every relevant image."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from benchmark import tasks
from benchmark.explanation.answer_kinds import ERRORS, AnswerKind, kind_of_answer
from benchmark.leaderboard.site import write_site
from benchmark.tasks import Published
from tests.benchmark.made_up_answers import RENDERED, answers, save_answers


class Tables(HTMLParser):
    """The rows of all tables of a page, as lists of the text of their cells."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._is_in_cell = False
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._is_in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._is_in_cell = self._is_in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._is_in_cell:
            self.rows[-1][-1] += data


def kind_of(query: int, first: int) -> AnswerKind:
    asked = RENDERED.queries[query]
    source, target = RENDERED.scenes[asked.source_id], RENDERED.scenes[asked.target_id]
    return kind_of_answer(source, asked.modification, target, RENDERED.scenes[first])


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One composer with two seeds."""
    out = tmp_path_factory.mktemp("explained")
    for seed in range(2):
        save_answers(out, seed=seed)
    write_site(out / "records", out)
    return out


@pytest.fixture(scope="module")
def counts() -> Counter[AnswerKind]:
    firsts = [answers(seed=seed)[0].top1.tolist() for seed in range(2)]
    return Counter(kind_of(query, first) for run in firsts for query, first in enumerate(run))


def test_the_composers_page_has_the_table_of_all_its_runs(out: Path, counts: Counter[AnswerKind]) -> None:
    table = {row[0]: row for row in Tables(out / "site" / "composer" / "css" / "tirg.html").rows if row}
    for kind in AnswerKind:
        row = table[f"{kind.capitalize()}{kind.meaning}"]
        assert row[2] == f"{100 * counts[kind] / counts.total():.1f}"
        assert row[3] == str(counts[kind])


def test_the_board_does_not_count_other_completions_as_errors(out: Path, counts: Counter[AnswerKind]) -> None:
    rows = Tables(out / "site" / "board" / "css.html").rows
    heading = next(row for row in rows if "Not relevant" in row)
    cells = dict(zip(heading, rows[rows.index(heading) + 1], strict=True))
    errors = sum(counts[kind] for kind in ERRORS)
    assert errors < counts.total() - counts[AnswerKind.DRAWN]
    assert cells["Not relevant"] == f"{100 * errors / counts.total():.1f}"
    assert cells["Another completion"] == f"{100 * counts[AnswerKind.COMPLETION] / counts.total():.1f}"


def test_each_kind_has_up_to_three_examples_of_the_first_run(out: Path) -> None:
    firsts = answers(seed=0)[0].top1.tolist()
    there = {kind_of(query, first) for query, first in enumerate(firsts)} - {AnswerKind.DRAWN}
    html = (out / "site" / "composer" / "css" / "tirg.html").read_text()
    shown = re.findall(r'(?s)<h4>([^<]+)</h4>\n<div class="triples">(.*?)</article>\n</div>', html)
    assert [title for title, _ in shown] == [kind.capitalize() for kind in AnswerKind if kind in there]
    assert {AnswerKind.COMPLETION, AnswerKind.SCENE} < there
    for title, block in shown:
        numbers = list(map(int, re.findall(r"Query (\d+)", block)))
        assert 1 <= len(set(numbers)) == len(numbers) <= 3
        expected = []
        for number in numbers:
            assert kind_of(number, firsts[number]).capitalize() == title
            query = RENDERED.queries[number]
            places = {"source": query.source_id, "drawn target": query.target_id, "first image": firsts[number]}
            expected += [(name, RENDERED.scenes[place].key or "nothing") for name, place in places.items()]
        assert re.findall(r'alt="(source|drawn target|first image): ([^"]*)"', block) == expected
        assert ('class="completion"' in block) == (title == "Another completion")


def test_a_relevant_image_that_was_not_drawn_is_marked_as_relevant(out: Path) -> None:
    html = (out / "site" / "composer" / "css" / "tirg.html").read_text()
    marked = re.findall(
        r'<li class="completion"><img [^>]*alt="answer \d: ([^"]*)">.*?<span class="mark">([^<]*)', html
    )
    assert marked
    assert {mark for _, mark in marked} == {"✓ relevant, not the drawn one"}
    relevant = {
        key for query in RENDERED.queries for key in query.modification.targets(RENDERED.scenes[query.source_id])
    }
    assert {key for key, _ in marked} <= relevant


def test_a_run_that_does_not_fit_its_dataset_has_a_page_that_says_so(tmp_path: Path) -> None:
    save_answers(tmp_path, seed=0, changed={"top1": np.roll(answers(seed=0)[0].top1, 1)})
    write_site(tmp_path / "records", tmp_path)
    for page in ("composer/css/tirg.html", "board/css.html"):
        assert "its rank contradicts the scene of its first image" in (tmp_path / "site" / page).read_text()


def test_a_published_row_without_recall_at_1_comes_last(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (Published("Ten", {10: 50.0}, "V"), Published("One", {1: 2.0}, "V"))
    find = tasks.find
    task = replace(tasks.get("css"), published=rows)
    monkeypatch.setattr(tasks, "find", lambda name: task if name == "css" else find(name))
    write_site(out / "records", tmp_path)
    published = [
        row for row in Tables(tmp_path / "site" / "board" / "css.html").rows if row and row[0] in ("Ten", "One")
    ]
    assert published == [["One", "2.0", "–", "–", "–", "V"], ["Ten", "–", "–", "50.0", "–", "V"]]
