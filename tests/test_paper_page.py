"""docs/paper.md shows what the CSV files of the leaderboards hold, and every number of the paper."""

from pathlib import Path

from benchmark import ablations, tasks
from benchmark.leaderboard.paper_page import updated

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "paper.md").read_text()


def test_its_tables_are_up_to_date() -> None:
    assert updated(PAGE, ROOT / "leaderboards") == PAGE, "tirg-bench leaderboard --page docs/paper.md writes them again"


def test_it_has_a_table_for_every_task_and_ablation_that_the_paper_reports() -> None:
    for name in ("css", "css-2d3d", "fashion200k", "mit-states"):
        assert tasks.get(name).published
        assert f"<!-- composers {name} " in PAGE
    for name in {*ablations.get("tirg").tasks} - {"css-original"}:
        assert f"<!-- ablations tirg {name} " in PAGE
