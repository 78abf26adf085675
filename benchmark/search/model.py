"""A trained model in Python: load it, rank images for a query, score it on a task."""

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmark import tasks
from benchmark.datasets.exchanged_channels import is_exchanged_name
from benchmark.device import choose_device, make_accelerator
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.identity import Run
from benchmark.recipe.runtime import Runtime
from benchmark.scoring import evaluation
from benchmark.scoring.metrics import Metrics, metrics_of
from benchmark.search.answer import Found, judged
from benchmark.search.embedded_gallery import EmbeddedGallery, write_embedded
from benchmark.search.embedding import Embedded, Encoded, EncodedGallery, encode_gallery, encode_query
from benchmark.search.folder_gallery import FolderGallery
from benchmark.search.gallery import DatasetGallery, Gallery
from benchmark.search.query_image import QueryImage, query_from_file, query_from_pixels, resampling
from benchmark.search.wording import understood
from benchmark.training.checkpoint import Checkpoint, weights_sha256
from css_gen.progress import Reporter, Silent

Asked = QueryImage | int | str | Path | NDArray[np.uint8]
"""What a query may start from: a row of the test images, an image file, or pixels (H, W, 3)."""


class Model:
    """A trained model. Make one with `load_model`.

    Attributes:
        identity: the run that it comes from: composer, dataset, seed, recipe.
        image_size: width and height of the images that the network sees, in pixels.
        words: the words that it was trained on, sorted, without the names of exchanged colours.
        weights: SHA-256 of its weights.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str, reporter: Reporter) -> None:
        self.identity: Run = checkpoint.run
        self.image_size = self.identity.recipe.data.image_size
        self.network = checkpoint.network()
        words = self.network.text_encoder.words
        self.words = words and tuple(word for word in words if not is_exchanged_name(word))
        self.weights = weights_sha256(checkpoint.tensors)
        self._accelerator = make_accelerator(device, "fp32")
        self._device, self._reporter = device, reporter
        self._tests: DatasetGallery | None = None
        self._encoded: tuple[Gallery, EncodedGallery] | None = None
        self.network.arrange(self._accelerator.device, self.image_size)

    @classmethod
    def load(cls, path: str | Path, *, device: str | None = None, reporter: Reporter | None = None) -> Self:
        """As `load_model`; `reporter` is told about long work."""
        try:
            return cls(Checkpoint.read(Path(path)), device=choose_device(device), reporter=reporter or Silent())
        except BenchmarkError as error:
            # Any file may be named here, so nobody should be told to delete it.
            raise type(error)(str(error).removesuffix("; delete it")) from None

    def rank(self, image: Asked, text: str, k: int = 10, *, gallery: Gallery | str | Path | None = None) -> Found:
        """Rank the images of a gallery for one query. The query's own image is left out.

        >>> import benchmark
        >>> model = benchmark.load_model("model.safetensors", device="cpu")
        >>> found = model.rank(3, "make object red", k=2)
        >>> [answer.rank for answer in found.answers]
        [1, 2]
        >>> found.candidates  # all test images but number 3
        74

        Args:
            image: the number of a test image, the path of an image file, or pixels (H, W, 3).
            text: what to change, such as "make top-left cube red".
            k: how many answers, 1 or more.
            gallery: a folder of image files, a .npy file of `embed`, or a `Gallery`; the test images of the model's
                task, in `data/`, if None. The gallery of the last call stays encoded, so that further queries on it
                are quick; a folder is encoded again if a file in it has changed.

        Raises:
            UsageError: there is no such image or folder, the text has no words, or `k` is below 1.
            BenchmarkError: the gallery cannot be read, or memory ran out.
        """
        if k < 1:
            raise UsageError(f"k: expected 1 or more, got {k}")
        task = tasks.find(self.identity.task)
        parse = task.parse if task else None
        wording = understood(text, self.words, names_shapes=parse is not None)
        searched = self._gallery(gallery)
        start = self._query(image, searched)
        images = self.encode(searched)
        own = images.places_of(start, own_row=start.row if isinstance(searched, DatasetGallery) else None)
        query = encode_query(self.network, start, wording.text, accelerator=self._accelerator)
        embedded = Embedded(query, images.images, images.rows, own, images.nearest)
        return judged(embedded, searched, start, text, parse, k=k, words=self.words, notes=wording.notes)

    def encode(self, gallery: Gallery) -> Encoded:
        """Encode the images of a gallery, unless they are those of the last call. `rank` does so on its first query.

        Raises:
            BenchmarkError: the gallery cannot be read, or memory ran out.
            UsageError: it is a file of embeddings that another model made.
        """
        if isinstance(gallery, EmbeddedGallery):
            self._require_own(gallery)
            return gallery
        if self._encoded is None or self._encoded[0] is not gallery:
            encoded = encode_gallery(self.network, gallery, accelerator=self._accelerator, reporter=self._reporter)
            self._encoded = gallery, encoded
        return self._encoded[1]

    def embed(self, gallery: Gallery, path: Path) -> int:
        """Write the embeddings of a gallery to a .npy file, and what is known of its images beside it.

        `rank` searches such a file without reading it into memory.

        Returns:
            How many images it holds.

        Raises:
            BenchmarkError: the gallery cannot be read, the file cannot be written, or memory ran out.
        """
        accelerator, reporter = self._accelerator, self._reporter
        return write_embedded(
            path, self.network, gallery, weights=self.weights, accelerator=accelerator, reporter=reporter
        )

    def test_images(self, task: str | None = None, data: str | Path | None = None) -> DatasetGallery:
        """Open the test images of a task as a gallery.

        Args:
            task: the model's if None.
            data: the folder of its data; in `data/` if None.

        Raises:
            BenchmarkError: the folder does not hold the data.
        """
        name = tasks.get(task or self.identity.task).name
        root = Path(data) if data is not None else tasks.locate(name, {})
        return DatasetGallery(name, root, image_size=self.image_size, reporter=self._reporter)

    def score(self, task: str | None = None, data: str | Path | None = None) -> Metrics:
        """As `evaluate`."""
        found = tasks.get(task or self.identity.task)
        root = Path(data) if data is not None else tasks.locate(found.name, {})
        if found.spatial != self.identity.spatial:
            features = {"map": "the feature map", "pooled": "the pooled vector"}
            raise UsageError(
                f"{found.name}: composers get {features[found.features]} there, and this model was trained otherwise"
            )
        dataset = found.open(root, image_size=self.image_size, reporter=self._reporter, skip_broken=True)
        recipe = self.identity.recipe
        accelerator = make_accelerator(self._device, recipe.training.precision)
        scored = evaluation.evaluate(
            self.network, dataset.test, accelerator=accelerator, batch_size=Runtime(device=self._device).batch_size
        )
        return metrics_of(scored.outcomes)

    def _gallery(self, gallery: Gallery | str | Path | None) -> Gallery:
        if gallery is None:
            self._tests = self._tests or self.test_images()
            return self._tests
        if isinstance(gallery, str | Path) and Path(gallery).suffix == ".npy":
            return EmbeddedGallery(Path(gallery))
        if isinstance(gallery, str | Path):
            folder = FolderGallery(Path(gallery), image_size=self.image_size, resampling=resampling(self.identity.task))
            before = self._encoded[0] if self._encoded else None
            return before if isinstance(before, FolderGallery) and before.has_the_files_of(folder) else folder
        return gallery

    def _require_own(self, gallery: EmbeddedGallery) -> None:
        if gallery.weights not in ("", self.weights):
            raise UsageError(
                f"{gallery.title}: its embeddings are of another model than {self.identity}; run `tirg-bench embed` "
                "with this one"
            )
        if gallery.images.shape[1] != self.network.head.out_features:
            raise UsageError(
                f"{gallery.title}: its embeddings have {gallery.images.shape[1]} columns, expected "
                f"{self.network.head.out_features}, as {self.identity} makes them"
            )

    def _query(self, image: Asked, gallery: Gallery) -> QueryImage:
        if isinstance(image, QueryImage):
            return image
        if isinstance(image, int | np.integer):
            tests = gallery if isinstance(gallery, DatasetGallery) else self._gallery(None)
            assert isinstance(tests, DatasetGallery)
            return tests.query_by_row(int(image))
        method = resampling(self.identity.task)
        if isinstance(image, np.ndarray):
            start = query_from_pixels(image, image_size=self.image_size, resampling=method)
        else:
            start = query_from_file(Path(image), image_size=self.image_size, resampling=method)
        return gallery.recognised(start) if isinstance(gallery, DatasetGallery) else start


def load_model(path: str | Path, *, device: str | None = None) -> Model:
    """Load a trained model: the `model.safetensors` that `tirg-bench run` leaves. Neither data nor network is needed.

    >>> import benchmark
    >>> model = benchmark.load_model("model.safetensors", device="cpu")
    >>> str(model.identity)
    'tirg on css, seed 0'

    Args:
        device: cpu, cuda or cuda:N; a GPU if there is one, else the CPU, if None.

    Raises:
        BenchmarkError: the file is missing, damaged, not a model, or of code that has changed since.
        UsageError: there is no such device.
    """
    return Model.load(path, device=device)


def evaluate(model: Model, task: str | None = None, *, data: str | Path | None = None) -> Metrics:
    """Score a model on the test split of a task, as `tirg-bench run` does.

    >>> import benchmark
    >>> model = benchmark.load_model("model.safetensors", device="cpu")
    >>> metrics = benchmark.evaluate(model, "css")
    >>> 0 <= metrics.recall[1] <= metrics.recall[10] <= 100
    True

    Args:
        task: a name that `tirg-bench list` shows; the model's own if None.
        data: the folder of its data; in `data/` if None.

    Returns:
        Recall@K in percent by K, chance, and both by slice.

    Raises:
        UsageError: there is no such task, or its features are not those that the model was trained on.
        BenchmarkError: the folder does not hold the data, or memory ran out.
    """
    return model.score(task, data)
