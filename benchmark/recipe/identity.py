"""The identity of a run: one key for its record, its folder and its checkpoint."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from benchmark.recipe.label import slug
from benchmark.recipe.schema import Recipe

_SHORT = 8
"""Digits of a hash in a file's name."""

_NAME = re.compile(r"(?P<preset>.+)-(?P<recipe>[^-]+)-s(?P<seed>\d+)-(?P<fingerprint>.+)")


class RunName(NamedTuple):
    """The parts of the name of a run's record or folder: the slug of its recipe's label, and digits of hashes."""

    preset: str
    recipe: str
    seed: str
    fingerprint: str

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """The parts of a name without its ending; None if it is not the name of a run."""
        match = _NAME.fullmatch(name)
        return cls(**match.groupdict()) if match else None


@dataclass(frozen=True)
class RunIdentity:
    """The values that tell runs apart. All of them are in the path of a run's record and folder:

        <task>/<composer>/<preset>-<recipe hash, 8 digits>-s<seed>-<fingerprint, 8 digits>

    The preset is there for people: it is a label of the recipe's hash, and `find` does not depend on it.

    Attributes:
        recipe: the hash of the recipe.
        fingerprint: of the dataset.
    """

    task: str
    composer: str
    recipe: str
    seed: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.composer} on {self.task}, seed {self.seed}"

    def place(self, label: str) -> Path:
        """The run's path below `records/` or `runs/`, without an ending. `label` is what the recipe is called."""
        recipe, seed, fingerprint = self._key
        return Path(self.task, self.composer, f"{slug(label)}-{recipe}-s{seed}-{fingerprint}")

    def find(self, root: Path) -> Path | None:
        """The record of this run under `root`; None if there is none."""
        folder = root / self.task / self.composer
        names = {path: RunName.parse(path.stem) for path in sorted(folder.glob("*.json"))}
        found = [path for path, name in names.items() if name and name[1:] == self._key and path.name[0] != "."]
        return found[0] if found else None

    @property
    def _key(self) -> tuple[str, str, str]:
        return self.recipe[:_SHORT], str(self.seed), self.fingerprint[:_SHORT]


@dataclass(frozen=True)
class Run:
    """A run with its recipe: everything that training needs but the data.

    Attributes:
        fingerprint: of the dataset.
        spatial: whether the composer works on the feature map, or on the pooled vector.
    """

    task: str
    composer: str
    recipe: Recipe
    seed: int
    fingerprint: str
    spatial: bool

    @property
    def identity(self) -> RunIdentity:
        return RunIdentity(self.task, self.composer, self.recipe.hash, self.seed, self.fingerprint)

    def is_the_same(self, other: "Run") -> bool:
        """Whether both train alike; recipes with the same hash do, though values without effect may differ."""
        return (self.identity, self.spatial) == (other.identity, other.spatial)

    def __str__(self) -> str:
        return str(self.identity)

    def to_json(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "composer": self.composer,
            "recipe": self.recipe.content,
            "seed": self.seed,
            "fingerprint": self.fingerprint,
            "spatial": self.spatial,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Raises ValueError or TypeError if the values are not those of a run of this version."""
        if not isinstance(values, dict) or not isinstance(values.get("recipe"), dict):
            raise TypeError("expected the keys and values of a run and of its recipe")
        return cls(**{**values, "recipe": Recipe.from_content(values["recipe"])})
