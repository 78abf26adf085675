"""Fashion200k: photographs of garments with captions; find the garment whose caption differs by the word in the text.

The protocol is that of the TIRG paper (Vo et al., CVPR 2019), section 4.1, on the folder as Han et al. (ICCV 2017)
distribute it, with the test queries of google/tirg:

    labels/*_train_detect_all.txt, labels/*_test_detect_all.txt    file, detection score, caption; tab separated
    women/<category>/<caption>/<id>/*.jpeg
    test_queries.txt                                               source file, target file; separated by white space
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmark.datasets.image_cache import CachedImages, cached_files
from benchmark.datasets.problems import Problem, refuse, skipped_hash
from benchmark.datasets.splits import Queries, Rows, Split
from benchmark.datasets.word_swaps import WordSwaps, swap_text
from benchmark.errors import BenchmarkError
from css_gen.progress import Reporter

QUERY_FILE = "test_queries.txt"
_MARKS = {".": "dotmark", "?": "questionmark", "&": "andmark", "*": "starmark"}
_LISTED_PAIRS_SEED = 0
"""Of the training pairs that `Split.queries` lists, one for each source; batches draw their own."""


@dataclass(frozen=True)
class Labels:
    """The contents of a folder's text files.

    Attributes:
        captions: by split and image file, cleaned; images in an order that does not depend on the files' order.
        queries: (source file, target file, place in the query file), in the order of the file.
        problems: lines that cannot be used; they are not in the others.
        sha256: of the files' content.
    """

    captions: Mapping[str, Mapping[str, str]]
    queries: tuple[tuple[str, str, str], ...]
    problems: tuple[Problem, ...]
    sha256: str


class Fashion200k:
    """Training pairs are drawn on the fly: two captions that differ in one word, an image of each.

    Args:
        root: the folder that holds `labels`, `women` and `test_queries.txt`.
        image_size: images are scaled until their short side has it, and cropped to their middle.
        reporter: told about the decoding, which happens once per image size.
        skip_broken: leave out what is broken, instead of refusing the folder.

    Raises:
        BenchmarkError: label files are missing or cannot be read, or something is broken. Also on first use of a split.
    """

    name = "fashion200k"
    spatial = False
    rendering = None

    def __init__(self, root: Path, *, image_size: int, reporter: Reporter, skip_broken: bool) -> None:
        self._root, self._image_size, self._reporter, self._skip = root, image_size, reporter, skip_broken
        self._labels = read_labels(root)
        if not skip_broken:
            refuse(root, self.name, self._labels.problems)

    @cached_property
    def skipped(self) -> Mapping[str, str]:
        broken = {problem.place: problem.what for problem in self._labels.problems}
        return broken | dict(self._images("train").broken) | dict(self._images("test").broken)

    @property
    def fingerprint(self) -> str:
        content = f"{self._labels.sha256} {skipped_hash(self.skipped) or ''}"
        return hashlib.sha256(content.encode()).hexdigest()

    @cached_property
    def train(self) -> Split:
        captions = self._captions("train")
        swaps = WordSwaps(captions)
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(_LISTED_PAIRS_SEED)))
        everything = np.ones(len(captions), dtype=bool)
        sources = swaps.sources(everything)
        if not len(sources):
            raise BenchmarkError(f"{self._root}: no two training captions differ in one word, so there are no pairs")
        pairs = [swaps.draw(source, everything, rng=rng) for source in sources.tolist()]
        queries = Queries(
            ids=tuple(map(str, sources.tolist())),
            sources=sources,
            targets=np.array([target for _, target in pairs], dtype=np.int64),
            source_images=sources,
            texts=tuple(text for text, _ in pairs),
            attributes={},
        )
        return replace(self._split("train", captions, queries), further_texts=swaps.texts, drawn_pairs=swaps)

    @cached_property
    def test(self) -> Split:
        captions = self._captions("test")
        row = {path: number for number, path in enumerate(self._images("test").paths)}
        pairs = [
            (row[source], row[target]) for source, target, _ in self._labels.queries if {source, target} <= row.keys()
        ]
        if not pairs:
            raise BenchmarkError(f"{self._root / QUERY_FILE}: no query is left whose two files are test images")
        sources, targets = np.array(pairs, dtype=np.int64).T
        queries = Queries(
            ids=tuple(map(str, range(len(pairs)))),
            sources=sources,
            targets=targets,
            source_images=sources,
            texts=tuple(swap_text(captions[source], captions[target]) for source, target in pairs),
            attributes={},
        )
        return self._split("test", captions, queries)

    def _captions(self, split: str) -> list[str]:
        return [self._labels.captions[split][path] for path in self._images(split).paths]

    def _split(self, name: str, captions: Sequence[str], queries: Queries) -> Split:
        images = self._images(name)
        pixels = images.pixels
        labels: Rows = np.unique(np.array(captions), return_inverse=True)[1].astype(np.int64)
        return Split(
            sources=pixels,
            gallery=pixels,
            labels=labels,
            queries=queries,
            files=images.paths,
        )

    def _images(self, split: str) -> CachedImages:
        return self._all_images[split]

    @cached_property
    def _all_images(self) -> Mapping[str, CachedImages]:
        return {
            split: cached_files(
                self._root,
                self.name,
                split,
                tuple(captions),
                self._image_size,
                self._reporter,
                skip_broken=self._skip,
                key=self._labels.sha256[:16],
            )
            for split, captions in self._labels.captions.items()
        }


def read_labels(root: Path) -> Labels:
    """Read the text files; what cannot be used becomes a problem.

    Raises:
        BenchmarkError: a file is missing, cannot be read, or is not text.
    """
    problems: list[Problem] = []
    digest = hashlib.sha256()
    captions: dict[str, dict[str, str]] = {}
    for split in ("train", "test"):
        files = sorted(
            file for file in (root / "labels").glob(f"*_{split}_detect_all.txt") if not file.name.startswith(".")
        )
        if not files:
            raise BenchmarkError(
                f"{root}: no labels/*_{split}_detect_all.txt; expected Fashion200k as its owners ship it: "
                "the folders labels and women, and google/tirg's test_queries.txt"
            )
        found: dict[str, str] = {}
        for file in files:
            for place, line in _lines(root, file, digest):
                fields = line.split("\t")
                if len(fields) < 3 or not fields[0].strip() or not fields[2].strip():
                    problems.append(Problem(place, "expected file, detection score and caption, separated by tabs"))
                elif fields[0].strip() in found:
                    problems.append(Problem(place, f"{fields[0].strip()} is listed twice"))
                else:
                    found[fields[0].strip()] = cleaned(fields[2])
        captions[split] = dict(sorted(found.items(), key=lambda item: hashlib.sha256(item[0].encode()).digest()))
    if both := captions["train"].keys() & captions["test"].keys():
        problems += [Problem(path, "is listed for training and for the test") for path in sorted(both)]
        captions["train"] = {path: caption for path, caption in captions["train"].items() if path not in both}
    if not (root / QUERY_FILE).is_file():
        raise BenchmarkError(f"{root}: no {QUERY_FILE}; it comes with google/tirg, not with Fashion200k: put it there")
    queries = []
    for place, line in _lines(root, root / QUERY_FILE, digest):
        files_of_query = line.split()
        unknown = [file for file in files_of_query if file not in captions["test"]]
        if len(files_of_query) != 2:
            problems.append(Problem(place, "expected the source's file and the target's"))
        elif unknown:
            problems.append(Problem(place, f"{unknown[0]} is in no test label file"))
        else:
            queries.append((files_of_query[0], files_of_query[1], place))
    return Labels(captions, tuple(queries), tuple(problems), digest.hexdigest())


def cleaned(caption: str) -> str:
    """Clean a caption as google/tirg does: some punctuation marks become words."""
    caption = caption.strip()
    for mark, word in _MARKS.items():
        caption = caption.replace(mark, word)
    return caption


def _lines(root: Path, file: Path, digest: "hashlib._Hash") -> Iterator[tuple[str, str]]:
    """(place, line) for each line that is not blank."""
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise BenchmarkError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{file}: not UTF-8 text at byte {error.start}; fetch it again") from None
    digest.update(file.name.encode() + b"\0" + content + b"\0")
    name = file.relative_to(root)
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{name}:{number}", line.rstrip("\r")
