"""`tirg-bench rerank` on real models: commit, reveal, score, resume, and what `verify` says of edited results."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmark.cli.main import main
from benchmark.recipe import presets
from benchmark.recipe.schema import Recipe
from benchmark.records.rerankings import Reranking, read
from benchmark.records.seed_commitments import NAME, SecretSeed, commit
from benchmark.records.store import load_record
from benchmark.runs import fresh
from benchmark.scoring.evaluation import Evaluation
from benchmark.submissions import sandbox
from benchmark.submissions.sandbox import SandboxTier
from benchmark.verification import reranking as module
from css_gen.storage.configuration import Configuration
from css_gen.storage.manifest import Manifest, read_manifest
from tests.benchmark.cli.invoking import TirgBench
from tests.benchmark.submissions.sources import source
from tests.benchmark.tiny import TINY

SECRET = "test-seed-secret.json"
COMPOSERS = ("concat", "film", "tirg")
BOARDS = Path("leaderboards")


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def ran(places: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records and models of three composers on css, and of one on a track."""
    root = tmp_path_factory.mktemp("rerank")
    data = [f"--data={name}={places[name]}" for name in ("css", "css-systematic")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for task, composers in (("css", COMPOSERS), ("css-systematic", ("tirg",))):
            chosen = [f"--composer={name}" for name in composers]
            result = invoke("run", f"--dataset={task}", *chosen, *data, "--no-fresh", *TINY)
            assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def tirg_bench(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TirgBench:
    """Run `tirg-bench` in a copy of that folder, which is the current one and has a committed seed."""
    shutil.copytree(ran, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    commit(SecretSeed(seed=11, salt="5a" * 32, tasks=("css",)), Path(SECRET), BOARDS / NAME)
    return invoke


def the_result(task: str = "css") -> Reranking:
    (path,) = (BOARDS / "reranked").glob(f"{task}-????????.json")
    found = read(path)
    assert found is not None
    return found


def the_table(task: str = "css", ending: str = "csv") -> Path:
    (path,) = (BOARDS / "reranked").glob(f"{task}-????????.{ending}")
    return path


def the_lines() -> list[dict[str, str]]:
    return list(csv.DictReader(the_table().read_text().splitlines()))


def the_model(composer: str, task: str = "css") -> Path:
    (path,) = Path("runs", task, composer).rglob("model.safetensors")
    return path


def everything() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((BOARDS / "reranked").iterdir())}


@pytest.fixture
def original(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the dataset itself in place of a rendering of its seed, which css-gen refuses to call fresh."""

    def copied(root: Path, configuration: Configuration, *, seed: int, **_: object) -> Manifest:
        assert seed == configuration.seed
        shutil.copytree(places["css"], root, dirs_exist_ok=True)
        return read_manifest(root)

    monkeypatch.setattr(fresh, "render_fresh_test", copied)


@pytest.mark.usefixtures("original")
def test_the_board_s_own_seed_gives_the_board_s_recall_and_ranks(tirg_bench: TirgBench) -> None:
    commit(SecretSeed(seed=3, salt="5b" * 32, tasks=("css",)), Path("own.json"), BOARDS / NAME)
    result = tirg_bench("rerank", "--reveal", "own.json", "--device=cpu")
    assert result.exit_code == 0, result.output
    for run in the_result().runs:
        (path,) = (BOARDS / "records/css" / run.composer).glob("*.json")
        assert run.revealed is not None
        assert run.own.recall == run.revealed.recall == load_record(path).metrics.recall
        assert run.own == run.revealed
    lines = the_lines()
    assert len(lines) == len(COMPOSERS)
    assert all(line["rank"] == line["revealed_rank"] != "" for line in lines)
    assert tirg_bench("verify", "--quick").exit_code == 0


def test_it_is_refused_where_it_is_rendered(tirg_bench: TirgBench) -> None:
    commit(SecretSeed(seed=3, salt="5b" * 32, tasks=("css",)), Path("own.json"), BOARDS / NAME)
    result = tirg_bench("rerank", "--reveal", "own.json", "--device=cpu")
    assert result.exit_code == 1
    assert "seed 3 is the dataset's own, so that its test split would not be fresh" in result.stderr


def test_a_missing_model_is_listed_and_scored_once_it_is_there(
    tirg_bench: TirgBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = the_model("film").parents[1].rename("film")
    result = tirg_bench("rerank", "--reveal", SECRET, "--device=cpu")
    assert result.exit_code == 0, result.output
    assert "2 of 3 models scored" in result.stdout
    lines = {line["composer"]: line for line in the_lines()}
    assert (lines["film"]["revealed_recall_1"], lines["film"]["note"]) == ("", "seed 0: no checkpoint")
    assert {lines[name]["revealed_rank"] for name in ("concat", "tirg")} == {"1", "2"}
    assert "seed 0: no checkpoint" in the_table(ending="md").read_text()
    first = {run.composer: run.revealed for run in the_result().runs if run.revealed}

    Path("models/css/film").mkdir(parents=True)
    shutil.copytree(elsewhere, "models/css/film", dirs_exist_ok=True)
    scored = counted(monkeypatch)
    again = tirg_bench("rerank", "--runs=models", "--device=cpu")
    assert again.exit_code == 0, again.output
    assert "3 of 3 models scored" in again.stdout
    assert scored == ["film"], "the others are kept"
    assert first.items() <= {run.composer: run.revealed for run in the_result().runs}.items()


def counted(monkeypatch: pytest.MonkeyPatch, *, stop_after: int = 99) -> list[str]:
    """The composers that are evaluated from now on; the one after so many is interrupted."""
    seen: list[str] = []
    evaluate: Callable[..., Evaluation] = module.evaluate_checkpoint

    def counting(stored, *others):  # type: ignore[no-untyped-def]
        if len(seen) == stop_after:
            raise KeyboardInterrupt
        seen.append(stored.record.composer.name)
        return evaluate(stored, *others)

    monkeypatch.setattr(module, "evaluate_checkpoint", counting)
    return seen


def test_an_interrupted_ranking_resumes_to_the_same_bytes(
    tirg_bench: TirgBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(fresh.tempfile, "tempdir", str(temporary))
    with pytest.MonkeyPatch.context() as patch:
        assert counted(patch, stop_after=1) == []
        stopped = tirg_bench("rerank", "--reveal", SECRET, "--device=cpu")
    assert stopped.exit_code == 130
    assert sum(run.unscored == "not scored yet" for run in the_result().runs) == 2
    with pytest.MonkeyPatch.context() as patch:
        scored = counted(patch)
        assert tirg_bench("rerank", "--device=cpu").exit_code == 0
    assert len(scored) == 2
    resumed = everything()
    shutil.rmtree(BOARDS / "reranked")
    assert tirg_bench("rerank", "--device=cpu").exit_code == 0
    assert everything() == resumed
    assert not [*temporary.iterdir()]


def test_a_hard_track_is_scored_as_css_is_whatever_becomes_of_another_task(tirg_bench: TirgBench) -> None:
    drawn = tirg_bench("rerank", "--commit=second.json", "--dataset=css-chain", "--dataset=css_systematic")
    assert drawn.exit_code == 0, drawn.output
    result = tirg_bench("rerank", "--reveal=second.json", "--device=cpu")
    assert result.exit_code == 1
    assert "left out: leaderboards/records/css-chain: there is no record" in result.stderr
    assert "1 of 1 models scored" in result.stdout
    (run,) = the_result("css-systematic").runs
    assert run.revealed is not None
    assert run.revealed.seed == json.loads(Path("second.json").read_text())["seed"]
    assert run.revealed.fingerprint != run.own.fingerprint
    assert tirg_bench("verify", "--quick").exit_code == 0


@pytest.mark.usefixtures("forked_submissions")
def test_submitted_code_runs_in_its_sandbox(
    tirg_bench: TirgBench, css_root: Path, tiny_config: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "tiny": tiny_config})
    monkeypatch.setattr(sandbox, "best_tier", lambda: SandboxTier.PROCESS)
    Path("mine.py").write_text(source())
    about = [
        "--author=Me",
        "--url=https://example.org",
        "--dataset=css",
        f"--data=css={css_root}",
        "--seeds=1",
        "--preset=tiny",
    ]
    submitted = tirg_bench("submit", "mine.py", *about)
    assert submitted.exit_code == 0, submitted.output
    result = tirg_bench("rerank", "--reveal", SECRET, "--device=cpu")
    assert result.exit_code == 0, result.output
    assert "submitted code runs in a process of its own" in result.stderr
    ours, mine = (
        [run for run in the_result().runs if (run.composer == "mine") is is_mine] for is_mine in (False, True)
    )
    assert [(run.sandbox, run.unscored) for run in mine] == [("process", "")]
    assert {run.sandbox for run in ours} == {None}
    assert "ran in process" in the_table().read_text()


def other_seed() -> None:
    path = BOARDS / NAME
    path.write_text(path.read_text().replace('"seed": 11', '"seed": 12'))


def no_commitment() -> None:
    (BOARDS / NAME).unlink()


def better_recall() -> None:
    path = the_table(ending="csv").with_suffix(".json")
    values = json.loads(path.read_text())
    values["runs"][0]["own"]["recall"] |= dict.fromkeys(("1", "5", "10", "50"), 100.0)
    path.write_text(json.dumps(values))


def edited_page() -> None:
    the_table(ending="md").write_text(the_table(ending="md").read_text().replace("TIRG", "Best"))


def edited_csv() -> None:
    the_table().write_text(the_table().read_text().replace("quick", "standard"))


def test_verify_names_what_was_edited(tirg_bench: TirgBench) -> None:
    assert tirg_bench("rerank", "--reveal", SECRET, "--device=cpu").exit_code == 0
    assert tirg_bench("verify", "--quick").exit_code == 0
    shutil.copytree(BOARDS, "sound")
    expected = {
        other_seed: "is not the one committed to",
        no_commitment: "has not revealed its seed, or another one",
        better_recall: "says R@1 100.0 of concat, its record has",
        edited_page: ".md: is not what css-",
        edited_csv: ".csv: is not what css-",
    }
    for edit, what in expected.items():
        edit()
        result = tirg_bench("verify", "--quick")
        assert result.exit_code == 1, edit
        assert what in result.stderr
        shutil.rmtree(BOARDS)
        shutil.copytree("sound", BOARDS)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--commit=a.json", "--reveal=a.json"], 2, "--commit and --reveal exclude each other"),
        (["--commit=a.json"], 2, "say for which tasks, with --dataset NAME"),
        (["--commit=a.json", "--dataset=mit-states"], 2, "--dataset mit-states: its images are not rendered"),
        (["--commit=a.json", "--dataset=cs"], 2, "unknown dataset 'cs': did you mean css"),
        ([f"--commit={SECRET}", "--dataset=css"], 2, f"{SECRET}: exists, and may hold the secret"),
        (["--reveal=nowhere.json"], 1, "nowhere.json: cannot be read (No such file"),
        ([], 1, "leaderboards/test-seeds.json: holds no revealed seed"),
        ([f"--reveal={SECRET}", "--dataset=css-chain"], 2, "--dataset css-chain: no revealed seed"),
        ([f"--reveal={SECRET}", "--out=nowhere"], 1, "which nowhere/test-seeds.json does not have"),
    ],
)
def test_bad_input_ends_in_one_line(arguments: list[str], code: int, expected: str, tirg_bench: TirgBench) -> None:
    result = tirg_bench("rerank", *arguments)
    assert (result.exit_code, expected in result.stderr) == (code, True), result.output
    assert result.stderr.count("\n") == 1
    assert not Path("a.json").exists()


@pytest.mark.skipif(not shutil.which("git"), reason="there is no git")
def test_a_secret_that_git_would_track_is_refused(tirg_bench: TirgBench) -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    Path(".gitignore").write_text("ignored*.json\n")
    refused = tirg_bench("rerank", "--commit=mine.json", "--dataset=css")
    assert refused.exit_code == 2
    assert "mine.json: git does not ignore this file" in refused.stderr
    assert not Path("mine.json").exists()
    assert tirg_bench("rerank", "--commit=ignored.json", "--dataset=css").exit_code == 0
