"""Run an LSTM in the precision of its weights, also under autocast."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn


def lstm_states(lstm: nn.LSTM, words: Tensor) -> Tensor:
    """Words (B, L, T) -> the states after each of them (B, L, S).

    Left to autocast, CUDA's LSTM computes in float16 also where bfloat16 is asked for, and without a scaled loss small
    gradients may come out as zero there.
    """
    device = words.device.type
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        states: Tensor = lstm(words.to(lstm.get_parameter("weight_ih_l0").dtype))[0]
    return states
