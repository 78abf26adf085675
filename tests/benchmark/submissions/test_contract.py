"""The questions themselves: our own composers pass them, and each is failed by the composer that it is there for."""

import importlib.util
from pathlib import Path

import pytest
import torch

import models
from benchmark.submissions.contract import examine
from models import Composer
from models.base import brings_auxiliary
from models.registry import get
from tests.benchmark.submissions.sources import source


def class_of(text: str, tmp_path: Path) -> type[Composer]:
    file = tmp_path / "mine.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("mine", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.Mine
    assert issubclass(found, Composer)
    return found


def failed(kind: type[Composer]) -> dict[str, str]:
    return {answer.what: answer.problem for answer in examine(kind) if answer.problem}


@pytest.mark.parametrize("name", models.names())
def test_our_own_composers_keep_the_contract(name: str) -> None:
    answers = list(examine(get(name)))
    assert [answer for answer in answers if answer.problem] == []
    assert len(answers) == 11 + brings_auxiliary(get(name))
    assert "of its time" in answers[-1].remark
    assert f"{sum(p.numel() for p in models.create(name, 128, 64, spatial=True).parameters()):,} parameters" in (
        answers[-1].remark
    )


BROKEN = {
    "is made from (image_channels, text_width, spatial)": (
        source().replace("*, spatial)", "*, is_map)").replace("spatial=spatial", "spatial=is_map"),
        "take `image_channels, text_width, *, spatial`",
    ),
    "gives the shape and type that it got": (source(in_forward="composed = composed.flatten(1)"), "(12, 2048)"),
    "gradients are finite and reach every parameter": (
        source(in_init="self.idle = nn.Parameter(torch.ones(3))"),
        "expected a gradient for idle, got none",
    ),
    "a row depends on its own query alone": (
        source(in_forward="composed = composed * composed.std(0, unbiased=False)"),
        "use no statistics of the batch",
    ),
    "the same input gives the same output": (
        source(in_forward="composed = composed + 0.01 * torch.randn(composed.shape)"),
        "draw nothing in eval mode",
    ),
    "leaves its input alone": (source(in_forward="image *= 1.5"), "leave out operations in place"),
    "padding of the text does not matter": (
        source(in_forward="composed = composed * text.tokens.mean((1, 2)).view(-1, *[1] * (image.ndim - 1))"),
        "mask the tokens",
    ),
    "saved and loaded it is the same": (
        source(in_init="self.shift = torch.randn(1).item()", in_forward="composed = composed + self.shift"),
        "make what it needs a parameter or a buffer",
    ),
    "uses the image and the text as declared": (source(in_forward="composed = image + 0 * composed"), "uses_text=True"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_question_finds_its_fault(what: str, tmp_path: Path) -> None:
    text, expected = BROKEN[what]
    problems = failed(class_of(text, tmp_path))
    assert expected in problems[what]
    assert problems[what].startswith("on the map: ")
    assert ", got " in problems[what]


OWN_LOSS = "its own loss is a finite scalar with a gradient"
DISTANCE = "return (composed - target).square().mean()"
BROKEN_LOSSES = {
    "a loss a query": (
        "return (composed - target).flatten(1).mean(1)",
        "expected a scalar of floating point from auxiliary, or None, got torch.float32 (12,); return a mean",
    ),
    "no tensor": ("return 0.5", "or None, got float; return a mean over the batch"),
    "NaN": ("return (composed - target).mean().abs().neg().sub(1).sqrt()", "expected a finite number from auxiliary"),
    "no gradient": ("return (composed - target).detach().square().mean()", "leave out detach() and no_grad()"),
    "a gradient that is infinite where two queries have one source": (
        "return composed.mean() + (image[:1] - image[1:2]).norm(dim=-1).sqrt().mean()",
        "expected finite gradients of its own loss where several queries start from one image",
    ),
    "a change in place": (
        "target.data.add_(1)\nreturn (composed - target).square().mean()",
        "leave out operations in place",
    ),
    "a state": (
        "if not self.training: self.change.bias.data.add_(1)\nreturn (composed - target).square().mean()",
        "keep no state in it",
    ),
}


@pytest.mark.parametrize("name", BROKEN_LOSSES)
def test_a_loss_of_its_own_that_is_not_sound_is_found(name: str, tmp_path: Path) -> None:
    body, expected = BROKEN_LOSSES[name]
    problems = failed(class_of(source(auxiliary=body), tmp_path))
    assert next(iter(problems)) == OWN_LOSS
    assert problems[OWN_LOSS].startswith("on the map: ")
    assert expected in problems[OWN_LOSS]


def test_a_loss_of_its_own_is_examined_and_may_be_all_that_teaches_a_layer(tmp_path: Path) -> None:
    decoder = "self.decode = nn.Linear(image_channels, text_width)"
    decoded = """
        pooled = composed.mean((2, 3)) if self.spatial else composed
        return (self.decode(pooled) - text.pooled).square().mean()
        """
    sound = list(examine(class_of(source(in_init=decoder, auxiliary=decoded), tmp_path)))
    assert [answer.what for answer in sound if answer.problem] == []
    assert OWN_LOSS in [answer.what for answer in sound]
    assert OWN_LOSS not in [answer.what for answer in examine(class_of(source(), tmp_path))]
    idle = failed(class_of(source(in_init=decoder, auxiliary=DISTANCE), tmp_path))
    assert "use it in forward or auxiliary" in idle["gradients are finite and reach every parameter"]


LEVELS = {
    "no level": (
        source().replace("    def __init__", "    levels = 0\n\n    def __init__"),
        "expected levels from 1 to 4, got 0",
    ),
    "channels of one depth": (
        source(in_init="self.fixed = nn.Linear(text_width, 128)")
        .replace("    def __init__", "    levels = 3\n\n    def __init__")
        .replace("self.change(", "self.fixed("),
        "",
    ),
    "a shape of one depth": (
        source(in_forward="composed = composed[:, :, :4, :4] if self.spatial else composed").replace(
            "    def __init__", "    levels = 2\n\n    def __init__"
        ),
        "with levels=2 it is made for the channels of each depth",
    ),
}


@pytest.mark.parametrize("name", LEVELS)
def test_levels_that_cannot_be_are_found(name: str, tmp_path: Path) -> None:
    text, expected = LEVELS[name]
    problems = failed(class_of(text, tmp_path))
    assert list(problems) == ["is made from (image_channels, text_width, spatial)"]
    assert expected in next(iter(problems.values()))


def test_bf16_that_overflows_is_found(tmp_path: Path) -> None:
    """1e-3 is lost beside 1 in bfloat16, so the logarithm is zero there and nowhere else."""
    in_forward = "composed = composed / torch.log(1.001 * torch.ones_like(words)).mean()"
    assert list(failed(class_of(source(in_forward=in_forward), tmp_path))) == ["is finite in bf16"]


def test_a_fault_on_the_vector_alone_is_found(tmp_path: Path) -> None:
    text = source(in_forward="composed = composed if self.spatial else composed[:1].expand_as(image)")
    assert failed(class_of(text, tmp_path))["a row depends on its own query alone"].startswith("on the pooled vector: ")


def test_what_is_declared_unused_may_be_unused(tmp_path: Path) -> None:
    text = source(in_forward="composed = image + 0 * composed").replace('org")', 'org", uses_text=False)')
    problems = failed(class_of(text, tmp_path))
    assert "uses the image and the text as declared" not in problems
    used = source().replace('org")', 'org", uses_text=False)')
    assert "set uses_text=True" in failed(class_of(used, tmp_path))["uses the image and the text as declared"]


def test_nothing_random_is_left_changed(tmp_path: Path) -> None:
    kind = class_of(source(), tmp_path)
    torch.manual_seed(5)
    list(examine(kind))
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))
