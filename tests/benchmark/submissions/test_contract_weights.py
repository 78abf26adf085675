"""Unusual weights and layers: those that can be trained and stored are accepted, the others refused with what to do."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from benchmark.recipe.schema import Recipe
from benchmark.submissions.trial import asked, features, new_composer, trained
from benchmark.training.checkpoint import load_model, model_tensors
from benchmark.training.model import empty_network
from models.network import Network
from models.text_encoders.vocabulary import Vocabulary
from tests.benchmark.submissions.sources import residual, source
from tests.benchmark.submissions.test_contract import class_of, failed

GRADIENTS = "gradients are finite and reach every parameter"

LAZY = {
    "change.weight": ("self.change = nn.LazyLinear(image_channels)", "change = self.change(joint)"),
    "norm.running_mean": (
        "self.norm = nn.LazyBatchNorm1d(affine=False)", "change = self.norm(pooled) + text.pooled.mean(1, True)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAZY)
def test_lazy_layers_are_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    problems = failed(class_of(residual(*LAZY[name]), tmp_path))
    assert list(problems) == ["is made from (image_channels, text_width, spatial)"]
    (problem,) = problems.values()
    assert f"got the lazy {name}; use the layer that is not lazy" in problem


FIVE = {
    "a parameter": (
        "self.w = nn.Parameter(torch.ones(1, 1, 1, 1, 128)); self.a = nn.Linear(joint, 128)",
        "change = self.w.flatten() * self.a(joint)",
    ),
    "a layer": (
        "self.w = nn.Conv3d(1, 1, 1); self.a = nn.Linear(joint, 128)",
        "change = self.w(self.a(joint)[:, None, None, None])[:, 0, 0, 0]",
    ),
}


@pytest.mark.parametrize("name", FIVE)
def test_weights_of_five_dimensions_are_accepted(name: str, tmp_path: Path, tiny_config: Recipe) -> None:
    kind = class_of(residual(*FIVE[name]), tmp_path)
    assert failed(kind) == {}
    tokenizer = Vocabulary.from_texts(["make it red"]).to_state()
    parts = empty_network("image_only", tiny_config.model, tokenizer, spatial=True)
    network = Network(parts.image_encoder, parts.text_encoder, kind(128, 8, spatial=True), embedding_width=8)
    convolutions = [weight for weight in network.image_encoder.parameters() if weight.ndim == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in convolutions)
    network.arrange(torch.device("cpu"), 8)
    assert network.map_layout == torch.contiguous_format


TIED = {
    "one parameter in two layers": """
        self.a, self.b = (nn.Linear(joint, image_channels) for _ in range(2))
        self.b.weight = self.a.weight
        """,
    "one layer under two names": "self.a = self.b = nn.Linear(joint, image_channels)",
    "two parameters with one memory": """
        self.a, self.b = (nn.Linear(joint, image_channels) for _ in range(2))
        self.b.weight.data = self.a.weight.data
        """,
    "a view of the other": """
        self.a, self.b = nn.Linear(joint, 2 * image_channels), nn.Linear(joint, image_channels)
        self.b.weight = nn.Parameter(self.a.weight.data[:image_channels])
        """,
}


@pytest.mark.parametrize("name", TIED)
def test_shared_weights_are_stored_and_loaded(name: str, tmp_path: Path) -> None:
    kind = class_of(residual(TIED[name], "change = self.a(joint)[:, :128] * torch.tanh(self.b(joint))"), tmp_path)
    assert failed(kind) == {}
    composer = trained(kind, True)
    loaded = new_composer(kind, True, seed=1).eval()
    load_model(loaded, load(save(model_tensors(composer))))
    one, other = (layer.weight for layer in (loaded.a, loaded.b))  # type: ignore[union-attr]
    assert isinstance(one, nn.Parameter)
    torch.testing.assert_close(one[:128], other, rtol=0, atol=0)
    assert (one is other) == (composer.a.weight is composer.b.weight)  # type: ignore[union-attr]
    image, text = features(spatial=True)
    assert torch.equal(asked(loaded, image, text), asked(composer, image, text))


def test_gradients_inside_forward_are_refused(tmp_path: Path) -> None:
    """Test queries are asked in inference mode, so that check has to ask in it, too."""
    branch = """
    with torch.enable_grad():
        start = joint.detach().clone().requires_grad_()
        (step,) = torch.autograd.grad((start ** 2).sum(), start)
    change = (joint - 0.1 * step)[:, :128]
    """
    problems = failed(class_of(residual("", branch), tmp_path))
    assert "expected forward to work under torch.inference_mode()" in next(iter(problems.values()))


def test_a_sparse_gradient_is_refused(tmp_path: Path) -> None:
    in_init = "self.table = nn.Embedding(4, image_channels, sparse=True)"
    branch = "change = joint[:, -128:] + self.table((joint[:, 0] > 0).long())"
    problems = failed(class_of(residual(in_init, branch), tmp_path))
    assert "got a sparse one; leave out sparse=True" in problems[GRADIENTS]


def test_a_layer_that_wants_a_larger_map_is_refused_with_the_size(tmp_path: Path) -> None:
    """H and W may be 1: a layer that normalises over the cells has nothing to do there."""
    text = source(
        in_init="self.norm = nn.InstanceNorm2d(image_channels)",
        in_forward="composed = self.norm(composed) if self.spatial else composed",
    )
    (problem,) = failed(class_of(text, tmp_path)).values()
    assert "Expected more than 1 spatial element" in problem
    assert problem.endswith("for an image of shape (12, 128, 1, 1)")


SOUND = {
    "complex numbers": (
        "self.turn = nn.Parameter(torch.randn(image_channels, dtype=torch.cfloat))",
        "change = (self.turn * torch.polar(joint[:, :128].abs(), joint[:, -128:])).real",
    ),
    "a recurrent layer over packed words": (
        "self.read, self.last = nn.GRU(text_width, 32, batch_first=True), nn.Linear(32, image_channels)",
        """
        words = nn.utils.rnn.pack_padded_sequence(
            text.tokens, text.mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        change = self.last(self.read(words)[1][0])
        """,
    ),
    "a weight that is computed from others": (
        "self.layer = nn.utils.parametrizations.weight_norm(nn.Linear(joint, image_channels))",
        "change = self.layer(joint)",
    ),
    "a buffer that training updates": (
        "self.layer = nn.Linear(joint, image_channels)\nself.register_buffer('mean', torch.zeros(image_channels))",
        """
        if self.training:
            self.mean.lerp_(pooled.detach().mean(0), 0.1)
        change = self.layer(joint) - self.mean
        """,
    ),
    "an empty parameter": (
        "self.layer, self.none = nn.Linear(joint, image_channels), nn.Parameter(torch.zeros(0))",
        "change = self.layer(joint)",
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_can_be_trained_and_stored_is_accepted(name: str, tmp_path: Path) -> None:
    assert failed(class_of(residual(*SOUND[name]), tmp_path)) == {}
