"""A task: one protocol on one dataset, with all of its metadata."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from benchmark.datasets.contents import Contents
from benchmark.datasets.splits import Dataset
from css_gen.progress import Reporter
from css_gen.scenes.scene import Scene

Source = Literal["V", "T", "M"]

SOURCES: Mapping[Source, str] = MappingProxyType(
    {
        "V": "read in the released code, in its data's printed form, or in the tables of a survey's repository "
        "(github.com/fuxianghuang1/Multimodal-Composite-Editing-and-Retrieval)",
        "T": "a third party's transcription of the paper",
        "M": "as we recall the paper",
    }
)
"""What the letter beside a published number means."""


class Opener(Protocol):
    def __call__(self, root: Path, /, *, image_size: int, reporter: Reporter, skip_broken: bool) -> Dataset:
        """Open a dataset. Raises BenchmarkError if the folder does not hold it, or holds something broken."""
        ...


class SceneProgram(Protocol):
    """A text that was read as a program on scenes."""

    def targets(self, source: Scene) -> frozenset[str]:
        """Return the keys of all relevant scenes; none where the text does not apply."""
        ...


@dataclass(frozen=True)
class Slice:
    """How tables show the queries that share a value of an attribute.

    Attributes:
        heading: completes "R@1 by ...".
        values: those that come first, in this order; others follow in natural order. Values that no query has are
            not shown.
        on_tables: whether the Markdown page shows it; the CSV file and the site show every slice.
        seen: the only value that training shows, if the others are held out. The page then shows by how much R@1 is
            lower on each of those than on this one. "" for none.
    """

    heading: str
    values: tuple[str, ...] = ()
    on_tables: bool = True
    seen: str = ""


@dataclass(frozen=True)
class Published:
    """A result that a paper reports.

    Attributes:
        method: our name of the composer, or the method's own name where we have no such composer.
        recall: in percent, by K.
        source: a key of `SOURCES`.
        encoder: of the images, where we know it.
    """

    method: str
    recall: Mapping[int, float]
    source: Source
    encoder: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that is known of a task. Commands, tables, pages and tests read it from here and nowhere else.

    Attributes:
        name: on the command line, in records and in file names.
        title: heading of its tables.
        about: one line for `tirg-bench list`.
        summary: a sentence for its page, where the title does not say it all.
        folder: of its data in `data/`, and the NAME of `--data NAME=PATH`; tasks may share one.
        spellings: further names that are accepted for the task. Case, "-" and "_" never matter.
        features: whether composers get the map (B, C, H, W) or the pooled vector (B, C).
        images: "rendered" if css-gen renders them, so that published numbers are from other images; "owned" if they are
            the very images of the papers, which only their owners distribute.
        source_view: of rendered images: which view queries start from, "3d" or "2d". None for others.
        has_exact_answers: whether all relevant images of a query are known, so that tables show Drawn, its ceiling, mAP
            and oracles.
        parse: reads a text as a program on CSS scenes, in flat or solid names of shapes; raises ValueError where it is
            none. None where texts are free.
        track: of css-gen's, whose data this is; "" for css and for data of others. `run --all` does not render it.
        contrasts: the headings of its contrasts, in the order of the tables.
        shortcut: the solver that a track is built against, in a few words; "" without one.
        queries_per_target: how many test queries share a target and say the same in other words.
        open: gives the dataset from its folder.
        make: makes the data in a folder, or resumes making it; None for data that cannot be made.
        check: reads what a folder holds, for `tirg-bench data check`; None where there is another command.
        check_command: what checks the folder instead, with {path}; "" where `check` does.
        slices: how results are split by the attributes of queries, in the order of the tables; an attribute that is
            missing here follows under its own name.
        averaged_over: the attribute over whose values the published protocol averages Recall; None if it averages over
            queries.
        published: what the TIRG paper (Vo et al., CVPR 2019) reports, by composer.
        later: what later papers report, for methods that are not among our composers.
        recipe_changes: `KEY=VALUE` assignments by the name of a preset: what it changes for this task.
        pretrained_changes: `KEY=VALUE` assignments for an image encoder with pretrained weights.
    """

    name: str
    title: str
    about: str
    folder: str
    open: Opener
    features: Literal["map", "pooled"]
    images: Literal["rendered", "owned"]
    summary: str = ""
    spellings: tuple[str, ...] = ()
    source_view: Literal["3d", "2d"] | None = None
    has_exact_answers: bool = False
    parse: Callable[[str], SceneProgram] | None = None
    track: str = ""
    contrasts: tuple[str, ...] = ()
    shortcut: str = ""
    queries_per_target: int = 1
    make: Callable[[Path, Reporter], None] | None = None
    check: Callable[[Path], Contents] | None = None
    check_command: str = ""
    slices: Mapping[str, Slice] = field(default_factory=dict)
    averaged_over: str | None = None
    published: tuple[Published, ...] = ()
    later: tuple[Published, ...] = ()
    recipe_changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pretrained_changes: tuple[str, ...] = ()

    @property
    def spatial(self) -> bool:
        """Whether composers get the map."""
        return self.features == "map"

    @property
    def is_rendered(self) -> bool:
        """Whether css-gen renders its images, so that scenes are known."""
        return self.images == "rendered"

    @property
    def slice_order(self) -> dict[str, tuple[str, ...]]:
        """Attributes and values in the order of the tables, as `recall.slice_masks` takes them."""
        return {attribute: each.values for attribute, each in self.slices.items()}

    def published_of(self, composer: str) -> Published | None:
        """What the TIRG paper reports for a composer of ours."""
        return next((row for row in self.published if row.method == composer), None)


def published_rows(
    ks: tuple[int, ...], *rows: tuple[str, str, Source, *tuple[float | None, ...]]
) -> tuple[Published, ...]:
    """Published results from rows of (method, image encoder, source, Recall at each of `ks`); None where not reported.

    >>> published_rows((1, 10), ("tirg", "", "V", 14.1, None))[0].recall
    {1: 14.1}
    """
    return tuple(
        Published(method, {k: value for k, value in zip(ks, recall, strict=True) if value is not None}, source, encoder)
        for method, encoder, source, *recall in rows
    )
