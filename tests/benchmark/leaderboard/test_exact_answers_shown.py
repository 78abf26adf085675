"""Where every relevant image is known, a table also shows the paper's count, which published numbers compare with."""

from pathlib import Path

import pytest

from benchmark import tasks
from benchmark.leaderboard.columns import columns
from benchmark.leaderboard.files import write_leaderboards
from benchmark.records.store import save_record
from tests.benchmark.made_up import make_outcomes, make_record


@pytest.mark.parametrize("name", tasks.names())
def test_drawn_is_a_column_where_more_than_the_drawn_target_counts(name: str) -> None:
    task = tasks.get(name)
    headings = {column.heading for column in columns(task) if "ranking" in column.on}
    assert (headings >= {"Drawn", "Ceiling", "mAP@10"}) is task.css_texts
    assert ("Original" in headings) is task.is_rendered


def test_the_original_css_says_what_its_published_numbers_count(tmp_path: Path) -> None:
    outcomes = make_outcomes(seed=0)
    save_record(make_record(outcomes, protocol="css-original"), outcomes, tmp_path / "records")
    write_leaderboards(tmp_path / "records", tmp_path)
    page = (tmp_path / "css-original.md").read_text()
    assert "relevant if its scene satisfies the text" in page
    assert "It counts as **Drawn** does." in page
    assert "ceiling of Drawn" in page
