"""Fresh test sets: drawn when they are asked for, shared by tasks, gone afterwards, and what gives a cheat away."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from benchmark import tasks as datasets
from benchmark.cli.main import main
from benchmark.datasets.image_store import ImageStore
from benchmark.datasets.splits import Dataset, Split
from benchmark.device import make_accelerator
from benchmark.errors import BenchmarkError
from benchmark.leaderboard.boards import build
from benchmark.recipe.changes import override
from benchmark.recipe.runtime import Runtime
from benchmark.records.making import stored_file
from benchmark.records.outcomes_file import encode
from benchmark.records.schema import sha256
from benchmark.records.store import StoredRecord, read_stored, save_record
from benchmark.runs import fresh as module
from benchmark.runs.fresh import FreshTestSets
from benchmark.runs.single_run import Bench
from benchmark.scoring.evaluation import encode_queries, evaluate
from benchmark.scoring.metrics import metrics_of
from benchmark.submissions import candidates, submitted_run
from benchmark.submissions import submit as submission
from benchmark.submissions.sandbox import SandboxTier
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import SilentRuns
from benchmark.verification import Resources, verify_records
from css_gen.render import render
from css_gen.storage.configuration import Configuration
from models.base import TextFeatures
from models.composers.image_only import ImageOnly
from models.network import Network
from tests.benchmark.runs.finished_runs import reproducible, runs
from tests.benchmark.submissions.sources import source
from tests.benchmark.tiny import TINY


def opened(task: str, places: dict[str, Path]) -> Dataset:
    place = datasets.locate(task, places)
    return datasets.get(task).open(place, image_size=16, reporter=SilentRuns(), skip_broken=False)


def test_tasks_share_a_rendering_that_is_drawn_when_it_is_asked_for(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(module.os, "urandom", lambda count: drawn.append(count) or b"\1" * count)
    monkeypatch.setattr(module.tempfile, "tempdir", str(places["css"].parent))

    def seeds() -> int:
        return drawn.count(6)  # names of temporary files are drawn, too

    css, flat = opened("css", places), opened("css-2d3d", places)
    with FreshTestSets() as sets:
        assert seeds() == 0
        first = sets.of(css, image_size=16, reporter=SilentRuns())
        assert first is not None
        assert sets.of(css, image_size=16, reporter=SilentRuns()) is first
        second = sets.of(flat, image_size=16, reporter=SilentRuns())
        assert second is not None
        assert seeds() == 1
        assert second[:2] == first[:2] == (int.from_bytes(b"\1" * 6), first.fingerprint)
        assert second.split.sources is not second.split.gallery, "2D images are asked about"
        assert len(first.split.queries) == len(css.test.queries)
        assert first.split.queries.texts != css.test.queries.texts
        assert [*places["css"].parent.glob("tirg-bench-fresh-*")]
        assert {key[1] for key in module._opened} >= {sets.render(css, SilentRuns())}
    assert not [*places["css"].parent.glob("tirg-bench-fresh-*")]
    assert not [folder for _, folder, _ in module._opened if folder.parent == places["css"].parent]
    with FreshTestSets() as sets:
        sets.of(css, image_size=16, reporter=SilentRuns())
    assert seeds() == 2


@pytest.mark.parametrize("task", ["css-original", "fashion200k", "fashion-iq", "mit-states"])
def test_data_of_others_has_no_fresh_test_set(task: str, places: dict[str, Path]) -> None:
    assert FreshTestSets().of(opened(task, places), image_size=16, reporter=SilentRuns()) is None


def test_no_room_is_reported_with_the_folder_and_leaves_nothing(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "render_fresh_test", full)
    with pytest.raises(BenchmarkError, match=r"tirg-bench-fresh-.*No space left.*set TMPDIR"):
        FreshTestSets().of(opened("css", places), image_size=16, reporter=SilentRuns())
    assert not list(tmp_path.iterdir())


def test_a_run_is_scored_on_it_and_is_otherwise_the_same(bench: Bench, tmp_path: Path) -> None:
    with FreshTestSets() as sets:
        (with_it, flat) = runs(replace(bench, fresh=sets), ("tirg", "css", 0), ("tirg", "css-2d3d", 0))
    (without,) = runs(replace(bench, leaderboards=tmp_path / "again", runs=tmp_path / "again-runs"))
    assert reproducible(with_it) == reproducible(without)
    assert without.record is not None
    assert without.record.fresh is None
    assert with_it.record is not None
    assert flat.record is not None
    score = with_it.record.fresh
    assert score is not None
    assert flat.record.fresh is not None
    assert (score.seed, score.fingerprint) == (flat.record.fresh.seed, flat.record.fresh.fingerprint)
    assert score.queries == with_it.record.dataset.queries
    path = with_it.run.identity.find(bench.records)
    assert path is not None
    assert read_stored(path).record == with_it.record


def test_what_is_scored_on_the_validation_part_has_none(bench: Bench) -> None:
    base = override(bench.base, ["evaluation.split=validation"])
    (finished,) = runs(replace(bench, base=base, fresh=FreshTestSets()))
    assert finished.record is not None
    assert finished.record.fresh is None


@pytest.mark.parametrize("options", [(), ("--no-fresh",)], ids=" ".join)
def test_the_command_scores_on_it_unless_told_not_to_and_verify_on_another(
    options: tuple[str, ...], css_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = f"--data=css={css_root}"
    ran = CliRunner().invoke(main, ["run", "--composer=concat", "--dataset=css", data, *TINY, *options])
    assert ran.exit_code == 0, ran.output
    assert ("(fresh " in ran.output) is not bool(options)
    (path,) = Path("leaderboards/records/css/concat").glob("*.json")
    score = read_stored(path).record.fresh
    assert (score is None) is bool(options)
    if score is None:
        return
    verified = CliRunner().invoke(main, ["verify", data, "--device=cpu", "--note", str(path)])
    assert verified.exit_code == 0, verified.output
    note = json.loads(path.with_suffix(".verified").read_text())
    assert f"re-scored: R@1 {note['fresh_recall_at_1']:.1f} on a fresh test set" in verified.output
    assert note["fresh_seed"] not in (score.seed, None)


def plant(network: Network, split: Split, patch: pytest.MonkeyPatch) -> None:
    """Have Image only return the features of the target where it knows source and text, elsewhere those of the source.

    The table is of the network's own encoders, which say the same of an image and a text at every time.
    """
    accelerator = make_accelerator("cpu", "fp32")
    everything = np.arange(len(split.queries))
    ((image, text),) = encode_queries(network, split, [everything], accelerator=accelerator)
    with torch.inference_mode():
        targets = network.encode_images(
            ImageStore(split.gallery[split.queries.targets], accelerator.device).everything()
        )
    known = _key(image, text)

    def forward(self: ImageOnly, image: Tensor, text: TextFeatures) -> Tensor:  # noqa: ARG001
        distance, place = torch.cdist(_key(image, text), known).min(dim=1)
        is_known = (distance < 1e-3).view(-1, *[1] * (image.ndim - 1))
        return torch.where(is_known, targets[place], image)

    patch.setattr(ImageOnly, "forward", forward)


def _key(image: Tensor, text: TextFeatures) -> Tensor:
    """(B, features) of a source image and a text."""
    return torch.cat([image.flatten(1), text.pooled], dim=1)


def cheat(bench: Bench, patch: pytest.MonkeyPatch) -> StoredRecord:
    """The record of a composer that knows the answers to the test split, and to nothing else."""
    (finished,) = runs(bench, ("image_only", "css", 0))
    record = finished.record
    assert record is not None
    assert record.checkpoint is not None
    network = Checkpoint.read(Path(record.checkpoint.path)).network()
    dataset = opened("css", bench.places)
    plant(network, dataset.test, patch)
    accelerator = make_accelerator("cpu", "fp32")
    outcomes = evaluate(network, dataset.test, accelerator=accelerator, batch_size=64).outcomes
    sets = FreshTestSets()
    test_set = sets.of(dataset, image_size=16, reporter=bench.reporter)
    assert test_set is not None
    fresh = test_set.score(evaluate(network, test_set.split, accelerator=accelerator, batch_size=64).outcomes)
    changed = record.model_copy(
        update={
            "metrics": metrics_of(outcomes),
            "ranks": record.ranks.model_copy(update={"sha256": sha256(encode(outcomes))}),
            "checkpoint": stored_file(Path(record.checkpoint.path)),
            "fresh": fresh,
            "examples": (),
        }
    )
    return read_stored(save_record(changed, outcomes, bench.records, replace=True))


def test_a_cheat_is_marked_and_refused(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render(tmp_path / "css", Configuration(images=600, size=16), jobs=1)  # enough source scenes to tell
    bench = replace(bench, places={"css": tmp_path / "css"})
    with FreshTestSets() as sets:
        (honest,) = runs(replace(bench, fresh=sets))
    stored = cheat(bench, monkeypatch)
    assert stored.record.metrics.recall[1] > 60
    assert stored.record.fresh is not None
    assert stored.record.fresh.recall[1] < 20
    assert honest.record is not None
    path = honest.run.identity.find(bench.records)
    assert path is not None
    sound = read_stored(path)
    rows = {row.composer.name: row for row in build([stored, sound])[0].rows}
    assert rows["image_only"].is_doubtful
    assert not rows["tirg"].is_doubtful

    resources = Resources(
        places=bench.places, runtime=bench.runtime, reporter=bench.reporter, runs=bench.runs, tier=None
    )
    right, wrong = verify_records([sound, stored], resources)
    assert (str(right.tier), wrong.tier) == ("re-scored", None)
    assert right.fresh is not None
    assert right.fresh.seed != sound.record.fresh.seed  # type: ignore[union-attr]
    assert f"{right.fresh.recall[1]:.1f} on a fresh test set" in right.note
    assert str(stored.path) in wrong.note
    assert "on a fresh test set" in wrong.note


@pytest.mark.usefixtures("forked_submissions")
def test_that_of_a_submission_is_drawn_after_training_and_gone_before_its_questions(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(module.tempfile, "tempdir", str(temporary))
    steps: list[str] = []

    def noted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def noting(*given: object, **named: object) -> object:
            images = [*temporary.glob("tirg-bench-fresh-*")]
            steps.append(f"{name} with {len(images)} renderings")
            return call(*given, **named)

        return noting

    for place, name in ((submitted_run, "train"), (submitted_run, "answer"), (module, "render_fresh_test")):
        monkeypatch.setattr(place, name, noted(name, getattr(place, name)))
    file = tmp_path / "mine.py"
    file.write_text(source())
    request = submission.Request(
        candidate=candidates.find(str(file)), author="A", url="https://example.org", dataset_names=("css",),
        seeds=(0, 1), bench=replace(bench, runtime=Runtime(batch_size=16, validate_every=0)),
        tier=SandboxTier.PROCESS, seconds=60, memory_mib=4_096, replaces=False,
    )  # fmt: skip
    paths = submission.submit(request, submission.check_first(request, lambda found: None))  # noqa: ARG005
    # The new folder of the rendering itself is there when it begins.
    one_run = ["train with 0", "answer with 0", "render_fresh_test with 1", "answer with 0"]
    assert steps == [f"{step} renderings" for step in one_run * 2]
    first, second = (read_stored(path).record.fresh for path in paths)
    assert first is not None
    assert second is not None
    assert first.seed != second.seed, "the first run's record holds its seed, which the second could read"
