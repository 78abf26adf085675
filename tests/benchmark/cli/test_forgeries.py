"""Whatever is forged on a board that is otherwise sound, `verify --quick` names the file in one line.

The forger makes every hash and checksum fit, and writes the tables again; only the forgeries of pages do not.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from benchmark.leaderboard.files import write_leaderboards
from benchmark.leaderboard.page_blocks import update
from benchmark.recipe.presets import PRESETS
from benchmark.records.outcomes_file import encode
from benchmark.records.schema import RunRecord, StoredFile, sha256
from benchmark.records.store import CurvePoint, load_outcomes, load_record, save_record, write_record
from benchmark.records.tier import Tier, write_tier
from benchmark.scoring.recall import Outcomes
from tests.benchmark.made_up import make_outcomes, make_record, with_ranks

OUT = Path("leaderboards")
RECORDS = OUT / "records"
PAGE = Path("docs/paper.md")
QUICK = PRESETS["quick"]

Forge = Callable[[], Path]


def sound(outcomes: Outcomes, *, seed: int = 0, composer: str = "tirg", **changes: Any) -> RunRecord:
    """A record whose settings are those of its recipe."""
    record = make_record(outcomes, seed=seed, composer=composer, title=composer.upper())
    steps, loss = QUICK.training.steps, record.training.final_loss
    facts = {"steps": steps, "queries_seen": steps * QUICK.training.batch}
    named = {
        "training": record.training.model_copy(update=facts),
        "curve": (CurvePoint(step=steps // 2, loss=2.5), CurvePoint(step=steps, loss=loss, recall_at_1=55.0)),
        "weights_sha256": sha256(f"{composer} {seed}".encode()),
    }
    return record.model_copy(update=named | changes)


def place(record: RunRecord, outcomes: Outcomes, root: Path = RECORDS) -> Path:
    """Write a record that may have been changed, and its ranks, where its identity says."""
    record = record.model_copy(
        update={"ranks": StoredFile(path=f"{record.place.name}.parquet", sha256=sha256(encode(outcomes)))}
    )
    path = root / f"{record.place}.json"
    write_record(record, encode(outcomes), path)
    return path


def path_of(composer: str, seed: int) -> Path:
    (path,) = (RECORDS / "css" / composer).glob(f"quick-*-s{seed}-*.json")
    return path


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two composers with two seeds each, a record of an older recipe, a verification note, and a page of the paper."""
    folder = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_board()
    return folder


@pytest.fixture(autouse=True)
def copied(board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the board is the current folder."""
    monkeypatch.chdir(shutil.copytree(board, tmp_path / "copy"))


def make_board() -> None:
    for number, (composer, seed) in enumerate([("tirg", 0), ("tirg", 1), ("film", 0), ("film", 1)]):
        outcomes = make_outcomes(seed=number, hit_rate=0.6 + number / 20)
        save_record(sound(outcomes, seed=seed, composer=composer), outcomes, RECORDS)
    older(preset="fast")
    own = make_outcomes(seed=8)
    save_record(sound(own, composer="tirg_residual_only"), own, OUT / "ablations" / "records")
    noted = path_of("tirg", 0)
    recall = load_record(noted).metrics.recall[1]
    write_tier(noted, Tier.RE_SCORED, record_sha256=sha256(noted.read_bytes()), recall_at_1=recall + 0.2)
    PAGE.parent.mkdir()
    PAGE.write_text("# Ours\n\n<!-- ablations tirg css quick -->\n<!-- end -->\n")
    tables()


def tables() -> None:
    write_leaderboards(RECORDS, OUT)
    update(PAGE, OUT)


def verify(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["verify", "--quick", *map(str, arguments)])


def edit(composer: str = "tirg", seed: int = 1, **changes: Any) -> Path:
    """Change values of a record; the file moves where its identity then says."""
    path = path_of(composer, seed)
    record, outcomes = load_record(path), load_outcomes(path, load_record(path))
    for file in (path, path.with_suffix(".parquet")):
        file.unlink()
    return place(record.model_copy(update=changes), outcomes)


def facts(**changes: Any) -> Any:
    return load_record(path_of("tirg", 1)).training.model_copy(update=changes)


def older(*, preset: str) -> Path:
    """A record of version 1 of the recipe, of which this version of the code knows nothing."""
    outcomes = make_outcomes(seed=5)
    return place(sound(outcomes, preset=preset, configuration={"recipe_version": 1}, weights_sha256=None), outcomes)


def another(number: int, root: Path = RECORDS, **about: Any) -> Path:
    """A further record. Number 0 has the ranks of TIRG's seed 0, number 2 those of FiLM's."""
    outcomes = make_outcomes(seed=number, hit_rate=0.6 + number / 20)
    return place(sound(outcomes, **about), outcomes, root)


def outside() -> Path:
    path = path_of("film", 1)
    moved = RECORDS / "more" / "css" / "film"
    moved.mkdir(parents=True)
    for file in (path.with_suffix(".parquet"), path):
        file.rename(moved / file.name)
    return moved / path.name


def other_queries() -> Path:
    outcomes = make_outcomes(seed=7)
    easier = Outcomes(
        **{**vars(outcomes), "attributes": {**outcomes.attributes, "kind": outcomes.attributes["kind"][::-1]}}
    )
    return place(sound(easier, seed=2), easier)


def nearly_equal() -> Path:
    """The ranks of FiLM's seed 0, but in every sixtieth query."""
    outcomes = make_outcomes(seed=2, hit_rate=0.7)
    changed = with_ranks(outcomes, np.where(np.arange(len(outcomes)) % 60 == 0, 5, outcomes.ranks))
    return place(sound(changed, composer="mrn"), changed)


def fewer_queries_first() -> Path:
    outcomes = make_outcomes(seed=7, queries=120)
    return place(sound(outcomes, composer="concat"), outcomes)


def unknown_dataset() -> Path:
    outcomes = make_outcomes(seed=7)
    card = load_record(path_of("tirg", 0)).dataset.model_copy(update={"fingerprint": "fedcba9876543210"})
    return place(sound(outcomes, seed=2, dataset=card), outcomes)


def note() -> Path:
    path = path_of("tirg", 1)
    recall = load_record(path).metrics.recall[1]
    write_tier(path, Tier.RE_SCORED, record_sha256=sha256(path.read_bytes()), recall_at_1=recall - 5)
    return path.with_suffix(".verified")


def retrained_note() -> Path:
    path = path_of("tirg", 1)
    recall = load_record(path).metrics.recall[1]
    write_tier(path, Tier.RETRAINED, record_sha256=sha256(path.read_bytes()), recall_at_1=recall - 4.1)
    return path.with_suffix(".verified")


def page(path: Path, old: str, new: str) -> Path:
    """Edit a page after it was written."""
    tables()
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    return path


def removed() -> Path:
    (OUT / "css.md").unlink()
    return OUT / "css.md"


def dirty() -> Path:
    """A record made with changed code, on tables that do not say so."""
    environment = load_record(path_of("tirg", 1)).environment
    assert "uncommitted" not in (OUT / "css.md").read_text()
    edit(environment=environment.model_copy(update={"dirty": True}))
    return OUT / "css.md"


RECORDS_FORGED: dict[str, tuple[Forge, str]] = {
    "a second record of one run": (lambda: older(preset="old"), "is a second record of the run of"),
    "equal ranks of two seeds": (lambda: another(0, seed=2), "has 100% of the ranks beyond 1 from"),
    "equal ranks of two composers": (lambda: another(2, composer="mrn"), "has 100% of the ranks beyond 1 from"),
    "nearly equal ranks": (nearly_equal, "of the ranks beyond 1 from"),
    "weights of another seed": (
        lambda: edit("tirg", 1, weights_sha256=sha256(b"tirg 0")), "names the weights of"
    ),
    "outside its folder": (outside, "is not at its place among the records"),
    "fewer steps": (lambda: edit(training=facts(steps=500)), "says 500 steps, its recipe has 385"),
    "more queries seen": (lambda: edit(training=facts(queries_seen=140_800)), "says 140800 queries seen"),
    "a longer curve": (lambda: edit(curve=(CurvePoint(step=1_100, loss=0.731),)), "does not lead to step 385"),
    "another loss": (lambda: edit(training=facts(final_loss=0.1)), "says a final loss of 0.1, its curve ends at 0.731"),
    "a recipe under another hash": (
        lambda: edit(configuration=QUICK.content | {"training.momentum": 0.5}), "writes training.momentum differently"
    ),
    "a recipe that is none": (lambda: edit(configuration=QUICK.content | {"training.luck": 1}), "is not a recipe"),
    "a preset's name": (lambda: edit(preset="paper"), "is called paper, its recipe is quick"),
    "a preset's name on an older recipe": (
        lambda: edit(configuration={"recipe_version": 1, "training.steps": 7}), "which is another recipe now"
    ),
    "an unknown dataset": (unknown_dataset, "its dataset css fedcba98 is not in leaderboards/datasets.json"),
    "other queries": (other_queries, "holds other values of kind than its dataset"),
    "fewer queries, sorted first": (fewer_queries_first, "holds 120 in queries where its dataset has 240"),
    "no code": (lambda: another(7, composer="phantom"), "there is no code of phantom here"),
    "a variant on a board": (lambda: another(7, composer="tirg_gate_only"), "there is no code of tirg_gate_only here"),
    "no code of an ablation": (
        lambda: another(7, OUT / "ablations" / "records", composer="phantom"), "there is no code of phantom here"
    ),
    "a local file": (lambda: another(7, composer="phantom", is_local=True), "is of a local file"),
    "a note of another result": (note, "more than the 0.25 that re-scored allows"),
    "a note beyond any spread": (retrained_note, "more than the 4.00 that retrained allows"),
}  # fmt: skip

PAGES_FORGED: dict[str, tuple[Forge, str]] = {
    "an edited page": (lambda: page(OUT / "css.md", "FILM", "BEST"), "is out of date"),
    "an edited table": (lambda: page(OUT / "css.csv", "FILM", "BEST"), "is out of date"),
    "an edited page of ablations": (lambda: page(OUT / "tirg-ablations.md", "TIRG", "BEST"), "is out of date"),
    "an edited page of the paper": (lambda: page(PAGE, "|", "| "), "is out of date"),
    "a page that is gone": (removed, "is missing or cannot be read"),
    "no mark for changed code": (dirty, "is out of date"),
}


def test_the_board_is_sound() -> None:
    result = verify()
    assert result.exit_code == 0, result.output
    assert "6 records are sound, 5 self-reported, 1 re-scored" in result.stdout


@pytest.mark.parametrize(("forge", "expected"), RECORDS_FORGED.values(), ids=RECORDS_FORGED.keys())
def test_a_forged_record_is_named_in_one_line(forge: Forge, expected: str) -> None:
    path = forge()
    tables()
    require_one_line(path, expected)


@pytest.mark.parametrize(("forge", "expected"), PAGES_FORGED.values(), ids=PAGES_FORGED.keys())
def test_a_forged_page_is_named_in_one_line(forge: Forge, expected: str) -> None:
    require_one_line(forge(), expected)


def require_one_line(path: Path, expected: str) -> None:
    result = verify()
    assert result.exit_code == 1, result.output
    lines = [
        line
        for line in result.stderr.splitlines()
        if f"wrong: {path.resolve()}: " in line or f"wrong: {path}: " in line
    ]
    assert len(lines) == 1, result.stderr
    assert expected in lines[0]


def test_changed_code_is_marked_on_the_table() -> None:
    dirty()
    tables()
    assert verify().exit_code == 0
    rows = [line for line in (OUT / "css.md").read_text().splitlines() if "uncommitted changes of the code" in line]
    assert [row.split()[1] for row in rows] == ["TIRG"]


def test_boards_of_ones_own_may_hold_local_files() -> None:
    shutil.copytree(OUT, "mine")
    another(7, Path("mine/records"), composer="phantom", is_local=True)
    write_leaderboards(Path("mine/records"), Path("mine"))
    assert verify("--out=mine").exit_code == 0


def test_a_record_is_checked_by_itself_too() -> None:
    path = edit(training=facts(steps=500))
    result = verify(path, path_of("tirg", 0))
    assert result.exit_code == 1
    assert f"wrong: {path}: says 500 steps" in result.stderr
    assert "1 record is sound" in result.stdout
