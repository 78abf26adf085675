"""A recipe of seconds on a dataset of 150 images, so that tests train for real."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch

import css_gen.dataset
from benchmark.recipe.changes import override
from benchmark.recipe.presets import preset
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import Bench
from benchmark.submissions import sandbox
from benchmark.tasks.css import Css
from benchmark.training.progress import SilentRuns
from css_gen import tracks
from css_gen.export.tirg import export_tirg
from css_gen.render import render
from css_gen.storage.configuration import Configuration
from tests.benchmark.browsers import CHROMIUM
from tests.benchmark.folders import make_fashion200k, make_fashion_iq, make_mit_states
from tests.benchmark.submissions.preloaded import Preloaded

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def css_root(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, because decoded images are kept in the dataset's folder."""
    return Path(shutil.copytree(tiny_dataset, tmp_path_factory.mktemp("bench") / "css"))


@pytest.fixture(scope="session")
def css(css_root: Path) -> Css:
    return Css("css", css_root, source_view="3d", image_size=16, reporter=SilentRuns())


@pytest.fixture(scope="session")
def tiny_config() -> Recipe:
    return override(
        preset("quick"),
        (
            "data.image_size=16",
            "model.text_width=8",
            "model.state_width=8",
            "model.embedding_width=8",
            "model.dropout=0.1",
            "training.steps=6",
            "training.sources=2",
            "training.modifications=3",
            "training.memory=0",
            "evaluation.held_out=0.25",
        ),
    )


@pytest.fixture(scope="session")
def places(css_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small folder for every dataset."""
    root = tmp_path_factory.mktemp("places")
    original = root / "css-original"
    original.mkdir()
    export_tirg(css_gen.dataset.open(css_root), original, lambda _: None)
    return {
        "css": css_root,
        "fashion200k": make_fashion200k(root / "fashion200k", train=40, test=30, queries=12, seed=0),
        "fashion-iq": make_fashion_iq(root / "fashion-iq", train=9, val=7, queries=8, seed=0),
        "mitstates": make_mit_states(root / "mitstates", images=2, colours=3, seed=0),
        "css-original": original,
        **{f"css-{name}": _track(name, root / f"css-{name}") for name in tracks.names()},
    }


def _track(name: str, root: Path) -> Path:
    render(root, Configuration(images=150, size=16, seed=3, track=name), jobs=1)
    return root


@pytest.fixture
def bench(places: dict[str, Path], tiny_config: Recipe, tmp_path: Path) -> Bench:
    return Bench(
        base=tiny_config,
        runtime=Runtime(validate_every=4),
        reporter=SilentRuns(),
        places=places,
        leaderboards=tmp_path / "leaderboards",
        runs=tmp_path / "runs",
    )


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    process = Preloaded(tmp_path_factory.mktemp("preloaded"))
    yield process
    process.close()


@pytest.fixture
def forked_submissions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the processes of submissions on Linux, for tests that are not about how such a process starts."""
    if sys.platform != "linux":
        return
    preloaded: Preloaded = request.getfixturevalue("preloaded")
    monkeypatch.setattr(sandbox, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": preloaded.popen}))


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    api = pytest.importorskip("playwright.sync_api", reason="needs the extra `test`: pip install -e '.[test]'")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
