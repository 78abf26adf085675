"""Data that only its owners distribute, through the command line: looked over, decoded, trained on, ranked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import models
from benchmark.cli.main import main
from benchmark.records.rankings import read_ranking
from benchmark.records.store import load_record
from tests.benchmark.folders import make_fashion200k, make_mit_states

TINY = (
    "data.image_size=16", "model.text_width=8", "model.state_width=8", "model.embedding_width=8", "training.steps=3",
    "training.sources=4", "training.modifications=2", "evaluation.held_out=0.2", "evaluation.every=2",
)  # fmt: skip
SETTINGS = [word for setting in TINY for word in ("--set", setting)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    make_fashion200k(root / "fashion200k", train=60, test=30, queries=20, seed=4)
    make_mit_states(root / "mitstates", images=2, seed=4, colours=3)
    return root


@pytest.fixture
def data(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `data` of a working folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, tmp_path / "data"))


def tirg_bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.usefixtures("data")
def test_both_run_end_to_end_and_write_their_leaderboards(tmp_path: Path) -> None:
    names = ("tirg", "film", "image_only")
    arguments = ["run", *(f"--composer={name}" for name in names), *SETTINGS, "--preset=quick", "--dataset=mit-states"]
    result = tirg_bench(*arguments, "--dataset=fashion200k")
    assert result.exit_code == 0, result.output
    for protocol in ("fashion200k", "mit-states"):
        text = (tmp_path / "leaderboards" / f"{protocol}.md").read_text()
        for name in names:
            assert f"| {models.registry.get(name).info.title.replace('_', ' ')} " in text.replace("\\_", " ")
        (path,) = (tmp_path / "leaderboards" / "records" / protocol / "tirg").glob("*.json")
        record = load_record(path)
        assert record.dataset.skipped == 0
        assert set(record.metrics.parts) == (set() if protocol == "fashion200k" else {"adjective", "noun"})
    assert tirg_bench(*arguments).output.count("has a record") == len(names)


def test_what_is_in_data_is_run_without_being_named(data: Path) -> None:
    from benchmark import tasks as datasets

    assert set(datasets.present_or_made({})) == {"css", "css-2d3d", "css-pooled", "fashion200k", "mit-states"}
    shutil.rmtree(data / "mitstates")
    assert set(datasets.present_or_made({})) == {"css", "css-2d3d", "css-pooled", "fashion200k"}
    assert "mit-states" in datasets.present_or_made({"mitstates": Path("elsewhere")})


def an_image(root: Path) -> Path:
    return next(path for path in sorted(root.rglob("*.jp*g")) if not path.parent.name.startswith("adj "))


def break_an_image(root: Path) -> str:
    victim = an_image(root)
    victim.write_bytes(victim.read_bytes()[:200])
    return str(victim.relative_to(root))


@pytest.mark.parametrize(("name", "protocol"), [("fashion200k", "fashion200k"), ("mitstates", "mit-states")])
def test_a_broken_image_stops_a_run_before_training_unless_it_may_be_skipped(
    data: Path, tmp_path: Path, name: str, protocol: str
) -> None:
    victim = break_an_image(data / name)
    command = ["run", "--composer", "concat", "--dataset", protocol, "--preset", "quick", *SETTINGS]
    result = tirg_bench(*command)
    assert result.exit_code == 1
    assert victim in result.stderr
    assert "--skip-broken" in result.stderr
    assert "Traceback" not in result.stderr
    skipping = tirg_bench(*command, "--skip-broken")
    assert skipping.exit_code == 0, skipping.output
    (path,) = (tmp_path / "leaderboards" / "records" / protocol / "concat").glob("*.json")
    card = load_record(path).dataset
    assert card.skipped == 1
    assert card.skipped_sha256 is not None
    assert (
        "1 broken images, lines or queries were left out" in (tmp_path / "leaderboards" / f"{protocol}.md").read_text()
    )


def test_a_model_is_scored_on_broken_data_only_if_it_may_be_skipped(data: Path, tmp_path: Path) -> None:
    break_an_image(data / "mitstates")
    ask = ["queries", "mit-states", "--out", "q.parquet"]
    score = ["score", "--task=mit-states", "--queries=q.npy", "--gallery=g.npy", "--name=m", "--author=Me"]
    score.append("--url=https://example.org")
    skipping = tirg_bench(*ask, "--skip-broken")
    assert skipping.exit_code == 0, skipping.output
    assert "1 left out as broken" in skipping.stdout
    rng = np.random.default_rng(0)
    for name, table in (("q", "q"), ("g", "q-gallery")):
        np.save(f"{name}.npy", rng.normal(size=(pq.read_metadata(f"{table}.parquet").num_rows, 4)))
    for command in (ask, score):
        result = tirg_bench(*command)
        assert result.exit_code == 1
        assert "--skip-broken leaves them out" in result.stderr
    scored = tirg_bench(*score, "--skip-broken")
    assert scored.exit_code == 0, scored.output
    (path,) = (tmp_path / "leaderboards" / "records" / "mit-states" / "m").glob("*.json")
    assert read_ranking(path).record.dataset.skipped == 1


@pytest.mark.parametrize("name", ["fashion200k", "mitstates"])
def test_check_finds_nothing_in_whole_data(data: Path, name: str) -> None:
    result = tirg_bench("data", "check", name, data / name)
    assert result.exit_code == 0, result.output
    assert "test queries" in result.stdout
    assert "nothing is broken" in result.stdout


def fault_missing(root: Path) -> str:
    victim = next(iter(sorted(root.rglob("*.jpeg"))))
    victim.unlink()
    return f"{victim.relative_to(root)}: is missing"


def fault_html(root: Path) -> str:
    victim = an_image(root)
    victim.write_text("<html>404</html>")
    return f"{victim.relative_to(root)}: is not an image"


def fault_truncated(root: Path) -> str:
    return f"{break_an_image(root)}: is"


def fault_outside(root: Path) -> str:
    (root / "labels" / "x_train_detect_all.txt").write_text("../../secret.jpeg\t1\tsmall red cube\n")
    return "../../secret.jpeg: is outside the folder"


def fault_unknown_query(root: Path) -> str:
    with (root / "test_queries.txt").open("a") as file:
        file.write("women/a.jpeg women/b.jpeg\n")
    return "test_queries.txt:21: women/a.jpeg is in no test label file"


def fault_folder(root: Path) -> str:
    (root / "images" / "nameless").mkdir()
    return "images/nameless: is not named <adjective> <noun>"


FASHION_FAULTS = (fault_missing, fault_html, fault_truncated, fault_outside, fault_unknown_query)
FAULTS = [("fashion200k", fault) for fault in FASHION_FAULTS]
FAULTS += [("mitstates", fault) for fault in (fault_html, fault_truncated, fault_folder)]


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_check_names_every_fault(data: Path, tmp_path: Path, name: str, fault: Callable[[Path], str]) -> None:
    said = fault(data / name)
    report = tmp_path / "report.json"
    result = tirg_bench("data", "check", name, data / name, "--write-report", report)
    assert result.exit_code == 1
    assert said in result.stdout
    problems = [f"{problem['place']}: {problem['what']}" for problem in json.loads(report.read_text())["problems"]]
    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_check_notes_what_is_odd(data: Path) -> None:
    labels = data / "fashion200k" / "labels" / "cube_test_detect_all.txt"
    lines = labels.read_text().splitlines()
    path, score, caption = lines[0].split("\t")
    lines[0] = "\t".join((path, score, caption.upper()))
    labels.write_text("\n".join(lines) + "\n")
    result = tirg_bench("data", "check", "fashion200k", data / "fashion200k")
    assert result.exit_code == 0, result.output
    assert "differs in case or white space alone from" in result.stdout
    for folder in (data / "mitstates" / "images").glob("* candy"):
        if not folder.name.startswith("tiny"):
            shutil.rmtree(folder)
    result = tirg_bench("data", "check", "mitstates", data / "mitstates")
    assert result.exit_code == 0, result.output
    assert "candy: has one adjective: no query" in result.stdout
    assert "armor: is a test noun without images" in result.stdout


def test_cache_decodes_and_a_second_start_does_not(data: Path) -> None:
    first = tirg_bench("data", "cache", "fashion200k", data / "fashion200k", "--size", 16)
    assert first.exit_code == 0, first.output
    assert "fashion200k: 60 training and 30 test images of 16 px are ready" in first.stdout
    shutil.rmtree(data / "fashion200k" / "women")
    assert tirg_bench("data", "cache", "fashion200k", data / "fashion200k", "--size", 16).stdout == first.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "fashion20k", "data"), "did you mean fashion200k"),
        (("check", "css", "data/css"), "css-gen verify data/css"),
        (("cache", "mit", "data"), "unknown dataset 'mit'"),
    ],
)
def test_a_wrong_name_is_a_usage_error(arguments: tuple[str, ...], said: str) -> None:
    result = tirg_bench("data", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("name", ["fashion200k", "mitstates", "css-original"])
def test_an_absent_or_empty_folder_is_one_line(tmp_path: Path, name: str) -> None:
    for folder in (tmp_path / "absent", tmp_path):
        for command in ("check", "cache"):
            result = tirg_bench("data", command, name, folder)
            assert result.exit_code == 1
            assert len(result.stderr.strip().splitlines()) == 1
            assert str(folder) in result.stderr
