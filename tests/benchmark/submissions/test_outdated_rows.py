"""A submission whose row or whose unfinished run was made by other code."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.records.store import ComposerCard, StoredRecord, Submission, read_stored, save_record
from benchmark.runs.grid import plan, run_all
from benchmark.runs.single_run import CHECKPOINT_NAME, Bench
from benchmark.submissions import sandboxed_run
from benchmark.submissions import submit as submission
from benchmark.submissions.messages import Candidate
from benchmark.submissions.sandbox import SandboxTier
from benchmark.submissions.sandboxed_run import Box
from benchmark.submissions.submitted_run import Entry, keep_source
from benchmark.tasks.css import Css
from benchmark.training.checkpoint import Checkpoint, Code
from benchmark.training.progress import SilentRuns
from tests.benchmark.submissions.sources import source

SOURCE = source(name="mine").encode()
ABOUT = Submission(
    author="A", url="https://example.org", source_sha256=submission.sha256(SOURCE), sandbox=SandboxTier.PROCESS.value
)
Prepared = tuple[submission.Request, Entry, list[int]]
CARD = ComposerCard(name="mine", title="Mine", paper="None", year=2026, url="https://example.org")


@pytest.fixture(scope="module")
def of_ours(
    places: dict[str, Path], tiny_config: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> tuple[StoredRecord, ...]:
    """Records of two seeds, which only have to be renamed to be those of a submission."""
    root = tmp_path_factory.mktemp("ours")
    bench = Bench(
        base=tiny_config,
        runtime=Runtime(validate_every=0), reporter=SilentRuns(), places=places,
        leaderboards=root / "leaderboards", runs=root / "runs",
    )  # fmt: skip
    list(run_all(plan(["image_only"], ["css"], [0, 1], bench), bench))
    return tuple(read_stored(path) for path in sorted(bench.records.rglob("*.json")))


def as_submitted(stored: StoredRecord, root: Path, *, code: str | None = None) -> StoredRecord:
    """Write the record under `root` as one of the submission; `code` is another version that it was made by."""
    record = stored.record
    environment = record.environment.model_copy(update={"code_version": code or record.environment.code_version})
    composer = record.model_copy(
        update={
            "composer": CARD, "composer_sha256": ABOUT.source_sha256, "submission": ABOUT, "environment": environment,
        }
    )  # fmt: skip
    keep_source(SOURCE, "mine", root)
    return read_stored(save_record(composer, stored.outcomes, root / "records", replace=True))


@pytest.fixture
def prepared(
    bench: Bench, tmp_path: Path, of_ours: tuple[StoredRecord, ...], monkeypatch: pytest.MonkeyPatch
) -> Prepared:
    trained: list[int] = []

    def make(run: Run, dataset: Dataset, *_: object) -> StoredRecord:  # noqa: ARG001
        trained.append(run.seed)
        return as_submitted(of_ours[run.seed], tmp_path / "home")

    monkeypatch.setattr(submission, "make_record", make)
    candidate = Candidate(shown="mine.py", file="mine.py", name="mine")
    entry = Entry(candidate=candidate, card=CARD, about=ABOUT, source=SOURCE, home=tmp_path / "home")
    request = submission.Request(
        candidate=candidate, author="A", url="https://example.org", dataset_names=("css",), seeds=(0, 1), bench=bench,
        tier=SandboxTier.PROCESS, seconds=60, memory_mib=4096,
    )  # fmt: skip
    (tmp_path / "home").mkdir()
    return request, entry, trained


def test_an_outdated_row_is_refused_before_training(
    prepared: Prepared, bench: Bench, of_ours: tuple[StoredRecord, ...]
) -> None:
    request, entry, trained = prepared
    old = as_submitted(of_ours[1], bench.leaderboards, code="0" * 64)
    before = old.path.read_bytes()
    with pytest.raises(BenchmarkError, match=r"is a record of other code .*; say --replace to make it again"):
        submission.submit(request, entry)
    assert trained == []
    assert [path.read_bytes() for path in bench.records.rglob("*.json")] == [before]
    assert len(submission.submit(replace(request, replaces=True), entry)) == 2
    assert trained == [0, 1]
    assert old.path.read_bytes() != before


def test_a_row_of_the_same_code_is_kept(prepared: Prepared, bench: Bench, of_ours: tuple[StoredRecord, ...]) -> None:
    """Also where the folder of runs is gone: on another machine the same training could give other ranks."""
    request, entry, trained = prepared
    before = as_submitted(of_ours[1], bench.leaderboards).path.read_bytes()
    paths = submission.submit(request, entry)
    assert trained == [0]
    assert paths[1].read_bytes() == before


class Heard(SilentRuns):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


class ProcessError(Exception):
    pass


@pytest.mark.parametrize(("code", "expected"), [("before", "resumes after step 3"), ("after", "starts over")])
def test_a_state_of_other_code_is_not_resumed(
    code: str, expected: str, css: Css, tiny_config: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    box = Box(
        candidate=Candidate(shown="mine.py", file="mine.py", name="mine"),
        tier=SandboxTier.PROCESS, runtime=Runtime(), reporter=heard, seconds=60, memory_mib=4096,
    )  # fmt: skip
    run = Run("css", "mine", tiny_config, 0, css.fingerprint, css.spatial)
    Checkpoint(run, {}, 3, 0.0, {"model.weight": torch.zeros(1)}, Code("before", "mine")).write(
        tmp_path / CHECKPOINT_NAME
    )

    def dies(*_: object, **__: object) -> None:
        raise ProcessError

    monkeypatch.setattr(sandboxed_run.sandbox, "started", dies)
    with pytest.raises(ProcessError):
        sandboxed_run.train(box, css.train, css.test, run, folder=tmp_path, title="mine", code=Code(code, "mine"))
    (message,) = heard.messages
    assert expected in message
