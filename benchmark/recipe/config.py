"""What a run is made with: typed, frozen, named presets, and one hash that says whether two recipes are the same."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmark.errors import UsageError

RECIPE_VERSION = 1
"""Raised whenever a configuration of which there are records would train or score differently than before: those then
run again."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(_Part):
    """`image_size`: width and height in pixels that a network sees."""

    image_size: int = Field(ge=8, le=1024)


class ModelConfig(_Part):
    """The encoders and the head, which every composer of a leaderboard shares.

    Attributes:
        image_encoder: a name of `models.image_encoders`.
        pretrained: "" for random weights, "torchvision" for its ImageNet weights, or the path of a local weights file.
        text_width: of a word's embedding and of the text feature.
        state_width: of the LSTM that reads the words.
        embedding_width: of the vectors that are compared.
        dropout: on the text feature, as in the paper's encoder.
    """

    image_encoder: str
    pretrained: str = ""
    text_width: int = Field(ge=1, le=8192)
    state_width: int = Field(ge=1, le=8192)
    embedding_width: int = Field(ge=1, le=8192)
    dropout: float = Field(default=0.1, ge=0, lt=1)


class TrainingConfig(_Part):
    """One step sees `sources` times `modifications` queries: that many modifications of each of that many images.

    Attributes:
        steps: of the optimiser.
        optimiser: "muon" is Muon for the weights of linear and convolution layers in image encoder and composer, and
            AdamW for all else.
        learning_rate: at its peak, after `warmup` (a share of the steps).
        matrix_rate: Muon's learning rate at its peak.
        scale_factor: the learning rate of the embeddings' scale as a multiple of the others'.
        encoder_factor: the image encoder's learning rate as a share of the others'.
        schedule: "cosine" to nothing, "constant", or "steps" (times `decay` every `decay_every` steps).
        group_size: the K of the paper's loss, "batch" for K = B.
        repeats: the paper's M, how many groups of K - 1 negatives each query gets; "all" for M = B - 1.
        precision: "fp32", or "bf16" for autocast.
        shift: images move by up to so many pixels, drawn per image; the edge is repeated.
        brightness: images become darker or brighter by up to this share.
        compile: whether torch.compile makes the network's code.
    """

    steps: int = Field(ge=1, le=10_000_000)
    sources: int = Field(ge=1, le=65_536)
    modifications: int = Field(ge=1, le=1024)
    optimiser: Literal["adamw", "sgd", "muon"]
    learning_rate: float = Field(gt=0, le=100)
    matrix_rate: float = Field(default=0.02, gt=0, le=100)
    scale_factor: float = Field(default=1.0, ge=0, le=1000)
    encoder_factor: float = Field(default=1.0, ge=0, le=1)
    weight_decay: float = Field(ge=0, le=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    schedule: Literal["cosine", "constant", "steps"]
    warmup: float = Field(default=0.0, ge=0, lt=1)
    decay: float = Field(default=0.1, gt=0, le=1)
    decay_every: int = Field(default=50_000, ge=1)
    group_size: Literal["batch"] | Annotated[int, Field(ge=2)]
    repeats: Literal["all"] | Annotated[int, Field(ge=1)] = 1
    precision: Literal["fp32", "bf16"]
    shift: int = Field(default=0, ge=0, le=64)
    brightness: float = Field(default=0.0, ge=0, lt=1)
    compile: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.group_size, int) and self.group_size > self.batch:
            raise ValueError(f"training.group_size is {self.group_size} and a batch has {self.batch} queries")
        return self

    @property
    def batch(self) -> int:
        """Queries a step, the paper's B."""
        return self.sources * self.modifications


class EvaluationConfig(_Part):
    """How a run is scored.

    Attributes:
        split: "test", or "validation" to choose a recipe by: such a record never reaches a leaderboard.
        held_out: share of the training sources, the last ones, that are kept from training.
        every: steps between two looks at the held-out part, 0 for none.
        chunk: images or queries encoded at once.
    """

    split: Literal["test", "validation"] = "test"
    held_out: float = Field(default=0.02, ge=0, lt=1)
    every: int = Field(default=200, ge=0)
    chunk: int = Field(default=512, ge=1)


class Config(_Part):
    """The whole recipe. Composer, dataset and seed are not part of it: a leaderboard compares those."""

    preset: str
    data: DataConfig
    model: ModelConfig
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()

    @property
    def hash(self) -> str:
        """64 hexadecimal digits; equal for equal recipes, whatever the preset is called."""
        content = {"recipe_version": RECIPE_VERSION, **self.model_dump(mode="json", exclude={"preset"})}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def preset_names() -> tuple[str, ...]:
    return tuple(_PRESETS)


def default_preset(device: str) -> str:
    """What is run where nothing is asked for."""
    return "quick" if device == "cpu" else "standard"


def preset_about(name: str) -> str:
    """One line on what a preset is for."""
    return _ABOUT[name]


def preset(name: str) -> Config:
    """The recipe of that name.

    Raises:
        UsageError: there is none; the message offers the nearest.
    """
    if name not in _PRESETS:
        raise UsageError(unknown("preset", name, _PRESETS))
    return _PRESETS[name]


def adapted(config: Config, changes: Mapping[str, Sequence[str]]) -> Config:
    """The preset as it is for a task: google/tirg trains each with settings of its own, and so does `paper`.

    Args:
        changes: the task's `recipe_changes`.
    """
    return override(config, changes.get(config.preset, ())).model_copy(update={"preset": config.preset})


def override(config: Config, assignments: Sequence[str]) -> Config:
    """The same recipe with `KEY=VALUE` changes such as "training.learning_rate=1e-3".

    A changed recipe gets its own preset name, the old one and the first digits of its hash, because rows of different
    recipes never share a table.

    Raises:
        UsageError: an assignment has no "=", its key does not exist, or its value has the wrong type or range.
    """
    values = config.model_dump()
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: expected KEY=VALUE, for instance training.steps=100")
        part, _, name = key.strip().partition(".")
        if key.strip() not in keys():
            raise UsageError(f"--set {assignment}: {unknown('key', key.strip(), keys())}")
        values[part][name] = value.strip()
    try:
        changed = Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":
            raise UsageError(first["msg"].removeprefix("Value error, ")) from None
        key = ".".join(str(step) for step in first["loc"][:2])
        raise UsageError(f"--set {key}={first['input']}: {first['msg'][0].lower()}{first['msg'][1:]}") from None
    if changed.hash == config.hash:
        return config
    return changed.model_copy(update={"preset": f"{config.preset}+{changed.hash[:8]}"})


def keys() -> tuple[str, ...]:
    """Every key that `override` accepts, for instance "training.steps"."""
    parts: Mapping[str, type[BaseModel]] = {
        "data": DataConfig,
        "model": ModelConfig,
        "training": TrainingConfig,
        "evaluation": EvaluationConfig,
    }
    return tuple(f"{part}.{name}" for part, model in parts.items() for name in model.model_fields)


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that does not exist: the nearest ones first, all of them if none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return f"unknown {kind} '{name}': {hint}"


def _make(name: str, **parts: dict[str, Any]) -> Config:
    return Config.model_validate({"preset": name, **parts})


_ABOUT = {
    "quick": "a small network on small images: minutes on two CPU cores",
    "cpu-long": "quick for eleven times as long: where there is no GPU",
    "standard": "ResNet-18 on one GPU: the leaderboard's full-size recipe",
    "paper": "google/tirg's recipe: ResNet-18, SGD, batch 32, 160,000 steps, soft triplets",
}

_QUICK = _make(
    "quick",
    data={"image_size": 32},
    model={
        "image_encoder": "small_resnet",
        "text_width": 64,
        "state_width": 64,
        "embedding_width": 128,
        "dropout": 0,
    },
    training={
        "steps": 550,
        "sources": 32,
        "modifications": 4,
        "optimiser": "muon",
        "learning_rate": 5e-3,
        "scale_factor": 30,
        "weight_decay": 1e-2,
        "schedule": "cosine",
        "warmup": 0.05,
        "group_size": "batch",
        "precision": "fp32",
        "shift": 1,
    },
    evaluation={"every": 100},
)

_PRESETS: dict[str, Config] = {
    config.preset: config
    for config in (
        _QUICK,
        override(_QUICK, ("training.steps=6000", "evaluation.every=500")).model_copy(update={"preset": "cpu-long"}),
        _make(
            "standard",
            data={"image_size": 128},
            model={"image_encoder": "resnet18", "text_width": 512, "state_width": 512, "embedding_width": 512},
            training={
                "steps": 2_000,
                "sources": 64,
                "modifications": 8,
                "optimiser": "muon",
                "learning_rate": 1e-3,
                "weight_decay": 5e-2,
                "schedule": "cosine",
                "warmup": 0.05,
                "group_size": "batch",
                "precision": "bf16",
                "shift": 4,
                "brightness": 0.1,
            },
        ),
        _make(
            "paper",
            data={"image_size": 224},
            model={"image_encoder": "resnet18", "text_width": 512, "state_width": 512, "embedding_width": 512},
            training={
                "steps": 160_000,
                "sources": 16,
                "modifications": 2,
                "optimiser": "sgd",
                "learning_rate": 1e-2,
                "weight_decay": 1e-6,
                "schedule": "constant",
                "group_size": 2,
                "repeats": "all",
                "precision": "fp32",
            },
            evaluation={"every": 5_000, "held_out": 0.0},
        ),
    )
}
