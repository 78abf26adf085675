"""Three trained models, and the commands and folders that the tests of search share."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import css_gen.dataset
from benchmark.cli.main import main
from benchmark.recipe.runtime import Runtime
from benchmark.recipe.schema import Recipe
from benchmark.runs.grid import plan, run_all
from benchmark.runs.single_run import Bench
from benchmark.search.gallery import DatasetGallery
from benchmark.search.model import Model
from benchmark.search.stored_models import find_model
from benchmark.training.progress import SilentRuns
from tests.benchmark.search.reading import Search


@pytest.fixture(scope="session")
def bench(places: dict[str, Path], tiny_config: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Runs of TIRG on CSS, on its drawings and on MIT-States."""
    root = tmp_path_factory.mktemp("searched")
    found = Bench(
        base=tiny_config,
        runtime=Runtime(device="cpu"),
        reporter=SilentRuns(),
        places=places,
        leaderboards=root / "boards",
        runs=root / "runs",
    )
    for finished in run_all(plan(["tirg"], ["css", "css-2d3d", "mit-states"], [0], found), found):
        assert finished.record, finished.traceback
    return found


@pytest.fixture(scope="session")
def runs(bench: Bench) -> Path:
    """Their folder."""
    return bench.runs


@pytest.fixture(scope="session")
def model_file(runs: Path) -> Path:
    """The model on CSS."""
    return find_model(runs, "tirg", "css", None, None)


@pytest.fixture(scope="session")
def model(model_file: Path) -> Model:
    return Model.load(model_file, device="cpu")


@pytest.fixture(scope="session")
def gallery(css_root: Path) -> DatasetGallery:
    return DatasetGallery("css", css_root, image_size=16, reporter=SilentRuns())


@pytest.fixture
def search(runs: Path, places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Run `tirg-bench search` on these models and datasets, in an empty folder; a place given here comes instead."""
    monkeypatch.chdir(tmp_path)
    given = [f"--data={name}={root}" for name, root in places.items()]

    def run(*options: object, composer: str | None = "tirg") -> Result:
        named = [f"--composer={composer}"] if composer else []
        asked = list(map(str, options))
        others = [place for place in given if not any(option.startswith(place.partition("=/")[0]) for option in asked)]
        arguments = ["search", *named, f"--runs={runs}", "--device=cpu", *others, *asked]
        return CliRunner().invoke(main, arguments)

    return run


@pytest.fixture
def folder(css_root: Path, tmp_path: Path) -> Path:
    """Test images 0 to 5 as files, one of them in a folder, beside files that are none."""
    test = css_gen.dataset.open(css_root).split("test")
    root = tmp_path / "mine"
    (root / "sub").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for row in range(6):
        (root / ("sub" if row == 5 else "") / f"{row}.png").write_bytes(test.png_3d(row))
    (root / ".hidden" / "7.png").write_bytes(test.png_3d(7))
    (root / "notes.txt").write_text("no image")
    return root
