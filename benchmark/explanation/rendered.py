"""The rendered dataset that a record was scored on, made again from its configuration: nothing is read from disk.

Scenes and queries are pure functions of the configuration, and an image takes milliseconds, so that a site needs the
records alone. What differs from the records is found before anything is shown.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import tasks
from benchmark.explanation.summary import kinds_of_answers
from benchmark.explanation.track_kinds import Kind, kinds_of
from benchmark.records.rankings import StoredRanking
from benchmark.records.store import StoredRecord
from benchmark.scoring.recall import Outcomes
from css_gen import tracks
from css_gen.dataset import QueryRow
from css_gen.scenes.randomness import SplitId
from css_gen.scenes.scene import Scene
from css_gen.storage.configuration import CSS, Configuration
from css_gen.storage.plan import Plan, held_out, image_materials, split_name, split_plan
from css_gen.storage.shard_writer import render_pixels

_SCORED = SplitId.TEST
_LARGEST_IMAGE = 224
"""Width and height in pixels above which images are not rendered, since they are shown much smaller."""


@dataclass(frozen=True)
class Rendered:
    """A dataset of css-gen's: what its scored split shows and asks, and pictures of it."""

    configuration: Configuration

    @cached_property
    def plans(self) -> dict[SplitId, Plan]:
        """Of every split. Raises ValueError if a split has too few images."""
        return {split: split_plan(self.configuration, split) for split in SplitId}

    @cached_property
    def scenes(self) -> list[Scene]:
        """Of every image of the gallery."""
        return _scenes(self.plans[_SCORED])

    @cached_property
    def queries(self) -> list[QueryRow]:
        """Of the scored split, in the order of their ids."""
        return _queries(self.plans[_SCORED], self.configuration.names)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All kinds of answers to its queries."""
        name = self.configuration.track
        return kinds_of(None if name == CSS else tracks.get(name))

    @property
    def held_out(self) -> dict[str, Any]:
        """The shape-colour combinations that one split alone shows, by split."""
        found: dict[str, Any] = held_out(self.configuration).to_json()
        return found

    def pixels(self, image: int, column: str) -> NDArray[np.uint8]:
        """Render an image of the gallery: column "image_3d" or "image_2d", uint8 (S, S, 3)."""
        size = min(self.configuration.size, _LARGEST_IMAGE)
        small = replace(self.configuration, size=size, extras=())
        materials = image_materials(self.plans[_SCORED], image)
        solid, flat = render_pixels(small, _SCORED, image, self.scenes[image], materials=materials)
        return solid if column == "image_3d" else flat

    def counts(self) -> dict[str, dict[str, int]]:
        """Count images, scenes, queries and texts: numbers by what is counted, then by split."""
        counts: dict[str, dict[str, int]] = {}

        def count(label: str, split: str, number: int) -> None:
            counts.setdefault(label, {})[split] = number

        for split, plan in self.plans.items():
            name = split_name(split)
            scored = split is _SCORED
            scenes = self.scenes if scored else _scenes(plan)
            queries = self.queries if scored else _queries(plan, self.configuration.names)
            count("images", name, plan.images)
            count("references, from which queries start", name, plan.references)
            count("different scenes", name, len({scene.key for scene in scenes}))
            count("queries", name, len(queries))
            count("different texts", name, len({query.text for query in queries}))
            kinds = Counter(query.kind for query in queries)
            for kind in sorted(kinds):
                count(f"queries: {kind}", name, kinds[kind])
            count("queries on combinations that train never shows", name, sum(query.novel for query in queries))
        return counts

    def answer_kinds(self, outcomes: Outcomes) -> tuple[Kind, ...]:
        """Return the kind of each query's first image, as `kinds_of_answers`.

        Kinds are kept for the next run: most runs give most queries the same first image.
        """
        return kinds_of_answers(self.scenes, self.queries, outcomes, known=self._known_kinds)

    @cached_property
    def _known_kinds(self) -> dict[tuple[int, int], Kind]:
        return {}

    def is_of(self, run: StoredRecord | StoredRanking) -> bool:
        """Whether the run was scored on these queries and this gallery."""
        plan = self.plans[_SCORED]
        # Sizes first, so that a record cannot make this draw more scenes than it has queries.
        if (run.record.dataset.gallery, len(run.outcomes)) != (plan.images, plan.query_count):
            return False
        return np.array_equal(run.outcomes.sources, [query.source_id for query in self.queries])


def find_rendered(run: StoredRecord | StoredRanking) -> Rendered | str:
    """The dataset of a record, or a sentence that says why it cannot be shown."""
    task = tasks.find(run.record.protocol)
    if task is None:
        return "This task is not registered here, so there are no pictures of it."
    if not task.is_rendered:
        return "We may not redistribute these images, so there are no pictures."
    if run.record.dataset.rendering is None:
        return "The records do not say how their dataset is rendered, so there are no pictures and no counts of errors."
    try:
        found = Rendered(Configuration.from_json(run.record.dataset.rendering))
        fits = found.is_of(run)
    except (ValueError, TypeError) as error:
        return f"The records' dataset cannot be rendered here ({error}), so there are no pictures."
    if not fits:
        return "The records hold other queries than their dataset's configuration gives here, so there are no pictures."
    return found


def view_of_sources(protocol: str) -> str:
    """The column of images that queries of a task start from."""
    task = tasks.find(protocol)
    return f"image_{(task and task.source_view) or '3d'}"


def _scenes(plan: Plan) -> list[Scene]:
    return [plan.scene(image) for image in range(plan.images)]


def _queries(plan: Plan, names: str) -> list[QueryRow]:
    return [
        QueryRow(
            query_id=query.index,
            source_id=query.source,
            target_id=query.target,
            modification_id=query.modification_id,
            text=query.modification.text_with(names),
            modification=query.modification,
            kind=query.modification.kind,
            novel=query.novel,
            distractors=query.distractors,
        )
        for query in plan.queries(0, plan.query_count)
    ]
