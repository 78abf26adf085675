"""examples/css_mteb: MTEB's scores are those of `tirg-bench score` on the same ranking.

It needs mteb, which is heavy and no dependency: pip install mteb, then
pytest -m slow tests/benchmark/any_model/test_css_mteb.py
"""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import css_gen
from benchmark.cli.main import main
from benchmark.errors import DatasetError
from benchmark.records.rankings import StoredRanking, read_ranking
from benchmark.scoring.recall import KS, MAP_KS
from css_gen.render import render
from css_gen.scenes.modification import parse
from css_gen.storage.configuration import Configuration

mteb = pytest.importorskip("mteb", reason="mteb is not installed: pip install mteb")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
EXAMPLE = Path(__file__).parents[3] / "examples" / "css_mteb" / "css_mteb.py"


@pytest.fixture(scope="module")
def css_mteb() -> Any:
    spec = importlib.util.spec_from_file_location("css_mteb", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of 200 images, so that R@50 is not trivial."""
    root = tmp_path_factory.mktemp("mteb") / "css"
    render(root, Configuration(images=400, size=32, seed=5), jobs=1)
    return root


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")


class Encoder:
    """Embeds an image by its mean colour in 4x4 fields, and a text by shifting them; or everything alike."""

    mteb_model_meta = mteb.get_model_meta("mteb/baseline-random-encoder")

    def __init__(self, *, is_constant: bool = False) -> None:
        self.is_constant = is_constant

    def encode(self, inputs: Any, **_: Any) -> np.ndarray:
        rows = []
        for batch in inputs:
            for place, image in enumerate(batch["image"]):
                fields = np.asarray(image.convert("RGB").resize((4, 4)), dtype=np.float32).ravel() / 255
                shift = sum(map(ord, batch["text"][place])) % 7 if "text" in batch else 0
                rows.append(np.ones(48, np.float32) if self.is_constant else fields + 0.01 * shift)
        return np.stack(rows)

    def similarity(self, queries: Any, documents: Any) -> np.ndarray:
        lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(documents, axis=1)
        return np.asarray(queries @ documents.T / lengths)

    def similarity_pairwise(self, queries: Any, documents: Any) -> np.ndarray:
        return np.asarray(np.diagonal(self.similarity(queries, documents)))


def run(*arguments: object) -> None:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


def both_scores(css_mteb: Any, data: Path, model: Any, name: str) -> tuple[dict[str, float], StoredRanking]:
    """The scores of MTEB, and the record of `tirg-bench score` of the same answers."""
    run("queries", name, "--out=queries.parquet", f"--data=css={data}")
    task = css_mteb.CssRetrieval(data, "queries.parquet")
    result = mteb.evaluate(model, task, cache=None, prediction_folder="predictions", show_progress_bar=False)
    task.load_data()
    css_mteb.write_ranking("predictions", task, "ranking.parquet")
    run("score", f"--task={name}", "ranking.parquet", "--name=by-mteb", "--author=Me", "--url=https://example.org",
        f"--data=css={data}", "--out=boards")  # fmt: skip
    (path,) = Path("boards/records").rglob("*.json")
    return result.task_results[0].scores["test"][0], read_ranking(path)


@pytest.mark.parametrize("name", ["css", "css-2d3d"])
@pytest.mark.parametrize("how", ["mteb's random baseline", "colours", "constant"])
def test_scores_are_those_of_tirg_bench_score(how: str, name: str, css_mteb: Any, data: Path) -> None:
    model = (
        mteb.get_model("mteb/baseline-random-encoder")
        if how == "mteb's random baseline"
        else Encoder(is_constant=how == "constant")
    )
    scores, stored = both_scores(css_mteb, data, model, name)
    found = stored.record.metrics.scores
    assert stored.record.dataset.gallery == 200
    for k in KS:
        assert scores[f"hit_rate_at_{k}"] == pytest.approx(found[f"recall@{k}"] / 100, abs=1e-5)
    for k in MAP_KS:
        assert scores[f"circo_map_at_{k}"] == pytest.approx(found[f"map@{k}"] / 100, abs=1e-9)
    assert scores["main_score"] == scores["hit_rate_at_1"]
    assert 0 < found["recall@50"] < 100
    assert (stored.outcomes.relevant > 1).any()
    if how == "constant":
        # 50 of 199 candidates in an order that knows nothing: a hit in about a quarter of the queries.
        assert abs(found["recall@50"] - found["chance@50"]) < 8
        assert found["recall@1"] < 5


def test_the_own_image_is_never_an_answer(css_mteb: Any, data: Path) -> None:
    """Without that, an encoder that looks at colours finds the source first, and has R@1 0."""
    scores, _ = both_scores(css_mteb, data, Encoder(), "css")
    queries = {row["query_id"]: row["source_id"] for row in pq.read_table("queries.parquet").to_pylist()}
    ranking = pq.read_table("ranking.parquet").to_pylist()
    assert {row["query_id"] for row in ranking} == queries.keys()
    for row in ranking:
        assert queries[row["query_id"]] not in row["image_ids"]
        assert len(row["image_ids"]) == len(set(row["image_ids"])) == 50
    assert scores["hit_rate_at_1"] > 0.02


class Search:
    """Finds the answers of every second query, and leaves the others out."""

    mteb_model_meta = Encoder.mteb_model_meta

    def __init__(self, relevant: dict[str, dict[str, int]]) -> None:
        self.relevant = relevant

    def index(self, corpus: Any, **_: Any) -> None:
        pass

    def search(self, queries: Any, **_: Any) -> dict[str, dict[str, float]]:
        return {query: dict.fromkeys(self.relevant[query], 1.0) for query in list(queries["id"])[::2]}


def test_a_query_without_an_answer_is_missed(css_mteb: Any, data: Path) -> None:
    run("queries", "css", "--out=queries.parquet", f"--data=css={data}")
    task = css_mteb.CssRetrieval(data, "queries.parquet")
    task.load_data()
    split = task.dataset["default"]["test"]
    result = mteb.evaluate(Search(split["relevant_docs"]), task, cache=None, show_progress_bar=False)
    queries = len(split["queries"])
    half = (queries + 1) // 2 / queries
    assert result.task_results[0].scores["test"][0]["hit_rate_at_1"] == pytest.approx(half, abs=1e-5)


def test_relevant_are_all_images_that_the_text_allows(css_mteb: Any, data: Path) -> None:
    run("queries", "css", "--out=queries.parquet", f"--data=css={data}")
    task = css_mteb.CssRetrieval(data, "queries.parquet")
    task.load_data()
    split, test = task.dataset["default"]["test"], css_gen.open_dataset(data).split("test")
    rows = {row["query_id"]: row for row in pq.read_table("queries.parquet").to_pylist()}
    counts = set()
    for query, relevant in split["relevant_docs"].items():
        row = rows[query]
        modification, scene = parse(row["text"]), test.scene(row["source_id"])
        expected = {
            image for image in range(len(test))
            if image != row["source_id"] and modification.is_target(scene, test.scene(image))
        }  # fmt: skip
        assert {int(name.rpartition("-")[2]) for name in relevant} == expected
        counts.add(len(expected))
    assert len(counts) > 1
    first = split["corpus"][0]
    image = int(first["id"].rpartition("-")[2])
    assert np.array_equal(np.asarray(first["image"]), test.image_3d(image))
    assert image != 0


def test_queries_of_another_dataset_are_refused(css_mteb: Any, data: Path, css_root: Path) -> None:
    run("queries", "css", "--out=queries.parquet", f"--data=css={css_root}")
    with pytest.raises(DatasetError, match=r"queries\.parquet: not of .*; write it again with: tirg-bench queries"):
        css_mteb.CssRetrieval(data, "queries.parquet")


def test_files_that_only_datasets_would_read_are_refused(css_mteb: Any, data: Path, tmp_path: Path) -> None:
    """It reads whatever has the name of a shard, and would shift the rows of the gallery."""
    root = Path(shutil.copytree(data, tmp_path / "css"))
    run("queries", "css", "--out=queries.parquet", f"--data=css={root}")
    shutil.copy(next((root / "test").glob("images-00000-*")), root / "test" / "images-00000-of-00009.parquet")
    task = css_mteb.CssRetrieval(root, "queries.parquet")
    with pytest.raises(DatasetError, match=r"reads 250 test images and the manifest has 200; remove the files that"):
        task.load_data()
