"""The named recipes, such as `quick`: what they change of the defaults. `tirg-bench list` prints them in full."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from benchmark.errors import UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.schema import Recipe
from models.parts import unknown

Changes = Mapping[str, Sequence[str]]
"""A task's changes of the presets: `KEY=VALUE` assignments by the name of a preset."""

_NO_CHANGES: Changes = MappingProxyType({})


def preset_names() -> tuple[str, ...]:
    return tuple(PRESETS)


def default_preset(device: str) -> str:
    """The preset that is used unless another is named."""
    return "quick" if device == "cpu" else "standard"


def preset_about(name: str) -> str:
    """Describe a preset in one line."""
    return _ABOUT[name]


def preset(name: str, changes: Changes = _NO_CHANGES) -> Recipe:
    """The recipe of that name, as a task has it.

    Raises:
        UsageError: there is none; the message offers the nearest.
    """
    if name not in PRESETS:
        raise UsageError(unknown("preset", name, PRESETS))
    return override(PRESETS[name], changes.get(name, ()))


def variants(changes: Changes) -> dict[str, Recipe]:
    """All presets by name, as a task has them."""
    return {name: preset(name, changes) for name in PRESETS}


def _make(**parts: dict[str, Any]) -> Recipe:
    return Recipe.model_validate(parts)


_ABOUT = {
    "quick": "a small network on small images: minutes on two CPU cores",
    "cpu-long": "quick with about sixteen times the steps: where there is no GPU",
    "cpu-long-mined": "cpu-long with texts mined from the scenes of the training images",
    "cpu-long-shapes": "cpu-long-mined that also exchanges channels, and teaches the encoder the shapes of the scenes",
    "standard": "ResNet-18 on one GPU: the leaderboard's full-size recipe",
    "standard-mined": "standard with texts mined from the scenes of the training images",
    "paper": "google/tirg's recipe: ResNet-18, SGD, batch 32, 160,000 steps, its random soft triplets",
}

# Keys that a preset does not list have the defaults of schema.py; `tirg-bench list` prints all of them.
_QUICK = _make(
    data={"image_size": 32},
    model={
        "image_encoder": "small_resnet",
        "text_width": 64,
        "state_width": 64,
        "embedding_width": 128,
        "dropout": 0,
    },
    training={
        "steps": 385,
        "sources": 32,
        "modifications": 4,
        "optimiser": "muon",
        "learning_rate": 5e-3,
        "scale_factor": 30,
        "weight_decay": 1e-2,
        "schedule": "cosine",
        "warmup": 0.05,
        "group_size": "batch",
        "symmetric": True,
        "memory": 8,
        "precision": "fp32",
        "shift": 1,
    },
)

_RESNET = {"image_encoder": "resnet18", "text_width": 512, "state_width": 512, "embedding_width": 512}

_LONG = override(_QUICK, ("training.steps=6000",))
_MINED = ("training.mined_texts=true",)
_SHAPES = ("training.exchange_channels=true", "training.read_shapes=0.5")

_STANDARD = _make(
    data={"image_size": 128},
    model=_RESNET,
    training={
        "steps": 650,
        "sources": 64,
        "modifications": 8,
        "optimiser": "muon",
        "learning_rate": 1e-3,
        "weight_decay": 5e-2,
        "schedule": "cosine",
        "warmup": 0.05,
        "group_size": "batch",
        "symmetric": True,
        "precision": "bf16",
        "shift": 4,
        "brightness": 0.1,
        "mirror": True,
    },
)

PRESETS: Mapping[str, Recipe] = MappingProxyType(
    {
        "quick": _QUICK,
        "cpu-long": _LONG,
        "cpu-long-mined": override(_LONG, _MINED),
        "cpu-long-shapes": override(_LONG, (*_MINED, *_SHAPES)),
        "standard": _STANDARD,
        "standard-mined": override(_STANDARD, _MINED),
        "paper": _make(
            data={"image_size": 224},
            model=_RESNET,
            training={
                "steps": 160_000,
                "sources": 16,
                "modifications": 2,
                "optimiser": "sgd",
                "learning_rate": 1e-2,
                "weight_decay": 1e-6,
                "schedule": "constant",
                "loss": "random_triplets",
                "precision": "fp32",
            },
            evaluation={"held_out": 0.0},
        ),
    }
)
