"""Answer the questions of the page: models, gallery and texts behind one object that threads may share."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from benchmark import tasks
from benchmark.datasets.splits import Pixels
from benchmark.errors import UsageError
from benchmark.explanation.track_kinds import Kind, WrongAnswer
from benchmark.runs.recipes import label_on
from benchmark.search.answer import Found, read_program
from benchmark.search.embedded_gallery import EmbeddedGallery
from benchmark.search.gallery import DatasetGallery, Gallery
from benchmark.search.model import Model
from benchmark.search.page import webp
from benchmark.search.query_image import QueryImage
from benchmark.search.wording import SOLID_NAMES
from benchmark.serve.completion import Completion, CssGrammar, DatasetTexts, Language, complete
from benchmark.serve.upload import uploaded
from benchmark.serve.verdict import Judge, Verdict
from css_gen.progress import Reporter
from models.parts import unknown

MOST_ANSWERS = 100
LONGEST_TEXT = 500
_MOST_EXAMPLES = 4
_MOST_RIGHT = 12
_MOST_IMAGES = 60


class _Ready(NamedTuple):
    model: Model
    gallery: DatasetGallery
    searched: Gallery


class Service:
    """Models of one task on its test images.

    Args:
        paths: the file of each composer's model, by the name that the page shows.
        task: whose test images are searched; all models are of it.
        root: the folder of its data.
        embedded: embeddings of these images by some of the models, for which the images are then not embedded again.

    Raises:
        BenchmarkError: a file or the data cannot be read. (Also raised by the methods below.)
        UsageError: a model is of another task, or embeddings are of other images or by a model that is not in `paths`.
    """

    def __init__(
        self, paths: Mapping[str, Path], task: str, root: Path, *, device: str, reporter: Reporter,
        embedded: Sequence[EmbeddedGallery] = (),
    ) -> None:  # fmt: skip
        self._paths, self._root = dict(paths), root
        self._embedded = {gallery.weights: gallery for gallery in embedded}
        self._task = tasks.get(task)
        self._device, self._reporter = device, reporter
        self._galleries: dict[int, DatasetGallery] = {}
        self._ready: dict[str, _Ready] = {}
        # Files of a dataset are read by one thread at a time; a model may be loaded meanwhile.
        self._loading, self._answering = RLock(), RLock()
        self.first = next(iter(self._paths))
        self.gallery = self.load(self.first).gallery
        if self._embedded:
            self._require_fitting(len(embedded))
        # The page shows two at once; of more, each is loaded when it is first asked.
        for composer in self.composers if len(self.composers) == 2 else ():
            self.load(composer)
        # What is made on first use is made now, so that the first query waits for nothing.
        for row, texts in [*self._texts_of_source.items()][:1]:
            self.answer(self.first, row, texts[0], 1)

    @property
    def composers(self) -> tuple[str, ...]:
        return tuple(self._paths)

    @property
    def task(self) -> str:
        return self._task.name

    def load(self, composer: str) -> _Ready:
        """Load a model and encode the gallery with it, unless that is done.

        Raises:
            UsageError: there is no such composer here.
        """
        if composer not in self._paths:
            raise UsageError(unknown("composer", composer, self._paths))
        with self._loading:
            if composer not in self._ready:
                model = Model.load(self._paths[composer], device=self._device, reporter=self._reporter)
                if model.identity.task != self.task:
                    raise UsageError(f"{self._paths[composer]} is a model on {model.identity.task}, not on {self.task}")
                size = model.image_size
                if size not in self._galleries:
                    self._galleries[size] = model.test_images(self.task, self._root)
                searched = self._embedded.get(model.weights, self._galleries[size])
                model.encode(searched)
                self._ready[composer] = _Ready(model, self._galleries[size], searched)
            return self._ready[composer]

    def _require_fitting(self, count: int) -> None:
        """Load all models, and raise UsageError unless all `count` files are of these images, by one model each."""
        made = {self.load(composer).model.weights for composer in self.composers}
        if len(self._embedded) < count:
            raise UsageError("--gallery: two files hold embeddings by the same model; leave one out")
        for gallery in self._embedded.values():
            if gallery.fingerprint != self.gallery.fingerprint or len(gallery) != len(self.gallery):
                raise UsageError(f"--gallery {gallery.title}: holds other images than the test images of {self.task}")
            if gallery.weights not in made:
                raise UsageError(f"--gallery {gallery.title}: no model here made it; add the one that did with --model")

    def answer(self, composer: str, image: int | bytes, text: str, k: int) -> dict[str, Any]:
        """Rank the gallery for one query and judge the answers, as JSON values.

        Args:
            image: a row of the gallery, or the content of a file.

        Raises:
            UsageError: there is no such composer or image, or the text has no words or too many.
        """
        if len(text) > LONGEST_TEXT:
            raise UsageError(f"the text has {len(text):,} characters; expected at most {LONGEST_TEXT}")
        if not 1 <= k <= MOST_ANSWERS:
            raise UsageError(f"k: expected 1 to {MOST_ANSWERS}, got {k}")
        model, gallery, searched = self.load(composer)
        asked = image if isinstance(image, int) else self._uploaded(image, model, gallery)
        with self._answering:
            start = time.perf_counter()
            asked = gallery.query_by_row(asked) if isinstance(asked, int) else asked
            found = model.rank(asked, text, k, gallery=searched)
            seconds = time.perf_counter() - start
            judge = self._judge(found.image, text)
        verdicts = [judge.verdict(gallery.keys[answer.row]) if judge else None for answer in found.answers]
        return {
            "composer": composer,
            "recipe": label_on(self.task, model.identity.recipe),
            "milliseconds": round(1000 * seconds, 1),
            "candidates": found.candidates,
            "relevant": found.relevant,
            "applies": found.applies,
            "notes": list(found.notes),
            "image": {"row": found.image.row, "scene": found.scene},
            "right": self._right(found, judge),
            "answers": [
                {
                    "rank": answer.rank,
                    "row": answer.row,
                    "similarity": round(answer.similarity, 4),
                    "scene": answer.scene,
                    "is_relevant": answer.is_relevant,
                    "verdict": _told(verdict) if verdict else None,
                }
                for answer, verdict in zip(found.answers, verdicts, strict=True)
            ],
        }

    def picture(self, row: int, *, of_query: bool) -> bytes:
        """Return an image of the gallery as a WebP file, or the image that a query with this row starts from."""
        with self._answering:
            return webp(self.gallery.query_by_row(row).picture if of_query else self._gallery_picture(row))

    def describe(self, row: int) -> dict[str, Any]:
        """Return what an image shows, and some texts that the dataset asks of it."""
        with self._answering:
            image = self.gallery.query_by_row(row)
        scene = image.scene.key if image.scene else None
        return {"row": row, "scene": scene, "texts": self._texts_of_source.get(row, [])[:_MOST_EXAMPLES]}

    def images(self, seed: int, count: int) -> list[dict[str, Any]]:
        """Return different images that queries of the dataset start from, in an order drawn from the seed."""
        if not 1 <= count <= _MOST_IMAGES:
            raise UsageError(f"count: expected 1 to {_MOST_IMAGES}, got {count}")
        rows = np.array(sorted(self._texts_of_source))
        drawn = np.random.default_rng(seed).permutation(rows)[:count].tolist()
        keys = self.gallery.keys
        return [{"row": row, "scene": keys[row] if keys else None} for row in drawn]

    def complete(self, text: str) -> Completion:
        """Return how a text may go on; a text that is too long may not."""
        return complete(self._language, text) if len(text) <= LONGEST_TEXT else Completion(text, (), False)

    @cached_property
    def _language(self) -> Language:
        if self._task.parse and not self._task.track:
            return CssGrammar(self._names)
        return DatasetTexts(self.gallery.split.queries.texts)

    @cached_property
    def _names(self) -> str:
        """Of shapes, as the first model knows them."""
        return "3d" if any(name in (self._ready[self.first].model.words or ()) for name in SOLID_NAMES) else "2d"

    @cached_property
    def _texts_of_source(self) -> dict[int, list[str]]:
        queries = self.gallery.split.queries
        found: dict[int, list[str]] = defaultdict(list)
        for row, text in zip(queries.source_images.tolist(), queries.texts, strict=True):
            found[row].append(text)
        return dict(found)

    @cached_property
    def _rows_of_key(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for row, key in enumerate(self.gallery.keys):
            found[key].append(row)
        return dict(found)

    def _uploaded(self, content: bytes, model: Model, gallery: DatasetGallery) -> QueryImage:
        image = uploaded(content, task=self.task, image_size=model.image_size)
        with self._answering:
            return gallery.recognised(image)

    def _gallery_picture(self, row: int) -> Pixels:
        if not 0 <= row < len(self.gallery):
            raise UsageError(f"image {row}: the test images of {self.task} are 0 to {len(self.gallery) - 1}")
        return self.gallery.picture(row)

    def _judge(self, image: QueryImage, text: str) -> Judge | None:
        """Make the judge of a query's answers; None where the scene is unknown or the text is no program on scenes."""
        program = read_program(text, self._task.parse)
        if image.scene is None or program is None:
            return None
        return Judge(image.scene, program, labels=self._labels(image.row, text), names=self._names)

    def _labels(self, row: int | None, text: str) -> dict[str, Kind]:
        """What is wrong with the scenes that the dataset put into the gallery for this very query, by key."""
        rows = self.gallery.query_rows if self._task.track else ()
        found: dict[str, Kind] = {}
        for query in rows:
            if query.source_id == row and query.text.lower().split() == text.lower().split():
                for why, wrong in query.distractors:
                    meaning = "A wrong answer that the dataset holds for this very query, under this label."
                    found[self.gallery.keys[wrong]] = WrongAnswer(why, meaning)
        return found

    def _right(self, found: Found, judge: Judge | None) -> list[int]:
        """Rows of relevant images, at most twelve."""
        if judge is None:
            return []
        rows = [row for key in judge.wanted for row in self._rows_of_key.get(key, ()) if row != found.image.row]
        return rows[:_MOST_RIGHT]


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "is_right": verdict.is_right,
        "kind": verdict.kind,
        "meaning": verdict.meaning,
        "cells": [{"cell": str(row.cell), "shown": list(row.shown)} for row in verdict.cells],
    }
