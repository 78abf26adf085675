"""`tirg-bench verify` on a real run: sound as it is, and every way to tamper with it is named."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from benchmark.records.outcomes_file import encode
from benchmark.records.schema import sha256
from benchmark.records.store import RunRecord, StoredFile, load_outcomes, load_record, save_record
from benchmark.records.tier import Tier
from benchmark.scoring.metrics import metrics_of
from benchmark.scoring.recall import Outcomes
from benchmark.training.checkpoint import Checkpoint, weights_sha256
from tests.benchmark.made_up import with_ranks
from tests.benchmark.tiny import TINY

Verify = Callable[..., Result]


def the_record(composer: str = "tirg") -> Path:
    (path,) = Path("leaderboards/records/css", composer).glob("*.json")
    return path


def the_model(composer: str = "tirg") -> Path:
    (path,) = Path("runs/css", composer).rglob("model.safetensors")
    return path


def rewritten(record: RunRecord, path: Path, **changes: object) -> None:
    """Store a changed record with a checksum that fits."""
    save_record(
        record.model_copy(update=changes), load_outcomes(path, record), Path("leaderboards/records"), replace=True
    )


def test_a_sound_run_is_scored_again(verify: Verify) -> None:
    result = verify()
    assert result.exit_code == 0, result.output
    assert f"{the_record()}: re-scored" in result.stdout
    assert "2 records are sound, 2 re-scored" in result.stdout
    alone = verify(the_record())
    assert alone.exit_code == 0
    assert "1 record is sound, 1 re-scored" in alone.stdout


def test_without_checkpoint_or_dataset_it_stays_self_reported(verify: Verify, tmp_path: Path) -> None:
    the_model("concat").unlink()
    result = verify()
    assert result.exit_code == 0
    assert f"{the_record('concat')}: self-reported: no checkpoint (runs" in result.stdout
    elsewhere = verify(f"--data=css={tmp_path / 'nowhere'}", the_record())
    assert elsewhere.exit_code == 0
    assert "self-reported: there is no dataset in" in elsewhere.stdout


def test_a_checkpoint_of_another_run_makes_no_record_wrong(verify: Verify) -> None:
    shutil.copyfile(the_model("concat"), the_model())
    result = verify(the_record())
    assert result.exit_code == 0, result.output
    assert f"self-reported: the checkpoint at {the_model()} is of another run" in result.stdout


def test_quick_scores_nothing_again(verify: Verify) -> None:
    shutil.rmtree("runs")
    result = verify("--quick")
    assert result.exit_code == 0
    assert "2 records are sound" in result.stdout


def edit_record() -> None:
    the_record().write_text(the_record().read_text().replace('"seed": 0', '"seed": 1'))


def edit_ranks() -> None:
    next(Path("leaderboards/records/css/tirg").glob("*.parquet")).write_bytes(b"PAR1")


def borrow_weights() -> None:
    """The other composer's weights do not fit, so those of another seed: here its own, noted under the other record."""
    path = the_record("concat")
    checkpoint = Checkpoint.read(the_model())
    own = Checkpoint.read(the_model("concat"))
    renamed = replace(checkpoint, run=own.run)
    renamed.write(the_model("concat"))
    kept = StoredFile(path=str(the_model("concat")), sha256=sha256(the_model("concat").read_bytes()))
    rewritten(load_record(path), path, checkpoint=kept, weights_sha256=weights_sha256(checkpoint.tensors))


def change_the_weights() -> None:
    """The header stays, and so does what the record says of the weights."""
    checkpoint = Checkpoint.read(the_model())
    tensors = {name: value * 1.001 for name, value in checkpoint.tensors.items()}
    replace(checkpoint, tensors=tensors).write(the_model())
    kept = StoredFile(path=str(the_model()), sha256=sha256(the_model().read_bytes()))
    rewritten(load_record(the_record()), the_record(), checkpoint=kept)


def swap_checkpoints_and_say_so() -> None:
    """As a forger would, who can make hashes fit."""
    record = load_record(the_record())
    other = load_record(the_record("concat")).checkpoint
    rewritten(record, the_record(), checkpoint=other)


def forge(change: Callable[[Outcomes], Outcomes], *, left_out: bool = False) -> None:
    """Other outcomes under a record whose numbers and hashes agree with them."""
    path = the_record()
    record = load_record(path)
    changed = change(load_outcomes(path, record))
    ranks = StoredFile(path=record.ranks.path, sha256=sha256(encode(changed)))
    forged = record.model_copy(update={"metrics": metrics_of(changed), "ranks": ranks})
    save_record(forged, changed, Path("leaderboards/records"), replace=True)
    assert CliRunner().invoke(main, ["leaderboard"]).exit_code == left_out


def invent_the_ranks() -> None:
    """Every query answered: numbers, ranks and hashes agree, only the checkpoint does not."""
    forge(lambda outcomes: with_ranks(outcomes, outcomes.ranks * 0 + 1))


def sort_the_ranks() -> None:
    """The same Recall, by other queries."""
    forge(lambda outcomes: with_ranks(outcomes, np.sort(outcomes.ranks)))


def invent_the_drawn_ranks() -> None:
    forge(lambda outcomes: replace(outcomes, drawn_ranks=outcomes.candidates))


def invent_the_oracle() -> None:
    forge(lambda outcomes: replace(outcomes, source_oracle_ranks=outcomes.ranks * 0 + 1), left_out=True)


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (edit_record, "was edited"),
        (edit_ranks, "is not the file that"),
        (borrow_weights, "names the weights of"),
        (change_the_weights, "its checkpoint holds other weights than the record names"),
        (swap_checkpoints_and_say_so, "is of another run (another composer)"),
        (invent_the_ranks, "says R@1 100.00, its checkpoint gives"),
        (sort_the_ranks, "of its queries are hits at"),
        (invent_the_drawn_ranks, "says drawn R@"),
        (invent_the_oracle, "holds other values of source_oracle_ranks than its dataset"),
    ],
)
def test_tampering_is_named(verify: Verify, tamper: Callable[[], None], expected: str) -> None:
    tamper()
    result = verify()
    assert result.exit_code == 1
    assert expected in result.stderr
    assert all(line.startswith("tirg-bench: wrong: ") for line in result.stderr.splitlines() if expected in line)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["nowhere.json"], 2, "nowhere.json: there is no such record"),
        (["--out=nowhere"], 1, "there are no records yet"),
        (["--data=cs=x"], 2, "unknown dataset 'cs'"),
        (["--equal-code"], 2, "--equal-code compares new trainings with the records: add --retrain"),
        (["--quick", "--retrain"], 2, "--quick trains and scores nothing: leave out --retrain and --note"),
    ],
)
def test_bad_input_ends_in_one_line(verify: Verify, arguments: list[str], code: int, expected: str) -> None:
    result = verify(*arguments)
    assert result.exit_code == code
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_trained_again_it_is_the_same(verify: Verify) -> None:
    before = the_record().read_bytes()
    result = verify("--retrain", the_record())
    assert result.exit_code == 0, result.output
    said = load_record(the_record()).metrics.recall[1]
    assert f"{the_record()}: retrained: R@1 {said:.1f}, equal query by query, as expected on an equal" in result.stdout
    (again,) = Path("runs/verify/records").rglob("*.json")
    assert load_record(again).reproducible() == load_record(the_record()).reproducible()
    assert the_record().read_bytes() == before


def test_the_weights_of_another_run_are_found_in_older_records(verify: Verify) -> None:
    """Those that name no hash of their weights: `verify --quick` has nothing to compare."""
    borrow_weights()
    for composer in ("tirg", "concat"):
        path = the_record(composer)
        rewritten(load_record(path), path, weights_sha256=None)
    assert CliRunner().invoke(main, ["leaderboard"]).exit_code == 0
    assert verify("--quick").exit_code == 0
    result = verify()
    assert result.exit_code == 1
    assert f"{the_record()}: its checkpoint holds the weights of seed 0 of concat" in result.stderr


def test_an_invented_result_is_not_trained_again(verify: Verify) -> None:
    invent_the_ranks()
    result = verify("--retrain", the_record())
    assert result.exit_code == 1
    assert "is not what training gives on this equal machine: R@1 " in result.stderr
    assert "100.00 in the record; other ranks in " in result.stderr


def test_what_was_found_stands_on_the_tables_until_the_record_changes(verify: Verify) -> None:
    def row(title: str) -> str:
        lines = Path("leaderboards/css.md").read_text().splitlines()
        return next(line for line in lines if line.startswith(f"| {title} ") and any(tier in line for tier in Tier))

    assert "self-reported" in row("TIRG")
    assert verify("--note").exit_code == 0
    assert "re-scored" in row("TIRG")
    assert "re-scored" in row("Concat")
    result = verify("--note", "--retrain", the_record())
    assert "wrote 1 verification note; tables in leaderboards updated" in result.stdout
    assert "retrained" in row("TIRG")
    assert "re-scored" in row("Concat")
    assert verify("--quick").exit_code == 0
    weaker = verify("--note", the_record())
    assert weaker.exit_code == 0
    assert "wrote" not in weaker.stdout
    assert "retrained" in row("TIRG")
    rewritten(load_record(the_record()), the_record(), created=load_record(the_record()).created.replace(year=2020))
    assert CliRunner().invoke(main, ["leaderboard"]).exit_code == 0
    assert "self-reported" in row("TIRG")


def test_a_note_is_for_records_of_these_leaderboards(verify: Verify) -> None:
    result = verify("--note", "--out=elsewhere", the_record())
    assert result.exit_code == 2
    assert "--note updates the tables, and this record is not in elsewhere/records; name its folder" in result.stderr


def test_a_damaged_note_is_named(verify: Verify) -> None:
    verify("--note")
    note = the_record().with_suffix(".verified")
    note.write_text(note.read_text().replace("re-scored", "beyond doubt"))
    result = verify("--quick")
    assert result.exit_code == 1
    assert f"{note}: not a valid `tirg-bench verify` result; delete it" in result.stderr


def test_a_recipe_of_another_version_is_not_trained(verify: Verify) -> None:
    path = the_record()
    record, outcomes = load_record(path), load_outcomes(path, load_record(path))
    other = record.model_copy(update={"configuration": {**record.configuration, "recipe_version": 1}})
    other = other.model_copy(update={"ranks": other.ranks.model_copy(update={"path": f"{other.place.name}.parquet"})})
    moved = save_record(other, outcomes, Path("leaderboards/records"))
    result = verify("--retrain", moved)
    assert result.exit_code == 0
    assert "self-reported: its recipe is of version 1, this is version 2" in result.stdout


def test_a_validation_record_is_scored_on_the_part_that_it_was_scored_on(verify: Verify, css_root: Path) -> None:
    chosen = ["run", "--composer=concat", "--dataset=css", f"--data=css={css_root}", *TINY]
    chosen += ["--set=evaluation.split=validation", "--set=evaluation.held_out=0.3"]
    assert CliRunner().invoke(main, chosen).exit_code == 0
    (path,) = Path("runs/records/css/concat").glob("*.json")
    result = verify(path)
    assert result.exit_code == 0, result.output
    assert f"{path}: re-scored" in result.stdout
    again = verify("--retrain", path)
    assert again.exit_code == 0, again.output
    assert f"{path}: retrained" in again.stdout
