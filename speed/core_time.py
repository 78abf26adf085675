"""CPU time of making a dataset, by stage."""

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from css_gen import render as writing
from css_gen.scenes.sampling import SplitPlan
from css_gen.storage import shard_writer
from css_gen.storage.configuration import Configuration

STAGES = ("sample", "3D", "2D", "encode", "write", "queries")
PLACES: Mapping[tuple[Any, str], str] = {
    (SplitPlan, "scene"): "sample",
    (Configuration, "nuisance"): "sample",
    (shard_writer, "render_3d"): "3D",
    (shard_writer, "render_2d"): "2D",
    (shard_writer, "encode_png"): "encode",
    (writing, "write_queries"): "queries",
}
"""Functions by whose time a stage is measured: their owner and name. `write` is the rest."""

WARM_UP_IMAGES = 12


class CoreTime:
    """CPU time of this process by stage; a stage that calls another one is not charged for it."""

    def __init__(self) -> None:
        self.nanoseconds = dict.fromkeys(STAGES, 0)
        self._stage = "write"
        self._since = time.process_time_ns()

    def switch(self, stage: str) -> str:
        """Charge the time since the last switch to the stage that was on; return which that was."""
        now = time.process_time_ns()
        before, self._stage = self._stage, stage
        self.nanoseconds[before] += now - self._since
        self._since = now
        return before

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            before = self.switch(stage)
            try:
                return function(*arguments, **options)
            finally:
                self.switch(before)

        return call


def time_stages(configuration: Configuration) -> dict[str, float]:
    """Core milliseconds an image of each stage. `write` is what is left: hashes, Parquet, checksums."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as patches:
        writing.render(Path(scratch) / "warm", Configuration(images=WARM_UP_IMAGES, size=configuration.size), jobs=1)
        clock = CoreTime()
        for (owner, name), stage in PLACES.items():
            patches.enter_context(patch.object(owner, name, clock.timed(stage, getattr(owner, name))))
        writing.render(Path(scratch) / "timed", configuration, jobs=1)
        clock.switch("write")
    return {stage: spent / 1e6 / configuration.images for stage, spent in clock.nanoseconds.items()}
