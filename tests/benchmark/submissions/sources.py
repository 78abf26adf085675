"""Sources of submitted composers: sound ones, and the same with a line where it must not be."""

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
{methods}"""
_RESIDUAL = """\
import torch
from torch import nn
from torch.nn import functional

from models import Composer, ComposerInfo


class Mine(Composer):
    {info}

    def __init__(self, image_channels, text_width, *, spatial):
        super().__init__(image_channels, text_width, spatial=spatial)
        joint = image_channels + text_width
{in_init}

    def forward(self, image, text):
        pooled = image.mean((2, 3)) if self.spatial else image
        joint = torch.cat([pooled, text.pooled], dim=-1)
{branch}
        return image + (change[:, :, None, None] if self.spatial else change)
{methods}"""
_AUXILIARY = """
    def auxiliary(self, composed, image, text, target):
{body}
"""
INFO = 'info = ComposerInfo(name="{}", title="Mine", paper="A paper", year=2026, url="https://example.org")'


def source(
    *,
    before: str = "",
    in_init: str = "",
    in_forward: str = "",
    name: str = "mine",
    info: str | None = None,
    auxiliary: str = "",
) -> str:
    """The text of a composer's file; without arguments it is a sound one that adds the text's vector to every cell.

    Args:
        auxiliary: the body of the method of that name, "" for none.
    """
    return _TEMPLATE.format(
        before=textwrap.dedent(before),
        in_init=_inside(in_init),
        in_forward=_inside(in_forward),
        methods=_method(auxiliary),
        info=INFO.format(name) if info is None else info,
    )


def residual(in_init: str, branch: str, *, uses: str = "", auxiliary: str = "") -> str:
    """The text of a composer that adds a vector to every cell: `branch` makes `change` (B, C) from `pooled` (B, C),
    the words, and `joint` (B, C + T), both of them."""
    info = INFO.format("mine").replace('org")', f'org"{uses})')
    return _RESIDUAL.format(in_init=_inside(in_init), branch=_inside(branch), info=info, methods=_method(auxiliary))


def _method(body: str) -> str:
    return _AUXILIARY.format(body=_inside(body)) if body else ""


def _inside(text: str) -> str:
    return textwrap.indent(textwrap.dedent(text), " " * 8)
