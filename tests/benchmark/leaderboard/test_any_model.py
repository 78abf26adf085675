"""Models that are known by their rankings, with composers on the same queries: below them, never among them."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from benchmark.cli.main import main
from benchmark.errors import BenchmarkError, UsageError
from benchmark.leaderboard.boards import build
from benchmark.leaderboard.comparison import ALL
from benchmark.leaderboard.files import (
    load_rankings,
    load_records,
    model_tables,
    print_table,
    stale_tables,
    write_leaderboards,
)
from benchmark.leaderboard.site.pages import write_site
from benchmark.records.rankings import Model, RankingRecord, new_ranking, read_ranking, save_ranking
from benchmark.records.store import DatasetCard, StoredFile, save_record
from benchmark.scoring.evaluation import Evaluation
from benchmark.submissions.submit import require_free
from tests.benchmark.made_up import GALLERY, make_outcomes, make_record

FINGERPRINT = "0123456789abcdef"


def add_model(root: Path, name: str, *, hit_rate: float, fingerprint: str = FINGERPRINT, title: str = "") -> Path:
    outcomes = make_outcomes(hit_rate=hit_rate, seed=7)
    record = new_ranking(
        Model(name, title or name, "Somebody", "https://example.org/x", "an encoder of its own"),
        Evaluation(outcomes, np.zeros((len(outcomes), 8), dtype=np.int64)),
        task="css",
        dataset=DatasetCard(name="css", fingerprint=fingerprint, gallery=GALLERY, queries=len(outcomes)),
        given="ranking",
        depth=50,
        files=[StoredFile(path="ranking.parquet", sha256="ab" * 32)],
    )
    return save_ranking(record, outcomes, root / "records")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for composer, hit_rate in (("tirg", 0.6), ("concat", 0.3)):
        for seed in (0, 1):
            outcomes = make_outcomes(hit_rate=hit_rate, seed=seed)
            save_record(
                make_record(outcomes, composer=composer, title=composer, seed=seed), outcomes, tmp_path / "records"
            )
    write_leaderboards(tmp_path / "records", tmp_path)
    return tmp_path


def test_the_composers_table_stays_as_it_is_and_models_come_below(root: Path) -> None:
    before, lines_before = (root / "css.md").read_text(), (root / "css.csv").read_text()
    add_model(root, "strong", hit_rate=0.95)
    add_model(root, "weak", hit_rate=0.1)
    add_model(root, "elsewhere", hit_rate=0.5, fingerprint="fedcba9876543210")
    assert write_leaderboards(root / "records", root).problems == ()
    page, lines = (root / "css.md").read_text(), (root / "css.csv").read_text()
    start, end = page.index("\n## Any model"), page.index("\n## Composers")
    assert page[:start] + page[end:] == before
    assert lines.startswith(lines_before)
    first, second = page[start:end].split("## Any model")[1:]
    assert first.index("| strong") < first.index("| weak")
    assert "Dataset `01234567`, 240 queries: the queries of preset quick." in first
    assert "| elsewhere" in second
    assert "Dataset `fedcba98`, 240 queries." in second
    added = list(csv.DictReader(lines.splitlines()))[len(lines_before.splitlines()) - 1 :]
    assert {line["composer"] for line in added} == {"strong", "weak", "elsewhere"}
    assert {line["rank"] + line["group"] for line in added} == {""}
    (board,) = build(load_records(root / "records")[0])
    assert [row.composer.name for row in board.rows] == ["tirg", "concat"]


def test_a_model_has_the_scores_of_its_outcomes_with_their_interval(root: Path) -> None:
    path = add_model(root, "strong", hit_rate=0.95)
    (table,) = model_tables(load_rankings(root / "records")[0])
    (row,) = table.rows
    outcomes = read_ranking(path).outcomes
    assert row.scores[ALL].mean[1] == pytest.approx(100 * np.mean(outcomes.ranks == 1))
    assert row.scores[ALL].deviation[1] is None
    found = row.scores[ALL].interval
    assert found is not None
    assert found.low < row.scores[ALL].mean[1] < found.high
    add = outcomes.attributes["kind"] == "add"
    assert row.scores["kind=add"].mean[1] == pytest.approx(100 * np.mean(outcomes.ranks[add] == 1))


def test_the_terminal_shows_the_models_below_their_task(root: Path) -> None:
    add_model(root, "strong", hit_rate=0.95)
    stored, _ = load_records(root / "records")
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(print_table(build(stored), models=model_tables(load_rankings(root / "records")[0])))
    text = console.export_text()
    assert text.index("css, preset quick") < text.index("css, any model (self-reported), dataset 01234567")
    assert text.index("concat") < text.index("strong")
    assert max(map(len, text.splitlines())) <= 80


def test_tables_without_a_model_that_has_a_record_are_stale(root: Path) -> None:
    add_model(root, "strong", hit_rate=0.95)
    stored, _ = load_records(root / "records")
    rankings, problems = load_rankings(root / "records")
    assert problems == []
    assert len(stale_tables(stored, root / "records", root, rankings)) == 2
    write_leaderboards(root / "records", root)
    assert stale_tables(stored, root / "records", root, rankings) == []


def test_the_site_shows_them_in_a_section_of_their_own_and_escapes_what_they_say(root: Path) -> None:
    add_model(root, "strong", hit_rate=0.95, title="<b>Strong</b>")
    write_site(root / "records", root)
    page = (root / "site" / "board" / "css.html").read_text()
    start = page.index("Any model, dataset <code>01234567</code>")
    assert page.rindex(">concat<") < start
    section = page[start : page.index("</section>", start)]
    assert '<a href="https://example.org/x" rel="nofollow">&lt;b&gt;Strong&lt;/b&gt;</a>' in section
    assert "an encoder of its own" in section
    assert "self-reported" in section
    assert not (root / "site" / "composer" / "css" / "strong.html").exists()


@pytest.mark.parametrize(("recipe", "title"), [("", "tirg with quick (seeds 0, 1)"), ("@quick", "tirg with quick")])
def test_compare_pairs_a_model_with_the_seeds_of_a_composer(root: Path, recipe: str, title: str) -> None:
    add_model(root, "strong", hit_rate=0.95)
    forth, back = (
        CliRunner().invoke(main, ["compare", *pair, "--out", str(root)])
        for pair in (("strong", f"tirg{recipe}"), (f"tirg{recipe}", "strong"))
    )
    assert forth.exit_code == back.exit_code == 0, forth.output + back.output
    assert f"strong (its ranking) minus {title}" in " ".join(forth.stdout.split())
    numbers = [next(row.split() for row in each.stdout.splitlines() if "all " in row)[2] for each in (forth, back)]
    assert numbers[0] == numbers[1].replace("-", "+")
    assert float(numbers[0]) == pytest.approx(35, abs=8)


def test_compare_says_that_data_differs(root: Path) -> None:
    add_model(root, "elsewhere", hit_rate=0.5, fingerprint="fedcba9876543210")
    result = CliRunner().invoke(main, ["compare", "elsewhere", "tirg", "--out", str(root)])
    assert result.exit_code == 1
    assert "elsewhere and tirg have no records of the same data on css" in result.stderr


def test_a_record_under_another_name_or_a_composers_is_a_problem(root: Path) -> None:
    path = add_model(root, "strong", hit_rate=0.95)
    folder = root / "records" / "css" / "other"
    folder.mkdir()
    for suffix in (".json", ".parquet"):
        (folder / path.name).with_suffix(suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    with pytest.raises(BenchmarkError, match=r"is the record of another model; its place is css/strong/ranking-0123"):
        read_ranking(folder / path.name)
    (root / "submissions" / "strong").mkdir(parents=True)
    rankings, problems = load_rankings(root / "records")
    assert rankings == []
    assert any("has the name of a composer; remove it or score it under another name" in each for each in problems)
    assert load_records(root / "records")[1] == []


def test_a_submission_cannot_take_the_name_of_a_model(root: Path) -> None:
    path = add_model(root, "strong", hit_rate=0.95)
    for replaces in (False, True):
        with pytest.raises(UsageError, match=r"the name 'strong' belongs to a model scored by its ranking"):
            require_free("strong", b"", root, replaces=replaces)
    assert path.exists()


def test_a_record_says_where_its_ranks_are(root: Path) -> None:
    record = read_ranking(add_model(root, "strong", hit_rate=0.95)).record
    moved = record.model_dump() | {"ranks": {"path": "../x.parquet", "sha256": record.ranks.sha256}}
    with pytest.raises(ValueError, match=r"ranks.path is not ranking-01234567.parquet"):
        RankingRecord.model_validate(moved)
