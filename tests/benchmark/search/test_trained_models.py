"""Models in half precision with a card, used where `runs` holds none, and a small gallery where there is no data."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import css_gen.dataset
from benchmark.cli.main import main
from benchmark.errors import BenchmarkError
from benchmark.search import gallery as galleries
from benchmark.search import trained_models
from benchmark.search.gallery import data_or_small
from benchmark.search.model import Model
from benchmark.search.stored_models import find_model, newest_models
from benchmark.search.trained_models import halved, keep
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.progress import SilentRuns
from css_gen.storage.configuration import Configuration


@pytest.fixture(scope="module")
def kept(model_file: Path, css_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keep(model_file, data=css_root, out=tmp_path_factory.mktemp("kept") / "trained")


@pytest.fixture
def trained(kept: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The repository's folder of models, in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trained_models, "TRAINED", kept.parents[3])
    return kept.parents[3]


def test_a_kept_model_is_half_as_large_and_answers_alike(kept: Path, model_file: Path, css_root: Path) -> None:
    before, after = Checkpoint.read(model_file), Checkpoint.read(kept)
    assert kept.stat().st_size < 0.7 * model_file.stat().st_size
    for name, value in after.tensors.items():
        whole = before.tensors[name]
        assert value.dtype == (torch.float16 if whole.is_floating_point() else whole.dtype)
        assert torch.allclose(value.double(), whole.double(), rtol=1e-3, atol=1e-7), name
    models = [Model.load(path, device="cpu") for path in (model_file, kept)]
    assert next(models[1].network.parameters()).dtype == torch.float32
    one, other = (model.rank(3, "remove object", 10, gallery=model.test_images("css", css_root)) for model in models)
    assert [answer.similarity for answer in one.answers] == pytest.approx(
        [answer.similarity for answer in other.answers], abs=0.01
    )


def test_the_card_says_how_good_this_very_file_is(kept: Path, css_root: Path) -> None:
    card = (kept.parent / "README.md").read_text()
    scored = Model.load(kept, device="cpu").score(data=css_root)
    heading, numbers = (re.findall(r"(?m)^\| (.*) \|$", card)[place].split(" | ") for place in (0, 1))
    expected = ["recall@1", "recall@5", "recall@10", "map@10", "chance@1"]
    assert heading == ["R@1", "R@5", "R@10", "mAP@10", "R@1 of a random order"]
    assert [float(number) for number in numbers] == pytest.approx([scored.scores[name] for name in expected], abs=0.06)
    assert "6 steps, seed 0" in card
    assert "tirg-bench search --composer tirg --image 3" in card


def test_what_half_precision_cannot_hold_is_refused(
    model_file: Path, css_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint.read(model_file)
    name = next(name for name, value in checkpoint.tensors.items() if value.is_floating_point())
    wide = replace(checkpoint, tensors={**checkpoint.tensors, name: torch.full((2,), 1e6)})
    with pytest.raises(BenchmarkError, match="has values that half precision cannot hold"):
        halved(wide)
    monkeypatch.setattr(trained_models, "MOST_BYTES", 1_000)
    with pytest.raises(BenchmarkError, match="in half precision; expected at most 1,000"):
        keep(model_file, data=css_root, out=tmp_path / "trained")
    assert not (tmp_path / "trained").exists()


def test_runs_come_before_the_models_of_the_repository(trained: Path, runs: Path, model_file: Path, kept: Path) -> None:
    assert find_model(runs, "tirg", "css", None, None, others=trained) == model_file
    assert find_model(Path("runs"), "tirg", "css", None, None, others=trained) == kept
    assert newest_models(Path("runs"), "css", None, None, others=trained) == {"tirg": kept}
    assert newest_models(runs, "css", None, None, others=trained) == {"tirg": model_file}
    with pytest.raises(BenchmarkError, match="runs holds no model of film on css"):
        find_model(Path("runs"), "film", "css", None, None, others=trained)


def test_a_fresh_clone_answers_at_once(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galleries, "SMALL", Configuration(images=60, test_images=40, size=32))
    arguments = ["search", "--composer=tirg", "--image=3", "--text=remove object", "--device=cpu"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "there is no data/css: a small gallery is rendered instead, in data/css-small" in result.stderr
    assert "39 images were ranked" in result.stdout
    assert str(trained) in result.stdout
    rendered = css_gen.dataset.open("data/css-small").fingerprint
    again = CliRunner().invoke(main, arguments)
    assert again.stdout == result.stdout
    assert "rendering" not in again.stderr
    assert css_gen.dataset.open("data/css-small").fingerprint == rendered
    result = CliRunner().invoke(main, [*arguments, "--runs=mine"])
    assert result.exit_code == 1
    assert "mine holds no model of tirg on css" in result.stderr


MODELS = sorted(trained_models.TRAINED.rglob("model.safetensors"))


def test_the_repository_has_the_best_composer_and_tirg() -> None:
    assert {Checkpoint.read(path).run.composer for path in MODELS} == {"attribute_as_operator", "tirg"}
    assert all(path.stat().st_size <= trained_models.MOST_BYTES for path in MODELS)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.parent.parent.name)
def test_each_of_them_answers_the_question_of_the_readme(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(galleries, "SMALL", replace(galleries.SMALL, size=64))
    readme = (trained_models.TRAINED.parent / "README.md").read_text()
    command = shlex.split(next(line for line in readme.splitlines() if "tirg-bench search" in line))
    command[command.index("--composer") + 1] = path.parent.parent.name
    result = CliRunner().invoke(main, [*command[1:], "--device=cpu"])
    assert result.exit_code == 0, result.output
    (first,) = re.findall(r"(?m)^ +1 +.*$", result.stdout)
    assert " yes " in first
    assert str(path) in result.stdout
    assert "tirg-bench search" in (path.parent / "README.md").read_text()


def test_data_that_is_there_or_named_is_taken_as_it_is(
    tmp_path: Path, css_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reporter = SilentRuns()
    assert data_or_small("css", {"css": Path("nowhere")}, reporter=reporter) == Path("nowhere")
    assert data_or_small("mit-states", {}, reporter=reporter) == Path("data/mitstates")
    Path("data").mkdir()
    Path("data/css").symlink_to(css_root)
    assert data_or_small("css-2d3d", {}, reporter=reporter) == Path("data/css")
    assert [path.name for path in Path("data").iterdir()] == ["css"]
    monkeypatch.setattr(galleries, "SMALL", Configuration(images=60, test_images=40, size=16))
    assert css_gen.dataset.open(data_or_small("css-chain", {}, reporter=reporter)).track == "chain"


def test_the_names_of_exchanged_colours_are_no_words_of_a_model() -> None:
    """The model of the repository was trained with some, which its users should not be offered."""
    (path,) = trained_models.TRAINED.glob("css/attribute_as_operator/*/model.safetensors")
    known = Checkpoint.read(path).network().text_encoder.words
    assert known is not None
    assert "red-grb" in known
    words = Model.load(path, device="cpu").words
    assert words == tuple(word for word in known if not re.search(r"-[rgb]{3}$", word))
    assert "red" in words
