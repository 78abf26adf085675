"""Composers that begin as the identity are judged by what they learn to do, not by what they do at the start."""

from pathlib import Path

import pytest
import torch

from benchmark.submissions.trial import features, new_composer
from tests.benchmark.submissions.conftest import Verdict
from tests.benchmark.submissions.sources import residual
from tests.benchmark.submissions.test_contract import class_of, failed

GRADIENTS, USES = "gradients are finite and reach every parameter", "uses the image and the text as declared"

AT_ZERO = {
    "last layer": (
        """
        self.first, self.last = nn.Linear(joint, 32), nn.Linear(32, image_channels)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        """,
        "change = self.last(torch.relu(self.first(joint)))",
    ),
    "gate": (
        "self.layer, self.gate = nn.Linear(joint, image_channels), nn.Parameter(torch.zeros(()))",
        "change = torch.tanh(self.gate) * self.layer(joint)",
    ),
    "gate of each channel": (
        "self.layer, self.gate = nn.Linear(joint, image_channels), nn.Parameter(torch.zeros(image_channels))",
        "change = self.gate * self.layer(joint)",
    ),
    "LoRA's B": (
        """
        self.base = nn.Linear(joint, image_channels).requires_grad_(False)
        self.a, self.b = nn.Linear(joint, 4, bias=False), nn.Linear(4, image_channels, bias=False)
        nn.init.zeros_(self.base.weight), nn.init.zeros_(self.base.bias), nn.init.zeros_(self.b.weight)
        """,
        "change = self.base(joint) + self.b(self.a(joint))",
    ),
    "ControlNet's layers at both ends": (
        """
        self.into, self.copy = nn.Linear(text_width, image_channels), nn.Linear(image_channels, image_channels)
        self.out = nn.Linear(image_channels, image_channels)
        for layer in (self.into, self.out):
            nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
        """,
        "change = self.out(torch.relu(self.copy(pooled + self.into(text.pooled))))",
    ),
    "adaLN-zero's modulation": (
        """
        self.norm = nn.LayerNorm(image_channels, elementwise_affine=False)
        self.layer, self.modulation = (nn.Linear(width, out) for width, out in (
            (image_channels, image_channels), (text_width, 3 * image_channels)))
        nn.init.zeros_(self.modulation.weight), nn.init.zeros_(self.modulation.bias)
        """,
        """
        scale, shift, gate = self.modulation(torch.relu(text.pooled)).chunk(3, dim=-1)
        change = gate * self.layer(self.norm(pooled) * (1 + scale) + shift)
        """,
    ),
    "ReZero's three blocks": (
        """
        self.into = nn.Linear(joint, image_channels)
        self.blocks = nn.ModuleList(nn.Linear(image_channels, image_channels) for _ in range(3))
        self.gates = nn.Parameter(torch.zeros(3))
        """,
        """
        change = self.into(joint)
        for block, gate in zip(self.blocks, self.gates):
            change = change + gate * torch.relu(block(change))
        """,
    ),
    "gate inside a last layer": (
        """
        self.straight, self.inner, self.last = nn.Linear(joint, 32), nn.Linear(joint, 32), nn.Linear(32, image_channels)
        self.gate = nn.Parameter(torch.zeros(()))
        nn.init.zeros_(self.last.weight), nn.init.zeros_(self.last.bias)
        """,
        "change = self.last(torch.relu(self.straight(joint)) + self.gate * torch.relu(self.inner(joint)))",
    ),
}
"""What starts at zero: __init__ and branch."""


@pytest.mark.parametrize("name", AT_ZERO)
def test_a_composer_that_starts_as_the_identity_is_sound(name: str, tmp_path: Path) -> None:
    kind = class_of(residual(*AT_ZERO[name]), tmp_path)
    image, text = features(spatial=True)
    if "three blocks" not in name:
        torch.testing.assert_close(new_composer(kind, True)(image, text), image)
    assert failed(kind) == {}


@pytest.mark.parametrize("name", AT_ZERO)
def test_its_twin_with_an_idle_parameter_is_refused(name: str, tmp_path: Path) -> None:
    in_init, branch = AT_ZERO[name]
    kind = class_of(
        residual(f"{in_init}\nself.idle = nn.Linear(joint, 3)".replace("\n        ", "\n"), branch), tmp_path
    )
    problems = failed(kind)
    assert list(problems) == [GRADIENTS]
    assert "expected a gradient for idle.weight, got none in 6 steps" in problems[GRADIENTS]


DEAF = {
    "its text is multiplied by zeros that are not learnt": (
        "self.layer, _ = nn.Linear(joint, image_channels), self.register_buffer('mute', torch.zeros(text_width))",
        "change = self.layer(torch.cat([pooled, self.mute * text.pooled], -1))",
        {USES: "expected an output that depends on the text, as uses_text=True says, got one that does not"},
    ),
    "a gate of its text that is not learnt": (
        """
        self.layer, self.words = nn.Linear(image_channels, image_channels), nn.Linear(text_width, image_channels)
        self.register_buffer('gate', torch.zeros(()))
        """,
        "change = self.layer(pooled) + self.gate * self.words(text.pooled)",
        {GRADIENTS: "expected a gradient for words.weight", USES: "depends on the text"},
    ),
    "two factors at zero": (
        """
        self.layer, self.gate = nn.Linear(joint, image_channels), nn.Parameter(torch.zeros(()))
        nn.init.zeros_(self.layer.weight), nn.init.zeros_(self.layer.bias)
        """,
        "change = self.gate * self.layer(joint)",
        {GRADIENTS: "where two factors start at zero, neither learns", USES: "depends on the text"},
    ),
    "a gate cut off from its gradient": (
        "self.layer, self.gate = nn.Linear(joint, image_channels), nn.Parameter(torch.zeros(()))",
        "change = self.layer(pooled.repeat(1, 2)[:, :joint.shape[1]]) + self.gate.detach() * text.pooled.repeat(1, 2)",
        {GRADIENTS: "expected a gradient for gate", USES: "depends on the text"},
    ),
}


@pytest.mark.parametrize("name", DEAF)
def test_what_never_learns_to_use_its_text_is_refused(name: str, tmp_path: Path) -> None:
    in_init, branch, expected = DEAF[name]
    problems = failed(class_of(residual(in_init, branch), tmp_path))
    assert problems.keys() == expected.keys()
    for what, why in expected.items():
        assert why in problems[what]


GATE = "self.gate = nn.Parameter(torch.zeros(()))"

BEHIND_A_GATE = {
    "leaves its input alone": "image += self.gate * pooled.reshape(pooled.shape + (1,) * (image.ndim - 2))",
    "a row depends on its own query alone": "change = self.gate * (joint - joint.mean(0))[:, :128]",
    "the same input gives the same output": "change = self.gate * (joint * torch.rand(len(joint), 1))[:, :128]",
    "padding of the text does not matter": "change = self.gate * (pooled + text.tokens.sum((1, 2))[:, None])",
    "saved and loaded it is the same": """
        if not hasattr(self, 'drawn'): self.drawn = self.training and torch.randn(()).item()
        change = self.gate * (self.drawn + joint[:, :128])
        """,
    "is finite in bf16": "change = self.gate * joint[:, -128:] / torch.log(1.001 * torch.ones_like(pooled))",
    USES: "change = self.gate * pooled",
}
"""Faults of which nothing is seen while the gate is zero."""


@pytest.mark.parametrize("what", BEHIND_A_GATE)
def test_a_fault_behind_a_gate_at_zero_is_found(what: str, tmp_path: Path) -> None:
    branch = BEHIND_A_GATE[what]
    if "change =" not in branch:
        branch += "\nchange = self.gate * joint[:, -128:]"
    assert what in failed(class_of(residual(GATE, branch), tmp_path))


def test_what_is_declared_unused_may_not_be_learnt_either(tmp_path: Path) -> None:
    problems = failed(class_of(residual(*AT_ZERO["last layer"], uses=", uses_text=False"), tmp_path))
    assert list(problems) == [USES]
    assert "set uses_text=True" in problems[USES]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_torchs_own_transformer_keeps_the_contract(tmp_path: Path) -> None:
    """In inference mode it goes through other code than in training: padded words are taken out and put in again."""
    in_init = """
    layer = nn.TransformerEncoderLayer(text_width, 4, 64, batch_first=True)
    self.words, self.last = nn.TransformerEncoder(layer, 1), nn.Linear(text_width, image_channels)
    """
    branch = """
    words = self.words(text.tokens, src_key_padding_mask=~text.mask)
    change = self.last((words * text.mask[..., None]).sum(1))
    """
    assert failed(class_of(residual(in_init, branch), tmp_path)) == {}


def test_a_hook_of_its_own_is_no_tampering(verdict: Verdict) -> None:
    in_init = (
        "self.layer = nn.Linear(joint, image_channels)\nself.layer.register_forward_hook(lambda m, i, out: 2 * out)"
    )
    assert verdict(residual(in_init, "change = self.layer(joint)")) == ""
