"""`tirg-bench push` and `pull`: a model goes to the Hub with its record and a card, and comes back as it was."""

import dataclasses
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from huggingface_hub import EvalResult, ModelCard, constants, parse_eval_result_entries

from benchmark.cli.main import main
from benchmark.records.schema import sha256
from benchmark.records.store import StoredRecord, read_stored
from benchmark.runs.single_run import Bench
from benchmark.search.model_card import eval_results, model_card, render_command
from benchmark.search.stored_models import find_model
from css_gen.storage.configuration import Configuration
from css_gen.storage.manifest import read_manifest
from tests.benchmark.search.reading import Search, found_by
from tests.conftest import CssGen
from tests.hub_stand_in import Hub, standing_in

# huggingface_hub 2.4 uploads by a way that its HTTP client has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
REPO = "models/me/tirg"
COMMITTED = sorted(Path(__file__).parents[3].glob("leaderboards/records/css*/tirg/*.json"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.chdir(tmp_path)
    with standing_in(monkeypatch, tmp_path / "cache") as found:
        yield found


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def push(model: Path, bench: Bench, *options: str) -> Result:
    return run("push", model, "me/tirg", f"--out={bench.leaderboards}", *options)


def assert_refused(result: Result, *parts: str) -> None:
    assert result.exit_code == 1
    line = result.stderr.splitlines()[-1]
    assert line.startswith("tirg-bench: error: ")
    for part in parts:
        assert part in line


def test_a_model_comes_back_as_it_went(
    hub: Hub, bench: Bench, model_file: Path, search: Search, places: dict[str, Path]
) -> None:
    result = push(model_file, bench)
    assert result.exit_code == 0, result.output
    place = model_file.relative_to(bench.runs).parent
    assert hub.repositories[REPO].files.keys() == {
        "README.md", "model.safetensors", f"records/{place}.json", f"records/{place}.parquet"
    }  # fmt: skip
    pulled = run("pull", "me/tirg", "--runs=pulled")
    assert pulled.exit_code == 0, pulled.output
    model = Path("pulled") / place / "model.safetensors"
    assert model.read_bytes() == model_file.read_bytes()
    stored, earlier = (read_stored(root / f"{place}.json") for root in (Path("pulled/records"), bench.records))
    assert stored.record.checkpoint
    assert stored.record.checkpoint.path == str(model)
    assert stored.record.reproducible() == earlier.record.reproducible()
    assert f"tirg on css, seed 0: {model}" in pulled.stdout
    assert f"R@1 {earlier.record.metrics.recall[1]:.1f}, says its record" in pulled.stdout

    asked = ("--image=2", "--text=make object red")
    assert found_by(search, *asked, "--runs=pulled") == found_by(search, *asked)
    verified = run("verify", stored.path, "--device=cpu", f"--data=css={places['css']}")
    assert verified.exit_code == 0, verified.output
    assert f"{stored.path}: re-scored" in verified.stdout


@pytest.mark.usefixtures("hub")
def test_pull_again_changes_nothing_and_another_record_is_not_replaced_in_silence(
    bench: Bench, model_file: Path
) -> None:
    push(model_file.parent, bench)  # the folder of a run names its model
    for _ in range(2):
        assert run("pull", "me/tirg").exit_code == 0
    place = model_file.relative_to(bench.runs).parent
    assert [path.name for path in (Path("runs") / place).iterdir()] == ["model.safetensors"]
    path = Path("runs/records") / f"{place}.json"
    values = json.loads(path.read_text())
    del values["sha256"]
    values["checkpoint"]["sha256"] = "0" * 64
    sealed = values | {"sha256": sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())}
    path.write_text(json.dumps(sealed))
    assert_refused(run("pull", "me/tirg"), "there is a record of this run already; --replace replaces it")
    assert run("pull", "me/tirg", "--replace").exit_code == 0
    assert json.loads(path.read_text())["checkpoint"]["sha256"] == sha256(model_file.read_bytes())


def test_an_earlier_record_leaves_with_its_model(hub: Hub, bench: Bench, runs: Path) -> None:
    for task in ("css", "css-2d3d"):
        assert push(find_model(runs, "tirg", task, None, None), bench, "--dataset=me/data").exit_code == 0
    held = set(hub.repositories[REPO].files)
    assert {path for path in held if path.startswith(("records/css/", ".eval_results/css.yaml"))} == set()
    assert {path.partition("/")[0] for path in held} == {"README.md", "model.safetensors", "records", ".eval_results"}
    assert run("pull", "me/tirg").stdout.startswith("tirg on css-2d3d, seed 0: runs/css-2d3d/tirg/")


def test_a_model_without_its_own_record_is_not_sent(hub: Hub, bench: Bench, model_file: Path) -> None:
    assert_refused(
        run("push", model_file, "me/tirg"), "leaderboards/records has no record of tirg on css, seed 0", "--out"
    )
    other = Path("model.safetensors")
    content = bytearray(model_file.read_bytes())
    content[-1] ^= 1  # a last digit of a weight
    other.write_bytes(content)
    assert_refused(push(other, bench), "is the record of another file than model.safetensors")
    assert_refused(push(Path("missing.safetensors"), bench), "missing.safetensors: there is no such checkpoint")
    assert hub.requests == []


@pytest.mark.parametrize("what", ["no record", "another model", "edited record", "record of another run"])
def test_a_repository_whose_parts_do_not_fit_is_refused(
    what: str, hub: Hub, bench: Bench, runs: Path, model_file: Path
) -> None:
    push(model_file, bench)
    files = hub.repositories[REPO].files
    (record,) = (path for path in files if path.endswith(".json"))
    if what == "no record":
        del files[record]
        expected = "has no record of its model.safetensors"
    elif what == "another model":
        files["model.safetensors"] = files["model.safetensors"][:-1] + b"\0"
        expected = "has no record of its model.safetensors"
    elif what == "edited record":
        files[record] = re.sub(rb'"recall@1": [\d.]+', b'"recall@1": 99.0', files[record], count=1)
        expected = "was edited"
    else:
        files["model.safetensors"] = find_model(runs, "tirg", "css-2d3d", None, None).read_bytes()
        expected = "has no record of its model.safetensors"
    assert_refused(run("pull", "me/tirg"), expected)
    assert not Path("runs").exists()


@pytest.mark.usefixtures("hub")
def test_what_cannot_be_fetched_is_said_in_one_line(
    bench: Bench, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(run("pull", "me/nothing"), "me/nothing: ", "has no such model, or the token may not see it")
    push(model_file, bench, "--private")
    assert run("pull", "me/tirg").exit_code == 0
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    shutil.rmtree("runs")
    # The model is in huggingface_hub's cache, but nobody knows whether it is still the newest.
    assert_refused(run("pull", "me/tirg"), "http://127.0.0.1:1 cannot be reached")


def test_a_dry_run_prints_files_and_card_without_token_or_request(
    hub: Hub, bench: Bench, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    result = push(model_file, bench, "--dry-run", "--dataset=me/css")
    assert result.exit_code == 0, result.output
    assert hub.requests == []
    listed, _, text = result.stdout.partition("\n\n")
    assert {line.split()[1] for line in listed.splitlines()[1:]} >= {"model.safetensors", ".eval_results/css.yaml"}
    assert ModelCard(text).data.datasets == ["me/css"]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parts[-3])
def test_the_results_on_the_card_are_those_of_the_record(path: Path) -> None:
    """huggingface_hub shows all results of one dataset type under the name of the first: each type needs one name."""
    stored = read_stored(path)
    record = stored.record
    assert record.fresh
    found = ModelCard(model_card(stored, "me/tirg")).data.eval_results
    names = {each.dataset_type: each.dataset_name for each in found}
    assert len(names) == len(set(names.values())) == 2
    for name, scores in (
        (record.protocol, record.metrics.scores),
        (f"{record.protocol}-fresh", {f"recall@{k}": value for k, value in record.fresh.recall.items()}),
    ):
        shown = {
            each.metric_type.replace("_at_", "@"): each.metric_value for each in found if each.dataset_type == name
        }
        assert {"recall@1", "recall@5", "recall@10", "recall@50"} <= shown.keys()
        for metric, value in shown.items():
            assert value == pytest.approx(scores[metric], abs=0.005)
    (entry,) = parse_eval_result_entries(yaml.safe_load(eval_results(record, "me/css")))
    assert (entry.dataset_id, entry.task_id, entry.value) == (
        "me/css",
        record.protocol,
        round(record.metrics.recall[1], 2),
    )


def test_words_that_yaml_would_read_as_something_else_stay_words() -> None:
    stored = read_stored(COMMITTED[0])
    composer = stored.record.composer.model_copy(update={"name": "on", "title": "No"})
    record = stored.record.model_copy(update={"composer": composer, "preset": "off"})
    data = ModelCard(model_card(stored._replace(record=record), "me/1.10", dataset="me/no")).data
    assert data.model_name == "1.10"
    assert data.tags == ["composed-image-retrieval", record.protocol, "on"]
    assert data.datasets == ["me/no"]
    assert all(isinstance(each, EvalResult) for each in data.eval_results)


@pytest.mark.parametrize(
    "configuration",
    [
        Configuration(images=40, size=16),
        Configuration(images=48, size=16, seed=5, names="3d", extras=("depth",), test_fraction=0.25),
        Configuration(images=60, size=16, test_images=24, view="clevr"),
        Configuration(images=60, size=16, track="relation"),
        dataclasses.replace(
            Configuration(images=40, size=16),
            jitter=dataclasses.replace(
                Configuration(images=40).jitter, camera=False, lights=False, materials=("rubber", "metal")
            ),
        ),
    ],
    ids=["plain", "options", "by split", "track", "nuisances"],
)
def test_the_command_on_the_card_renders_the_data(
    configuration: Configuration, run_css_gen: CssGen, tmp_path: Path
) -> None:
    program, *words = shlex.split(render_command(configuration.to_json()))
    assert program == "css-gen"
    result = run_css_gen(*words, "--out", tmp_path / "css", "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert read_manifest(tmp_path / "css").configuration == configuration


def test_the_card_has_every_seed_and_row() -> None:
    stored: StoredRecord = read_stored(COMMITTED[0])
    text = model_card(stored, "me/tirg")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert len({line.count("|") for line in table}) == 1
    assert f"seed {stored.record.seed}" in text
    assert f"`{stored.record.dataset.fingerprint}`" in text
