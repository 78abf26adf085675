"""Everything that decides what a dataset holds: equal configurations and format versions give equal datasets."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

from css_gen import tracks
from css_gen.rendering.nuisance import Jitter, Nuisance, sample_nuisance
from css_gen.scenes.randomness import SplitId, Stream, stream

CSS = "css"
NAMES = ("2d", "3d")
VIEWS = ("grid", "clevr")
EXTRAS = ("masks", "depth", "geometry")
SWITCHES = ("position", "rotation", "camera", "lights")
MOST_IMAGES = 10_000_000
"""Every worker knows all references; beyond this they would take more than half a GiB."""

SMALLEST_SIZE, LARGEST_SIZE = 16, 4096
HALF = 0.5


LEADERBOARD_FINGERPRINT = "332e216aed40f9b07e1a5f5809182e3e2bfddabe96745f3356042991f5e818b5"
"""Of the data that the published leaderboards are made on: what `css-gen render --n 20000` renders, with no other
option."""
FULL_SIZE_FINGERPRINT = "a09e60885dcc3d22a81d5f3014e32f8d2caf19fa194185f763ae3b70a895339b"
"""Of the data of the leaderboards' rows at full size: what `css-gen render --n 38024 --size 128` renders."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Options of a rendering.

    Attributes:
        images: of the whole dataset, both splits, references included.
        seed: 0 or more.
        nuisance_seed: the seed that nuisances are drawn with, 0 or more, if it differs from `seed`: it gives the same
            scenes and queries under other lights, with another camera, and objects elsewhere in their cells. None if
            it is equal to `seed`.
        size: width and height of an image in pixels.
        test_fraction: share of the images in the test split, between 0 and 1, both excluded.
        test_images: how many images the test split holds, where that and not a fraction was given; None otherwise. The
            fraction is then 0.5 and has no effect. It becomes None where a fraction of 0.5 gives as many, so that
            equal splits of that kind are one configuration.
        names: what the texts call shapes: rectangle, circle, triangle ("2d", as the original) or cube, sphere,
            cylinder ("3d").
        view: the camera, "grid" (the grid fills the frame) or "clevr" (CLEVR's own, uncropped).
        jitter: which nuisances vary.
        extras: more columns, of "masks", "depth" and "geometry".
        track: what the queries ask: "css", or the name of a track of `css_gen.tracks`.

    Raises:
        ValueError: a value is out of its range; the message names the option of the command line.
    """

    images: int
    seed: int = 0
    nuisance_seed: int | None = None
    size: int = 224
    test_fraction: float = HALF
    test_images: int | None = None
    names: str = "2d"
    view: str = "grid"
    jitter: Jitter = field(default_factory=Jitter)
    extras: tuple[str, ...] = ()
    track: str = CSS

    def __post_init__(self) -> None:
        choices = (CSS, *tracks.names())
        _require(self.track in choices, "track", f"one of {', '.join(choices)}", self.track)
        if self.test_images is None:
            _require(0 < self.images <= MOST_IMAGES, "n", f"from 1 to {MOST_IMAGES:,} images", self.images)
        else:
            train, test = self.images - self.test_images, self.test_images
            _require(
                train > 0 < test and self.images <= MOST_IMAGES, "train and --test",
                f"from 1 image each to {MOST_IMAGES:,} together", f"{train} and {test}",
            )  # fmt: skip
            _require(self.test_fraction == HALF, "test-fraction", "left out beside --test", self.test_fraction)
            if test == split_images(self.images, HALF, SplitId.TEST):
                object.__setattr__(self, "test_images", None)
        _require(self.seed >= 0, "seed", "0 or more", self.seed)
        if self.nuisance_seed == self.seed:
            object.__setattr__(self, "nuisance_seed", None)
        _require((self.nuisance_seed or 0) >= 0, "nuisance-seed", "0 or more", self.nuisance_seed)
        _require(
            SMALLEST_SIZE <= self.size <= LARGEST_SIZE, "size", f"{SMALLEST_SIZE} to {LARGEST_SIZE} pixels", self.size
        )
        _require(0 < self.test_fraction < 1, "test-fraction", "between 0 and 1, both excluded", self.test_fraction)
        _require(self.names in NAMES, "names", f"one of {', '.join(NAMES)}", self.names)
        _require(self.view in VIEWS, "view", f"one of {', '.join(VIEWS)}", self.view)
        _require(set(self.extras) <= set(EXTRAS), "with", f"some of {', '.join(EXTRAS)}", ", ".join(self.extras))
        if self.track != CSS and tracks.get(self.track).materials:
            _require(
                self.jitter.materials == Jitter().materials, "materials",
                f"left out with --track {self.track}, which says what objects are made of",
                ", ".join(self.jitter.materials),
            )  # fmt: skip
        object.__setattr__(self, "extras", tuple(name for name in EXTRAS if name in self.extras))

    def split_images(self, split: SplitId) -> int:
        """Return how many images a split holds."""
        if self.test_images is None:
            return split_images(self.images, self.test_fraction, split)
        return self.test_images if split is SplitId.TEST else self.images - self.test_images

    def nuisance(self, split: SplitId, image_id: int, materials: tuple[str, ...] = ()) -> Nuisance:
        """Draw the nuisances of an image; they depend on nothing but the nuisance seed, the split and the image.

        Args:
            materials: those to draw from, as `plan.image_materials` returns them; empty for the configuration's.
        """
        seed = self.seed if self.nuisance_seed is None else self.nuisance_seed
        jitter = replace(self.jitter, materials=materials) if materials else self.jitter
        return sample_nuisance(jitter, rng=stream(seed, split, Stream.NUISANCE, image_id))

    @property
    def dataset_name(self) -> str:
        """What the dataset is called: "css", or "css-NAME" for a track."""
        return CSS if self.track == CSS else f"{CSS}-{self.track}"

    def to_json(self) -> dict[str, Any]:
        """Return the options under their names on the command line, as numbers, strings, booleans and lists.

        The track is left out if it is css, and the nuisance seed if it is None, so that the configurations of datasets
        from before these options are unchanged. Splits that were given by their images have "train" and "test" instead
        of "n" and "test-fraction".
        """
        track = {} if self.track == CSS else {"track": self.track}
        is_counted = self.test_images is not None
        return track | {
            **(
                {name: self.split_images(split) for name, split in _COUNTS.items()}
                if is_counted
                else {"n": self.images}
            ),
            "seed": self.seed,
            **({} if self.nuisance_seed is None else {"nuisance-seed": self.nuisance_seed}),
            "size": self.size,
            **({} if is_counted else {"test-fraction": self.test_fraction}),
            "names": self.names,
            "view": self.view,
            "jitter": [name for name in SWITCHES if getattr(self.jitter, name)],
            "materials": list(self.jitter.materials),
            "with": list(self.extras),
        }

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return the configuration that `to_json` gave.

        Raises:
            ValueError: a name is missing or unknown, or a value is out of its range.
        """
        kinds = {"n": int, "seed": int, "size": int, "test-fraction": float, "names": str, "view": str}
        kinds |= dict.fromkeys(("jitter", "materials", "with"), list)
        is_counted = isinstance(values, dict) and not values.keys().isdisjoint(_COUNTS)
        if is_counted:
            del kinds["n"], kinds["test-fraction"]
            kinds |= dict.fromkeys(_COUNTS, int)
        if not isinstance(values, dict) or values.keys() - {"track", "nuisance-seed"} != kinds.keys():
            raise ValueError(
                f"expected a configuration with exactly {', '.join(kinds)}, track except for css, and nuisance-seed "
                "where it is another"
            )
        values = {"track": CSS} | values
        kinds["track"] = str
        if "nuisance-seed" in values:
            kinds["nuisance-seed"] = int
        for name, kind in kinds.items():
            _require(type(values[name]) is kind, name, f"a JSON {kind.__name__}", values[name])
        _require(set(values["jitter"]) <= set(SWITCHES), "jitter", f"some of {', '.join(SWITCHES)}", values["jitter"])
        return cls(
            images=sum(values[name] for name in _COUNTS) if is_counted else values["n"],
            seed=values["seed"],
            nuisance_seed=values.get("nuisance-seed"),
            size=values["size"],
            test_fraction=HALF if is_counted else values["test-fraction"],
            test_images=values["test"] if is_counted else None,
            names=values["names"],
            view=values["view"],
            jitter=Jitter(
                **{name: name in values["jitter"] for name in SWITCHES}, materials=tuple(values["materials"])
            ),
            extras=tuple(values["with"]),
            track=values["track"],
        )

    def differences(self, there: Self) -> list[str]:
        """List how another configuration differs, each as "size is 64 there and 224 here"."""
        here, other = ({"track": each.track} | each.to_json() for each in (self, there))
        return [
            f"{name} is {_shown(other.get(name))} there and {_shown(here.get(name))} here"
            for name in here | other
            if here.get(name) != other.get(name)
        ]


_COUNTS = {"train": SplitId.TRAIN, "test": SplitId.TEST}


def split_images(images: int, test_fraction: float, split: SplitId) -> int:
    """Return how many of `images` a split holds; half an image is rounded towards test."""
    test = int(images * test_fraction + 0.5)
    return test if split is SplitId.TEST else images - test


def _require(condition: bool, option: str, expected: str, got: object) -> None:
    if not condition:
        raise ValueError(f"--{option} must be {expected}, got {got}")


def _shown(value: object) -> str:
    if value is None:
        return "not given"
    return (", ".join(value) or "nothing") if isinstance(value, list) else str(value)
