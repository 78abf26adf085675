"""CSS as a retrieval task of MTEB: an image and a text ask for an image.

    pip install -e examples/css_mteb
    tirg-bench queries css --out queries.parquet

    task = css_mteb.CssRetrieval("data/css", "queries.parquet")
    mteb.evaluate(model, task, prediction_folder="predictions", cache=None)
    css_mteb.write_ranking("predictions", task, "ranking.parquet")

    tirg-bench score --task css ranking.parquet --name my-model --author ... --url ...

In MTEB's terms: `hit_rate_at_K` is R@K, and `circo_map_at_K` is mAP@K (MTEB's own `map_at_K` divides by the number of
relevant images even where that is more than K). Both are equal to those of `tirg-bench score`, which has slices, too.

Four things are not as MTEB has them by default. The query's own image is no answer: one more answer than needed is
asked for, and that image is dropped. MTEB breaks ties by the name of a document, and torch.topk by its row, so both are
in a shuffled order that knows nothing of scenes. And the task's name has the fingerprint of the data, because MTEB's
cache keeps results by the names of model and task; all models without a name share one entry there, so use `cache=None`
with a model of your own. A query that a model leaves out counts as missed, where MTEB would not count it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import (
    CrossEncoderProtocol,
    EncoderProtocol,
    SearchCrossEncoderWrapper,
    SearchEncoderWrapper,
    SearchProtocol,
)

import css_gen
from benchmark.scoring.recall import DEPTH, KS, MAP_KS, map_at_k
from css_gen.errors import DatasetError
from css_gen.scenes.modification import parse


class CssRetrieval(AbsTaskRetrieval):
    """The test queries of css or css-2d3d.

    Args:
        folder: a dataset that css-gen rendered.
        queries: the file that `tirg-bench queries css` (or css-2d3d) wrote for it.

    Raises:
        DatasetError: the folder holds no dataset, or the queries are of another one.
    """

    metadata: ClassVar[TaskMetadata] = TaskMetadata(
        name="CSSIT2IRetrieval",
        description="Find the image of a simple scene after the change that a text asks for.",
        reference="https://arxiv.org/abs/1812.07119",
        dataset={"path": "css-gen", "revision": "local"},
        type="Any2AnyRetrieval",
        category="it2i",
        modalities=["text", "image"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="hit_rate_at_1",
        sample_creation="created",
        annotations_creators="derived",
        license="apache-2.0",
        prompt={"query": "Find the image after the change that the text asks for."},
    )
    k_values = sorted({*KS, *MAP_KS})

    def __init__(self, folder: str | Path, queries: str | Path, **options: Any) -> None:
        self._folder, self._queries = Path(folder), pq.read_table(queries)
        about = {key.decode(): value.decode() for key, value in (self._queries.schema.metadata or {}).items()}
        self.fingerprint = css_gen.open_dataset(folder).fingerprint
        if about.get("tirg_bench.fingerprint") != self.fingerprint:
            raise DatasetError(
                f"{queries}: not of {folder}; write it again with: tirg-bench queries --data css={folder}"
            )
        self._view = about.get("tirg_bench.source_view", "3d")
        name = f"{type(self).metadata.name}-{about['tirg_bench.task']}-{self.fingerprint[:8]}"
        data = {"path": "css-gen", "revision": self.fingerprint}
        self.metadata = type(self).metadata.model_copy(update={"name": name, "dataset": data})
        super().__init__(**options)

    def load_data(self, num_proc: int | None = None, **_: Any) -> None:  # noqa: ARG002
        """Read images, queries, and the relevant images of each query: all whose scene the text can give."""
        if self.data_loaded:
            return
        test = css_gen.open_dataset(self._folder).split("test")
        names = [self._name(image) for image in range(len(test))]
        shuffled = sorted(range(len(test)), key=names.__getitem__)
        images = datasets.load_dataset(str(self._folder), "images", split="test")
        if len(images) != len(test):
            raise DatasetError(
                f"{self._folder}: `datasets` reads {len(images)} test images and the manifest has {len(test)}; "
                f"remove the files that `css-gen verify {self._folder}` names"
            )
        gallery = images.select_columns(["image_3d"]).rename_column("image_3d", "image").select(shuffled)
        view, sources = f"image_{self._view}", self._queries["source_id"].to_pylist()
        asked = images.select_columns([view]).rename_column(view, "image").select(sources)
        ids, texts = self._queries["query_id"].to_pylist(), self._queries["text"].to_pylist()
        of_scene: dict[str, list[int]] = {}
        for image, key in enumerate(test.keys):
            of_scene.setdefault(key, []).append(image)
        relevant = {
            query: {
                names[image]: 1
                for key in parse(text).targets(test.scene(source))
                for image in of_scene.get(key, ())
                if image != source
            }
            for query, text, source in zip(ids, texts, sources, strict=True)
        }
        self._source_of = dict(zip(ids, map(names.__getitem__, sources), strict=True))
        self.dataset = {
            "default": {
                "test": {
                    "corpus": gallery.add_column("id", [names[image] for image in shuffled]),
                    "queries": asked.add_column("id", ids).add_column("text", texts),
                    "relevant_docs": relevant,
                    "top_ranked": None,
                }
            }
        }
        self.data_loaded = True

    def unload_data(self) -> None:
        """Forget the data, and keep the metadata, which name them; MTEB would go back to those of the class."""
        metadata = self.metadata
        super().unload_data()
        self.metadata = metadata

    def _evaluate_subset(self, model: Any, data_split: Any, **options: Any) -> Any:
        if isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol):
            model = SearchEncoderWrapper(model)
        elif isinstance(model, CrossEncoderProtocol):
            model = SearchCrossEncoderWrapper(model)
        return super()._evaluate_subset(_WithoutSource(model, self._source_of), data_split, **options)

    def task_specific_scores(self, scores: Any, qrels: Any, results: Any, **_: Any) -> dict[str, float]:  # noqa: ARG002
        """Return mAP@K as CIRCO defines it, from 0 to 1."""
        hits = np.zeros((len(qrels), DEPTH), dtype=bool)
        for row, query in enumerate(qrels):
            ranked = _best_first(results[query])[:DEPTH]
            hits[row, : len(ranked)] = [name in qrels[query] for name in ranked]
        found = map_at_k(hits, [len(relevant) for relevant in qrels.values()])
        return {f"circo_map_at_{k}": value / 100 for k, value in found.items()}

    def _name(self, image: int) -> str:
        """The name of an image in MTEB: digits of a hash, so that no order of names knows anything of scenes."""
        return f"{hashlib.sha256(f'{self.fingerprint} {image}'.encode()).hexdigest()[:16]}-{image}"


class _WithoutSource:
    """A search model whose answers never hold the query's own source image."""

    def __init__(self, model: Any, source_of: dict[str, str]) -> None:
        self._model, self._source_of = model, source_of
        self.mteb_model_meta = model.mteb_model_meta

    def index(self, corpus: Any, **options: Any) -> None:
        self._model.index(corpus, **options)

    def search(self, queries: Any, *, top_k: int, **options: Any) -> dict[str, dict[str, float]]:
        found = self._model.search(queries, top_k=top_k + 1, **options)
        left: dict[str, dict[str, float]] = {}
        for query in queries["id"]:
            answers = found.get(query, {})
            names = [name for name in _best_first(answers) if name != self._source_of[query]]
            left[query] = {name: answers[name] for name in names[:top_k]}
        return left


def write_ranking(folder: str | Path, task: CssRetrieval, out: str | Path) -> None:
    """Write the answers that `mteb.evaluate` left in its `prediction_folder` as a ranking for `tirg-bench score`."""
    answers = json.loads((Path(folder) / task.prediction_file_name).read_text())["default"]["test"]
    lists = [[int(name.rpartition("-")[2]) for name in _best_first(found)] for found in answers.values()]
    ranking = pa.table({"query_id": list(answers), "image_ids": lists}, metadata=task._queries.schema.metadata)
    pq.write_table(ranking, out)


def _best_first(answers: dict[str, float]) -> list[str]:
    """The names of the answers in the order in which MTEB counts them: among equal scores the last name is first."""
    return sorted(answers, key=lambda name: (answers[name], name), reverse=True)
