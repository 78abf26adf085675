"""One question to a trained model: find it, read the words as it knows them, rank a gallery, judge the answers."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.datasets.batches import Rows
from benchmark.datasets.splits import Queries, Split
from benchmark.device import is_out_of_memory
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.identity import Run, RunName
from benchmark.recipe.label import slug
from benchmark.records.store import SUBMISSIONS
from benchmark.runs.single_run import MODEL_NAME
from benchmark.scoring.evaluation import embed_gallery, embed_queries
from benchmark.search.gallery import Gallery, QueryImage, rows_like
from benchmark.training.checkpoint import Checkpoint
from css_gen.progress import Reporter
from css_gen.scenes.factors import Shape
from css_gen.scenes.modification import parse
from models.network import Network
from models.text_encoders import Vocabulary, words_of

_FLAT_OF_SOLID = {shape.solid_name: str(shape) for shape in Shape}
_OTHER_NAME = _FLAT_OF_SOLID | {flat: solid for solid, flat in _FLAT_OF_SOLID.items()}
_LISTED = 6
_AT_ONCE = 128


class Model(NamedTuple):
    """A network in eval mode on the CPU, and the run that it comes from."""

    network: Network
    identity: Run


@dataclass(frozen=True)
class Wording:
    """A text as a model reads it.

    Attributes:
        text: lowercase words with a space between them; names of shapes are those that the model knows.
        translated: the names that were replaced, and by what.
        unknown: the words that the model was not trained on, and the known words nearest to each, perhaps none.
    """

    text: str
    translated: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for the replaced names and one for the unknown words, where there are any."""
        notes = []
        if self.translated:
            pairs = " and ".join(f"{given!r} is {known!r}" for given, known in self.translated.items())
            notes.append(f"in the words that this model was trained on {pairs}: the text is read as {self.text!r}")
        if self.unknown:
            words = "; ".join(
                f"{word!r} (nearest: {', '.join(near)})" if near else f"{word!r} (nothing is near)"
                for word, near in self.unknown.items()
            )
            notes.append(f"warning: the model was not trained on {words}")
        return tuple(notes)


class Embedded(NamedTuple):
    """Embeddings of length one, on the CPU.

    Attributes:
        query: (D,).
        images: (N, D).
        rows: (N,), the gallery's row of each image; rows that could not be read are missing.
        own: the places in `rows` that show the query's own image.
    """

    query: Tensor
    images: Tensor
    rows: Rows
    own: Rows


@dataclass(frozen=True)
class Answer:
    """Attributes:
    rank: from 1.
    similarity: the cosine, -1 to 1.
    row: of the gallery.
    scene: what the image shows, in words; None where that is not known.
    is_right: whether the scene is what the text makes of the query's; None where that is not known.
    """

    rank: int
    similarity: float
    row: int
    name: str
    scene: str | None
    is_right: bool | None


@dataclass(frozen=True)
class Found:
    """Attributes:
    answers: best first.
    candidates: how many images were ranked.
    right: how many of them are right answers; None where that is not known.
    scene: what the query's image shows, in words; None where that is not known.
    applies: whether any scene at all can be a right answer; True where that is not known.
    """

    answers: tuple[Answer, ...]
    candidates: int
    right: int | None
    scene: str | None
    applies: bool


def find_model(runs: Path, composer: str, dataset: str, preset: str | None, seed: int | None) -> Path:
    """The newest model of that composer on that dataset, of this preset and seed where they are given.

    Raises:
        BenchmarkError: there is none; the message names those that are there.
    """
    stored = sorted(runs.glob(f"*/*/*/{MODEL_NAME}"))
    fitting = []
    for path in stored:
        name = RunName.parse(path.parent.name)
        asked = name and (preset is None or name.preset == slug(preset)) and (seed is None or name.seed == str(seed))
        if path.parts[-4:-2] == (dataset, composer) and asked:
            fitting.append(path)
    if fitting:
        return max(fitting, key=lambda path: path.stat().st_mtime_ns)
    if any(runs.glob(f"{SUBMISSIONS}/{composer}-*")):
        raise BenchmarkError(f"{composer} is a submission: its code is run by `check`, `submit` and `verify` alone")
    recipe = "".join(f" --{name} {value}" for name, value in (("preset", preset), ("seed", seed)) if value is not None)
    kindred = [path for path in stored if path.parts[-4:-2] == (dataset, composer)]
    kindred = kindred or [path for path in stored if composer in path.parts[-4:-2] or dataset in path.parts[-4:-2]]
    names = ["/".join(path.parts[-4:-1]) for path in kindred or stored]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    raise BenchmarkError(
        f"{runs} holds no model of {composer} on {dataset}{' with' if recipe else ''}{recipe}; "
        f"there is {', '.join(names[:_LISTED]) or 'none at all'}{more}; "
        f"`tirg-bench run --composer {composer} --dataset {dataset}{recipe}` makes it"
    )


def read_model(path: Path) -> Model:
    """The model of a file.

    Raises:
        BenchmarkError: it is missing, damaged, no model, or one of code that has changed.
    """
    try:
        checkpoint = Checkpoint.read(path)
        return Model(checkpoint.network(), checkpoint.run)
    except BenchmarkError as error:
        # Any file may be named here, so that nobody should be told to delete it.
        raise BenchmarkError(str(error).removesuffix("; delete it")) from None


def understood(text: str, vocabulary: Vocabulary, *, is_css: bool) -> Wording:
    """The text in words that the model knows, where `is_css` with the names of shapes that its texts have.

    Raises:
        UsageError: there is no word in it.
    """
    words = words_of(text)
    if not words:
        raise UsageError("--text: expected words that say what to change, such as 'make top-left circle red'")
    known = set(vocabulary.words)
    names = {given: other for given, other in _OTHER_NAME.items() if is_css and other in known and given not in known}
    near_to = sorted(known | names.keys())
    unknown = {
        word: difflib.get_close_matches(word, near_to, n=3, cutoff=0.5)
        for word in words
        if word not in known and word not in names
    }
    read = " ".join(names.get(word, word) for word in words)
    return Wording(read, {word: names[word] for word in words if word in names}, unknown)


@torch.inference_mode()
def embed(
    network: Network,
    image: QueryImage,
    text: str,
    gallery: Gallery,
    *,
    own_row: int | None,
    accelerator: Accelerator,
    reporter: Reporter,
) -> Embedded:
    """Encode the query and the whole gallery.

    Args:
        network: on the accelerator's device.
        own_row: the gallery's row of the query's image; None to look for images with the same pixels.

    Raises:
        BenchmarkError: memory ran out, no image can be used, or the model gives numbers that are not finite.
    """
    parts, rows, own = [], [], []
    try:
        query = embed_queries(network, _as_split(image, text), accelerator=accelerator, chunk=1)[0].cpu()
        with reporter.track("encoding the gallery", len(gallery), "images") as report:
            for some, pixels in gallery.chunks(_AT_ONCE):
                parts.append(embed_gallery(network, pixels, accelerator=accelerator, chunk=_AT_ONCE).cpu())
                rows.append(some)
                own.append(some[rows_like(pixels, image.pixels)] if own_row is None else some[some == own_row])
                report(int(some[-1]) + 1)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise BenchmarkError("out of memory while encoding the gallery: make room, or use --device cpu") from error
        raise
    if not parts:
        name, why = next(iter(gallery.broken.items()))
        raise BenchmarkError(f"{gallery.title}: none of the {len(gallery)} images can be used; {name} {why}")
    images, all_rows = torch.cat(parts), np.concatenate(rows)
    if not (images.isfinite().all() and query.isfinite().all()):
        raise BenchmarkError("the model gives embeddings that are not finite: its training diverged; train it again")
    return Embedded(query, images, all_rows, np.flatnonzero(np.isin(all_rows, np.concatenate(own))))


def ranked(embedded: Embedded, k: int) -> list[tuple[int, float]]:
    """Rows of the gallery and their cosine similarities, the K best first; equal ones in the order of their rows.

    The query's own image is left out.
    """
    # In float64 the result does not depend on the order in which a matrix product adds.
    similarity = (embedded.images.double() @ embedded.query.double()).numpy()
    places = np.setdiff1d(np.arange(len(similarity)), embedded.own)
    best = places[np.argsort(-similarity[places], kind="stable")[:k]]
    return [(int(embedded.rows[place]), float(np.clip(similarity[place], -1, 1))) for place in best]


def judged(
    embedded: Embedded, gallery: Gallery, image: QueryImage, text: str, vocabulary: Vocabulary, *, k: int
) -> Found:
    """The best answers, told in words and judged by the scenes, where these are known and the text can be parsed."""
    right = right_keys(image, text)
    keys = gallery.keys
    solid = any(name in vocabulary.words for name in _FLAT_OF_SOLID)
    candidates = np.delete(embedded.rows, embedded.own)
    answers = tuple(
        Answer(
            rank,
            similarity,
            row,
            gallery.name(row),
            scene_in_words(keys[row], solid=solid) if keys else None,
            keys[row] in right if keys and right is not None else None,
        )
        for rank, (row, similarity) in enumerate(ranked(embedded, k), start=1)
    )
    count = sum(keys[row] in right for row in candidates.tolist()) if keys and right is not None else None
    scene = scene_in_words(image.scene.key, solid=solid) if image.scene else None
    return Found(answers, len(candidates), count, scene, right != frozenset())


def right_keys(image: QueryImage, text: str) -> frozenset[str] | None:
    """The scenes that the text makes of the image's; None if its scene is not known or the text is no modification."""
    if image.scene is None:
        return None
    try:
        return parse(text).targets(image.scene)
    except ValueError:
        return None


def scene_in_words(key: str, *, solid: bool) -> str:
    """A scene's key, with cube, sphere and cylinder where `solid`; words for the scene without objects."""
    if solid:
        key = re.sub(r"\w+", lambda word: _OTHER_NAME.get(word[0], word[0]), key)
    return key or "nothing"


def _as_split(image: QueryImage, text: str) -> Split:
    """The one query as scoring takes it; its target stands for nothing."""
    first, pixels = np.zeros(1, dtype=np.int64), image.pixels[None]
    queries = Queries(ids=("query",), sources=first, targets=first, own=first, texts=(text,), attributes={})
    return Split(sources=pixels, gallery=pixels, labels=first, queries=queries)
