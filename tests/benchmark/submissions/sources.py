"""Sources of submitted composers: a sound one, and the same with a line where it must not be."""

import textwrap

_TEMPLATE = """\
import torch
from torch import nn

from models import Composer, ComposerInfo

{before}

class Mine(Composer):
    {info}

    def __init__(self, image_channels, text_width, *, spatial):
        super().__init__(image_channels, text_width, spatial=spatial)
        self.change = nn.Linear(text_width, image_channels)
{in_init}

    def forward(self, image, text):
        words = self.change(text.pooled)
        composed = image + (words[:, :, None, None] if self.spatial else words)
{in_forward}
        return composed
"""
INFO = 'info = ComposerInfo(name="{}", title="Mine", paper="A paper", year=2026, url="https://example.org")'


def source(
    *, before: str = "", in_init: str = "", in_forward: str = "", name: str = "mine", info: str | None = None
) -> str:
    """The text of a composer's file; without arguments it is a sound one that adds the text's vector to every cell."""
    return _TEMPLATE.format(
        before=textwrap.dedent(before),
        in_init=_inside(in_init),
        in_forward=_inside(in_forward),
        info=INFO.format(name) if info is None else info,
    )


def _inside(text: str) -> str:
    return textwrap.indent(textwrap.dedent(text), " " * 8)
