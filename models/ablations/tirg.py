"""TIRG without its residual, and TIRG without its gate: "gate only" and "residual only" of the paper's ablation."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from models.base import TextFeatures
from models.composers.tirg import Tirg
from models.registry import register_variant


@register_variant
class GateOnly(Tirg):
    """y = w0 sigmoid(gate(x, t)) * x, with w0 learnable from 1. For a seed, the gate starts as in TIRG."""

    info = replace(Tirg.info, name="tirg_gate_only", title="TIRG, gate only")

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        del self.residual
        self.weights = nn.Parameter(torch.tensor([1.0]))

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        return self.weights[0] * torch.sigmoid(self.gate(image, text.pooled)) * image


@register_variant
class ResidualOnly(Tirg):
    """y = w1 residual(x, t), with w1 learnable from 10. For a seed, the residual starts as in TIRG."""

    info = replace(Tirg.info, name="tirg_residual_only", title="TIRG, residual only")

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        del self.gate
        self.weights = nn.Parameter(torch.tensor([10.0]))

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        residual: Tensor = self.residual(image, text.pooled)
        return self.weights[0] * residual
