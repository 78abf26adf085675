"""From a file to rows, with a recipe of seconds: the same as our own runs, complete or not at all, hostile or not."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import models
from benchmark.errors import UsageError
from benchmark.leaderboard.files import load_records, stale_tables, write_leaderboards
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.records.store import read_stored, validate_record
from benchmark.runs.single_run import Bench, make_record
from benchmark.submissions import candidates, submitted_run
from benchmark.submissions import submit as submission
from benchmark.submissions.process import SubmissionError
from benchmark.submissions.sandbox import SandboxTier
from benchmark.tasks.css import Css
from benchmark.training.progress import SilentRuns
from tests.benchmark.submissions.conftest import Submit, tiers
from tests.benchmark.submissions.sources import source


def published(root: Path) -> list[str]:
    """What stands on the leaderboards."""
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.name[0] != "."
    )


@pytest.mark.parametrize("tier", tiers())
def test_a_submission_becomes_rows(tier: SandboxTier, submit: Submit, bench: Bench) -> None:
    (path,) = submit(source(), tier=tier)
    assert validate_record(path) == []
    record = read_stored(path).record
    assert record.composer.name == "mine"
    assert record.submission is not None
    assert record.submission.author == "A. Author"
    assert record.submission.sandbox == tier.value
    assert record.parameters.composer == 128 * 8 + 128
    assert (bench.leaderboards / "submissions/mine/mine.py").read_text() == source()
    written = write_leaderboards(bench.records, bench.leaderboards)
    assert written.problems == ()
    page = (bench.leaderboards / "css.md").read_text()
    assert "Mine" in page
    assert "submitted by A. Author" in page
    file = bench.leaderboards / "submissions/mine/mine.py"
    file.write_text(source() + "\n# harmless\n")
    stored, problems = load_records(bench.records)
    assert stored == []
    assert f"{file.resolve()}: is not the code that {path} was made with" in problems[0]
    file.unlink()
    assert "cannot be read" in load_records(bench.records)[1][0]


@pytest.mark.usefixtures("forked_submissions")
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tirg", []),
        *(pytest.param(name, [], marks=pytest.mark.slow) for name in ("concat", "lgli", "compose_ae")),
        pytest.param("tirg", ["training.exchange_channels=true", "training.read_shapes=0.5"], marks=pytest.mark.slow),
    ],
)
def test_it_is_trained_and_scored_as_our_own_are(
    name: str, changes: list[str], submit: Submit, small: Bench, css: Css, tmp_path: Path
) -> None:
    """A copy of a composer of ours, submitted, is that composer: every rank, to the last digit of the loss."""
    small = replace(small, base=override(small.base, changes))
    ours = (Path(models.__file__).parent / "composers" / f"{name}.py").read_text()
    copied = ours.replace("@register\n", "").replace(f'name="{name}"', f'name="{name}_again"')
    (path,) = submit(copied, bench=small)
    theirs = read_stored(path)
    own_bench = replace(small, leaderboards=tmp_path / "own")
    record = make_record(Run("css", name, small.base, 0, css.fingerprint, css.spatial), css, own_bench, name)
    own = read_stored(next((tmp_path / "own" / "records").rglob("*.json")))
    assert theirs.record.training.final_loss == record.training.final_loss
    assert theirs.record.parameters == record.parameters
    np.testing.assert_array_equal(theirs.outcomes.ranks, own.outcomes.ranks)
    np.testing.assert_array_equal(theirs.outcomes.top1, own.outcomes.top1)


LATE = "if image.shape[-2:] == (2, 2) and not self.training:"
"""Not in the check, whose maps have other sizes, but when the test queries are asked."""

HOSTILE = {
    "NaN after training": (
        f"{LATE} composed = composed * float('nan')",
        "gave NaN or infinity for its composed features",
    ),
    "another shape": (f"{LATE} composed = composed[:, :, :1]", "expected features of shape (1, 128, 2, 2)"),
    "keeps state": (
        f"self.asked = getattr(self, 'asked', 0) + 1\n{LATE} composed = composed + self.asked * torch.randn(1)",
        "gave another answer to a test query in another process",
    ),
    "a cache of what it was asked": (
        f"""
        {LATE}
            self.seen = getattr(self, 'seen', {{}})
            composed = self.seen.setdefault(image.sum().item(), composed + len(self.seen))
        """,
        "gave another answer to a test query in another process",
    ),
    "overflows": (f"{LATE} composed = composed * 0 + 3e38", "its answers cannot be scored"),
    "sleeps": (f"import time\n{LATE} time.sleep(100)", "took longer than 25 seconds"),
    "crashes": (f"import os\n{LATE} os.abort()", "its process crashed (SIGABRT)"),
    "a training that ends early": (
        "if self.training and len(image) == 6: raise SystemExit(0)",
        "it called sys.exit(0)",
    ),
}


@pytest.mark.slow
@pytest.mark.usefixtures("forked_submissions")
@pytest.mark.parametrize("name", HOSTILE)
def test_what_goes_wrong_later_leaves_the_leaderboards_alone(name: str, submit: Submit, bench: Bench) -> None:
    in_forward, expected = HOSTILE[name]
    with pytest.raises(SubmissionError) as found:
        submit(source(in_forward=in_forward), seconds=25.0 if name == "sleeps" else 60.0)
    assert expected in str(found.value)
    assert published(bench.leaderboards) == []


BATCH_STATISTICS = """
if image.shape[-2:] == (2, 2) and not self.training:
    composed = composed - composed.mean(0)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("forked_submissions")
def test_statistics_of_the_test_queries_are_those_of_one_query(submit: Submit) -> None:
    """Each is asked alone: less the mean of its batch, nothing of its answer is left."""
    (path,) = submit(source(name="centred", in_forward=BATCH_STATISTICS))
    late = "if image.shape[-2:] == (2, 2) and not self.training: composed = 0 * composed"
    (zero,) = submit(source(name="zero", in_forward=late))
    np.testing.assert_array_equal(read_stored(path).outcomes.ranks, read_stored(zero).outcomes.ranks)


HUNTING = """
if self.training and len(image) == 6 and not hasattr(self, "looked"):
    import gc, sys
    self.looked = True
    modules = [name for name in sys.modules if name.startswith(("css_gen", "benchmark.datasets", "benchmark.training"))]
    tensors = [each for each in gc.get_objects() if isinstance(each, torch.Tensor) and each.ndim == 4]
    images = [each.shape for each in tensors if each.shape[1] == 3]
    if modules or images: raise ValueError(f"found {modules} {images}")
"""


@pytest.mark.usefixtures("forked_submissions")
def test_there_is_no_data_in_its_process(submit: Submit) -> None:
    submit(source(in_forward=HUNTING))


@pytest.mark.slow
@pytest.mark.usefixtures("forked_submissions")
def test_what_was_made_is_not_made_again(submit: Submit) -> None:
    (path,) = submit(source())
    before = path.read_text()
    paths = submit(source(), seeds=(0, 1), author="A. N. Other")
    assert len(paths) == 2
    again = read_stored(path).record
    assert again.submission is not None
    assert again.submission.author == "A. N. Other"
    assert (
        before.replace("A. Author", "A. N. Other").partition('"sha256"')[0] == path.read_text().partition('"sha256"')[0]
    )


def test_a_name_belongs_to_its_code(tmp_path: Path) -> None:
    code = source().encode()
    submission.require_free("mine", code, tmp_path)
    submitted_run.keep_source(code, "mine", tmp_path)
    submission.require_free("mine", code, tmp_path)
    with pytest.raises(UsageError, match="the name 'mine' belongs to other code"):
        submission.require_free("mine", code + b"# better", tmp_path)
    submission.require_free("mine", code + b"# better", tmp_path, replaces=True)
    with pytest.raises(UsageError, match="the name 'tirg' belongs to a composer in models/"):
        submission.require_free("tirg", code, tmp_path, replaces=True)
    (tmp_path / "records/css/unsubmitted").mkdir(parents=True)
    (tmp_path / "records/css/unsubmitted/quick-s0.json").write_text("{}")
    with pytest.raises(UsageError, match="has records without code"):
        submission.require_free("unsubmitted", code, tmp_path)


@pytest.mark.parametrize(
    ("author", "url", "expected"),
    [
        ("=SUM(A1)", "https://example.org", "--author '=SUM(A1)': expected a name on one line"),
        ("two\nlines", "https://example.org", "expected a name on one line"),
        ("", "https://example.org", "expected a name on one line"),
        (
            "A",
            "javascript:alert(1)",
            "--url 'javascript:alert(1)': expected an address such as https://example.org/paper",
        ),
    ],
)
def test_what_does_not_fit_into_a_record(author: str, url: str, expected: str) -> None:
    with pytest.raises(UsageError) as found:
        submission.require_valid(author, url)
    assert expected in str(found.value)


def _submit_and_publish(name: str, file: Path, bench: Bench) -> None:
    file.write_text(source(name=name))
    request = submission.Request(
        candidate=candidates.find(str(file)),
        author="A. Author",
        url="https://example.org",
        dataset_names=("css",),
        seeds=(0,),
        bench=bench,
        tier=SandboxTier.PROCESS,
        seconds=120.0,
        memory_mib=4_096,
    )
    submission.submit(request, submission.check_first(request, lambda found: None))  # noqa: ARG005
    write_leaderboards(bench.records, bench.leaderboards)


@pytest.mark.slow
@pytest.mark.usefixtures("forked_submissions")
def test_a_new_version_replaces_the_old_one(submit: Submit, bench: Bench) -> None:
    submit(source(), seeds=(0, 1))
    better = source() + "\n# better\n"
    with pytest.raises(UsageError, match="say --replace"):
        submit(better)
    (path,) = submit(better, replaces=True)
    assert [run.path for run in load_records(bench.records)[0]] == [path]
    assert load_records(bench.records)[1] == []
    assert (bench.leaderboards / "submissions/mine/mine.py").read_text() == better


@pytest.mark.slow
def test_two_submissions_at_the_same_time_both_land(small: Bench, tmp_path: Path) -> None:
    bench = replace(small, reporter=SilentRuns())
    spawn = multiprocessing.get_context("spawn")
    at_work = [
        spawn.Process(target=_submit_and_publish, args=(name, tmp_path / f"{name}.py", bench))
        for name in ("one", "two")
    ]
    for each in at_work:
        each.start()
    for each in at_work:
        each.join()
    assert [each.exitcode for each in at_work] == [0, 0]
    stored, problems = load_records(bench.records)
    assert problems == []
    assert sorted(run.record.composer.name for run in stored) == ["one", "two"]
    assert stale_tables(stored, bench.records, bench.leaderboards) == []
