"""An ablation: the same composer trained with one thing changed at a time, and what its paper reports for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmark.tasks.base import Source


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of an ablation: what it changes. A setting that changes nothing is the full composer.

    Attributes:
        title: first cell of its row.
        about: what is changed, in one line.
        composer: the variant to train, a name of `models.registry.variants`; "" for the ablation's own composer.
        changes: `KEY=VALUE` assignments to the recipe. Keys of `data` are excluded, because all settings of a task
            share one open dataset.
        tasks: which task to run in place of which; None for the task itself. A task that is missing here cannot be
            run with this setting.
        published: the paper's Recall@1 in percent, by task.

    Raises ValueError if a change is of a key of `data`.
    """

    title: str
    about: str
    composer: str = ""
    changes: tuple[str, ...] = ()
    tasks: Mapping[str, str] | None = None
    published: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if refused := [change for change in self.changes if change.startswith("data.")]:
            raise ValueError(f"setting {self.title!r} changes {refused[0]}: all settings of a task share its data")


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """The ablations of one composer.

    Attributes:
        composer: its name, which is also the name of the ablation.
        title: heading of the page.
        paper: where the published numbers are from.
        source: of the published numbers, a key of `tasks.SOURCES`.
        settings: the rows, the full composer first.
    """

    composer: str
    title: str
    paper: str
    source: Source
    settings: tuple[Setting, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that the paper reports a number for."""
        return tuple(dict.fromkeys(task for setting in self.settings for task in setting.published))
