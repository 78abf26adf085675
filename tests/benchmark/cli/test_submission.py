"""`tirg-bench new`, `check` and `submit` as a person types them, and the five steps of CONTRIBUTING.md."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

import benchmark
from benchmark.cli.main import main
from benchmark.errors import UsageError
from benchmark.recipe import presets
from benchmark.recipe.schema import Recipe
from benchmark.submissions import sandbox
from benchmark.submissions.sandbox import SandboxTier
from benchmark.submissions.submit import Request
from tests.benchmark.submissions.sources import source

TirgBench = Callable[..., Result]
ROOT = Path(benchmark.__file__).parents[1]


@pytest.fixture
def tirg_bench(
    tmp_path: Path,
    css_root: Path,
    tiny_config: Recipe,
    forked_submissions: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> TirgBench:
    """Run `tirg-bench` in this process, in a folder with data/css, where the leaderboard's recipe takes seconds."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/css").symlink_to(css_root)
    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "tiny": tiny_config})
    monkeypatch.setattr(presets, "default_preset", lambda device: "tiny")  # noqa: ARG005
    monkeypatch.setattr(sandbox, "best_tier", lambda: SandboxTier.PROCESS)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


def test_new_writes_a_short_composer_that_passes(tirg_bench: TirgBench) -> None:
    made = tirg_bench("new", "Gated-Residual 2.py")
    assert made.exit_code == 0, made.output
    assert "next: tirg-bench check 'Gated-Residual 2.py'" in made.stdout
    text = Path("Gated-Residual 2.py").read_text()
    assert len(text.splitlines()) < 30
    assert "class GatedResidual2(Composer):" in text
    assert 'name="gated_residual_2"' in text
    checked = tirg_bench("check", "Gated-Residual 2.py")
    assert checked.exit_code == 0, checked.output
    assert checked.stdout.count(" ok  ") == 11
    assert "keeps the contract; next: tirg-bench submit 'Gated-Residual 2.py'" in checked.stdout
    again = tirg_bench("new", "Gated-Residual 2.py")
    assert again.exit_code == 2
    assert "already exists" in again.stderr


@pytest.mark.parametrize("name", ["composer.txt", "7up.py", "___.py"])
def test_new_wants_a_name_that_can_be_one(name: str, tirg_bench: TirgBench) -> None:
    result = tirg_bench("new", name)
    assert result.exit_code == 2
    assert f"{name}: expected a name such as my_composer.py" in result.stderr
    assert not Path(name).exists()


def test_new_says_if_it_cannot_write(tirg_bench: TirgBench) -> None:
    result = tirg_bench("new", "nowhere/mine.py")
    assert result.exit_code == 1
    assert "nowhere/mine.py: cannot be written (No such file or directory)" in result.stderr


def test_check_says_what_fails(tirg_bench: TirgBench) -> None:
    Path("mine.py").write_text(source(in_forward="composed = composed - composed.mean(0)"))
    result = tirg_bench("check", "mine.py")
    assert result.exit_code == 1
    assert "FAILS  a row depends on its own query alone" in result.stdout
    assert "expected the same output for a query whatever else is in its batch" in result.stdout
    assert "mine.py: does not keep 1 of the contract's points" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["submit", "mine.py"], 2, "Missing option '--author'"),
        (["submit", "mine.py", "--author=A", "--url=x"], 2, "--url 'x': expected an address such as"),
        (["submit", "mine.py", "--author=A", "--url=https://x.org", "--dataset=cs"], 2, "unknown dataset 'cs'"),
        (["submit", "mine.py", "--author=A", "--url=https://x.org", "--preset=quik"], 2, "did you mean quick"),
        (["submit", "mine.py", "--author=A", "--url=https://x.org", "--seeds=0"], 2, "names no seed"),
        (
            ["submit", "mine.py", "--author=A", "--url=https://x.org", "--out=mine.py"],
            1,
            "mine.py cannot be written to",
        ),
        (["submit", "mine.py", "--author=A", "--url=https://x.org", "--dataset=mit-states"], 2, "there is no folder"),
        (["submit", "mine.py", "--author=A", "--url=https://x.org", "--compile"], 2, "No such option"),
        (["new", "tirg.py"], 2, "tirg.py: models/ has a composer called tirg; choose another name"),
        (["check", "absent.py"], 2, "there is no such file"),
        (["check", "mine.py:Yours"], 1, "mine.py: no composer Yours is defined in it; its composers: Mine"),
        (["check", "--sandbox=bubblewrap", "mine.py"], 2, "bwrap is not installed"),
        (
            ["submit", "tirg.py", "--author=A", "--url=https://x.org"],
            1,
            "the name 'tirg' belongs to models.composers.tirg.Tirg",
        ),
    ],
)
def test_bad_input_ends_in_one_line(arguments: list[str], code: int, expected: str, tirg_bench: TirgBench) -> None:
    Path("mine.py").write_text(source())
    Path("tirg.py").write_text(source(name="tirg"))
    result = tirg_bench(*arguments)
    assert result.exit_code == code, result.output
    assert expected in result.stderr.splitlines()[-1]
    assert not Path("leaderboards/records/css").exists()


@pytest.mark.parametrize("option", [["--skip-broken"], []])
def test_broken_images_are_skipped_when_asked(
    option: list[str], tirg_bench: TirgBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_first(request: Request, hear: object) -> None:  # noqa: ARG001
        raise UsageError(f"skips: {request.bench.skip_broken}")

    monkeypatch.setattr("benchmark.submissions.submit.check_first", check_first)
    Path("mine.py").write_text(source())
    result = tirg_bench("submit", "mine.py", "--author=A", "--url=https://x.org", "--dataset=css", *option)
    assert f"skips: {bool(option)}" in result.stderr


def test_rows_that_are_left_out_are_a_failure(tirg_bench: TirgBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with `run`: the tables are written, and the exit code says that they are not complete."""
    damaged = Path("leaderboards/records/css/tirg/tiny-00000000-s0-00000000.json")
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{}")
    Path("mine.py").write_text(source())
    entry = SimpleNamespace(card=SimpleNamespace(name="mine"))
    monkeypatch.setattr("benchmark.submissions.submit.check_first", lambda request, hear: entry)  # noqa: ARG005
    monkeypatch.setattr("benchmark.submissions.submit.submit", lambda request, entry: [])  # noqa: ARG005
    submitted = tirg_bench("submit", "mine.py", "--author=A", "--url=https://x.org", "--dataset=css")
    assert f"left out: {damaged}" in submitted.stderr
    assert submitted.exit_code == 1, submitted.output
    damaged.unlink()
    assert tirg_bench("submit", "mine.py", "--author=A", "--url=https://x.org", "--dataset=css").exit_code == 0


def five_steps() -> list[str]:
    """The commands of CONTRIBUTING's section, in its order."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.partition("## Add a composer in five steps")[2].partition("\n### ")[0]
    assert re.findall(r"^(\d)\.", section, re.MULTILINE) == ["1", "2", "3", "4", "5"]
    return [line.strip() for line in section.splitlines() if line.startswith("       tirg-bench ")]


def test_the_five_steps_of_contributing_work(tirg_bench: TirgBench) -> None:
    commands = five_steps()
    assert {shlex.split(command)[1] for command in commands} == {"new", "check", "submit", "compare", "verify"}
    ran = tirg_bench("run", "--composer=tirg", "--composer=text_only", "--dataset=css", "--preset=tiny")
    assert ran.exit_code == 0, ran.output
    said = {}
    for command in commands:
        words = [path for word in shlex.split(command)[1:] for path in sorted(Path().glob(word)) or [word]]
        result = tirg_bench(*words)
        assert result.exit_code == 0, f"{command}\n{result.output}"
        said[shlex.split(command)[1]] = result.stdout
    row = re.search(
        r"css, tiny: My composer is (\d) of 3: R@1 \S+, R@5 \S+, R@10 \S+, R@50 \S+; 1 seed", said["submit"]
    )
    assert row, said["submit"]
    neighbours = re.findall(r"  [+-][\d.]+ compared with (.+) \((\d)\), 95% interval \S+ to \S+, p \S+", said["submit"])
    place = int(row[1])
    assert [int(number) for _, number in neighbours] == [each for each in (place - 1, place + 1) if 1 <= each <= 3]
    assert ": re-scored" in said["verify"]
    assert "submitted by Your Name" in Path("leaderboards/css.md").read_text()
    source_text = Path("my_composer.py").read_text()
    assert Path("leaderboards/submissions/my_composer/my_composer.py").read_text() == source_text
    page = Path("leaderboards/site/composer/css/my_composer.html").read_text()
    assert "Submitted by" in page
    assert "class MyComposer(Composer):" in page
    assert tirg_bench("verify", "--quick").exit_code == 0


@pytest.mark.slow
def test_a_submission_is_verified_in_its_sandbox(tirg_bench: TirgBench) -> None:
    Path("mine.py").write_text(source())
    submitted = tirg_bench("submit", "mine.py", "--author=A", "--url=https://x.org", "--dataset=css", "--seeds=1")
    assert submitted.exit_code == 0, submitted.output
    (record,) = Path("leaderboards/records/css/mine").glob("*.json")
    scored = tirg_bench("verify", "--note", record)
    assert scored.exit_code == 0, scored.output
    assert f"{record}: re-scored" in scored.stdout
    assert "submitted code runs in a process of its own" in scored.stderr
    trained = tirg_bench("verify", "--retrain", "--note", record)
    assert trained.exit_code == 0, trained.output
    assert f"{record}: retrained: R@1" in trained.stdout
    assert "retrained" in Path("leaderboards/css.md").read_text()
    (model,) = Path("runs/submissions").rglob("model.safetensors")
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    swapped = tirg_bench("verify", record)
    assert swapped.exit_code == 0
    assert f"{record}: self-reported: the checkpoint at {model} is of another run" in swapped.stdout
    Path("leaderboards/submissions/mine/mine.py").write_text(source() + "#")
    edited = tirg_bench("verify", "--quick")
    assert edited.exit_code == 1
    assert "is not the code that" in edited.stderr
