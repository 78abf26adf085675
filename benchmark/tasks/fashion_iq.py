"""FashionIQ: a garment and two captions; find the garment that they describe, within its category."""

from pathlib import Path

from benchmark.datasets.contents import Contents, Count
from benchmark.datasets.fashion_iq import CATEGORIES, FashionIq, read_annotations
from benchmark.tasks.base import Slice, Task
from benchmark.tasks.registry import register


def contents(root: Path) -> Contents:
    """What a folder of FashionIQ holds.

    Raises:
        BenchmarkError: it is not laid out as its owners ship it.
    """
    found = read_annotations(root)
    counts = [
        count
        for split, title in (("train", "training"), ("val", "validation"))
        for count in (
            Count(f"{title} images", len(found.garments[split])),
            *(
                Count(
                    f"{title} queries: {category}",
                    sum(triplet.target.category == category for triplet in found.triplets[split]),
                )
                for category in CATEGORIES
            ),
        )
    ]
    return Contents(counts=tuple(counts), images=tuple(sorted(found.files.values())), problems=found.problems, notes=())


register(
    Task(
        name="fashion-iq",
        title="FashionIQ, validation split",
        about="FashionIQ, the garment that two captions describe, within its category",
        folder="fashion-iq",
        features="pooled",
        images="owned",
        open=FashionIq,
        check=contents,
        slices={"category": Slice("category", CATEGORIES)},
        averaged_over="category",
        pretrained_changes=("training.encoder_factor=0.1",),
    )
)
