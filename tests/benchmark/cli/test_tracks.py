"""Commands on a track: run, list, explain, compare, verify, search, and scoring by a ranking."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark import tasks
from benchmark.leaderboard.files import build, load_rankings, load_records
from benchmark.leaderboard.levels import levels_of
from benchmark.records.outcomes_file import encode
from benchmark.records.store import save_record
from benchmark.scoring.metrics import contrast_chance_name, contrast_name, metrics_of
from benchmark.tasks import registry
from benchmark.tasks.css import render_missing
from css_gen.storage.configuration import Configuration
from tests.benchmark.cli.invoking import TirgBench
from tests.benchmark.tiny import TINY
from tests.benchmark.toy_track import rendered_toy

CONTRASTS = ("cell accuracy", "edit accuracy", "other accuracy")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with rendered_toy(tmp_path_factory.mktemp("toy") / "css-toy") as folder:
        yield folder


def test_a_run_on_a_track_leaves_records_tables_and_explanations(root: Path, tirg_bench: TirgBench) -> None:
    arguments = ["run", "--composer=tirg", "--composer=film", "--dataset=css-toy", f"--data=css-toy={root}", *TINY]
    result = tirg_bench(*arguments)
    assert result.exit_code == 0, result.output
    stored, problems = load_records(Path("leaderboards/records"))
    assert problems == []
    assert all(run.record.fresh for run in stored)
    (board,) = build(stored)
    assert [level.title for level, _ in levels_of(board)][-1] == "any cell"
    page = Path("leaderboards/css-toy.md").read_text()
    assert page.startswith("# CSS, things lost: 3D query, 3D gallery\n\nRemove the object of a cell.\n\n")
    header = next(line for line in page.splitlines() if line.startswith("|   #"))
    headings = [cell.strip() for cell in header.split("|")]
    place = headings.index("Cell accuracy")
    assert headings[place : place + 5] == [*map(str.capitalize, CONTRASTS), "Worst of 2", "Spread"]
    chance = next(line for line in page.splitlines() if line.startswith("|     | *chance*")).split("|")
    outcomes = stored[0].outcomes
    by_chance = [right / (right + 2) for right in outcomes.relevant.tolist()]
    assert float(chance[place]) == pytest.approx(100 * sum(by_chance) / len(by_chance), abs=0.05)
    assert "### R@1" in page
    assert "by wording" in page
    first = Path("leaderboards/css-toy.csv").read_text().splitlines()[0].split(",")
    assert {"cell_accuracy", "cell_accuracy_chance", "recall_1_shortcut", "worst_of_2", "spread"} <= {*first}
    assert "css-toy" in tirg_bench("list").stdout
    explained = tirg_bench("explain", "--composer", "tirg", "--dataset", "css-toy")
    assert explained.exit_code == 0, explained.output
    assert "wrong cell" in explained.stdout
    one = tirg_bench("explain", "--composer", "tirg", "--dataset", "css-toy", "--query", "3")
    assert one.exit_code == 0, one.output
    assert "drop " in one.stdout
    compared = tirg_bench("compare", "tirg", "film", "--dataset", "css-toy")
    assert compared.exit_code == 0, compared.output
    verified = tirg_bench("verify", "--data", f"css-toy={root}")
    assert verified.exit_code == 0, verified.output
    asked = ["--composer=tirg", "--dataset=css-toy", f"--data=css-toy={root}", "--image=3", "--text=drop top-left"]
    found = tirg_bench("search", *asked)
    assert found.exit_code == 0, found.output
    assert "relevant" in found.output
    site = tirg_bench("leaderboard", "--html")
    assert site.exit_code == 0, site.output
    for name in ("board/css-toy.html", "composer/css-toy/tirg.html"):
        text = Path("leaderboards/site", name).read_text()
        assert "Wrong cell" in text
        assert "any cell" in text or "composer" in name


def test_verify_refuses_contrasts_that_the_checkpoint_does_not_give(root: Path, tirg_bench: TirgBench) -> None:
    arguments = ["run", "--composer=film", "--dataset=css-toy", f"--data=css-toy={root}", "--no-fresh", *TINY]
    result = tirg_bench(*arguments)
    assert result.exit_code == 0, result.output
    (stored,), _ = load_records(Path("leaderboards/records"))
    outcomes = stored.outcomes
    name = CONTRASTS[0]
    can_hold = outcomes.ranks <= outcomes.candidates - outcomes.relevant + 1 - outcomes.distractors[name]
    better = np.where((outcomes.contrasts[name] == 0) & can_hold, 1, outcomes.contrasts[name])
    assert (better != outcomes.contrasts[name]).mean() > 0.1
    forged = replace(outcomes, contrasts={**outcomes.contrasts, name: better})
    ranks = stored.record.ranks.model_copy(update={"sha256": sha256(encode(forged)).hexdigest()})
    record = stored.record.model_copy(update={"metrics": metrics_of(forged), "ranks": ranks})
    save_record(record, forged, Path("leaderboards/records"), replace=True)
    assert tirg_bench("leaderboard").exit_code == 0, "the files agree with each other"
    verified = tirg_bench("verify", "--data", f"css-toy={root}")
    assert verified.exit_code == 1, verified.output
    assert "the contrast cell accuracy holds for" in verified.output


def test_a_model_that_is_known_by_its_ranking_has_contrasts(root: Path, tirg_bench: TirgBench) -> None:
    given = f"--data=css-toy={root}"
    assert tirg_bench("queries", "css-toy", "--out", "queries.parquet", given).exit_code == 0
    rng = np.random.default_rng(0)
    for name, rows in (("q", pq.read_metadata("queries.parquet").num_rows), ("g", 120)):
        np.save(f"{name}.npy", rng.normal(size=(rows, 16)))
    about = ["--name=random", "--author=Me", "--url=https://example.org"]
    result = tirg_bench("score", "--task=css-toy", "--queries=q.npy", "--gallery=g.npy", *about, given)
    assert result.exit_code == 0, result.output
    ((ranking,), problems) = load_rankings(Path("leaderboards/records"))
    assert problems == []
    scores = ranking.record.metrics.scores
    share, chance = (scores[name(CONTRASTS[0])] for name in (contrast_name, contrast_chance_name))
    assert share == pytest.approx(chance, abs=20)
    table = [line.split("|") for line in Path("leaderboards/css-toy.md").read_text().splitlines() if "|" in line]
    place = [cell.strip() for cell in table[0]].index("Cell accuracy")
    assert float(table[2][place]) == pytest.approx(share, abs=0.05)


@pytest.mark.usefixtures("root")
def test_an_absent_track_is_rendered_if_it_is_named(tirg_bench: TirgBench, monkeypatch: pytest.MonkeyPatch) -> None:
    small = partial(render_missing, configuration=Configuration(images=60, size=16, track="toy"))
    monkeypatch.setitem(registry._tasks, "css-toy", replace(tasks.get("css-toy"), make=small))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    result = tirg_bench("run", "--composer=image_only", "--dataset=css-toy", "--no-fresh", *TINY)
    assert result.exit_code == 0, result.output
    assert "holds no dataset of the track toy yet: rendering 60 images" in result.stderr
    assert Path("data/css-toy/manifest.json").exists()
