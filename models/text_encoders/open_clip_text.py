"""The frozen text tower of an open_clip model: `open_clip/NAME`."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from models.base import TextFeatures
from models.errors import RegistryError, VocabularyError, WeightsError
from models.open_clip_model import config_of, open_clip_model
from models.parts import required
from models.text_encoders.base import TextEncoder, TextSettings, TokenizerState, register_library

_FORMAT = "css-bench open_clip 1"
_OTHER_TOKENS = {"hf_tokenizer_name": None, "pool_type": "argmax", "embed_cls": False, "no_causal_mask": False}
"""Settings of a text tower that reads other tokens than CLIP's, or reads them another way, and CLIP's values."""


class OpenClipText(TextEncoder):
    """CLIP's text tower, which is not trained; a dropout and two linear layers on its features are.

    `pooled` is made of the embedding that open_clip compares with images, `tokens` of the last layer's state of each
    token, its first and last mark included. A text of more tokens than the tower reads (77 in most models) is cut, with
    one warning. Case is ignored. `settings.weights` is the path of a file of the whole model, or a tag of open_clip's.
    A checkpoint keeps the tower's weights.

    Raises VocabularyError if `tokenizer` is not the state of the same model's texts.
    """

    model_name: ClassVar[str]

    def __init__(self, tokenizer: TokenizerState, settings: TextSettings) -> None:
        super().__init__(tokenizer, settings)
        if tokenizer != _state(self.model_name):
            raise VocabularyError(f"tokens: expected the state of texts for open_clip/{self.model_name}")
        self.tower: Any = open_clip_model(self.model_name, settings.weights or None).text
        width, embedding = self.tower.positional_embedding.shape[1], self.tower.output_dim
        self.pooled_layer = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(embedding, settings.text_width))
        self.token_layer = nn.Linear(width, settings.text_width)
        self._has_warned = False

    @classmethod
    def require(cls, settings: TextSettings) -> None:
        _require_clip(cls.model_name)
        if not settings.weights:
            raise WeightsError(
                f"open_clip/{cls.model_name} is not trained, so it needs weights: set model.text_weights to the path "
                "of a file or a tag of open_clip's"
            )
        open_clip_model(cls.model_name, settings.weights)

    @classmethod
    def tokenizer_of(cls, texts: Sequence[str], settings: TextSettings) -> TokenizerState:  # noqa: ARG003
        return _state(cls.model_name)

    def train(self, mode: bool = True) -> "OpenClipText":
        super().train(mode)
        self.tower.eval()
        return self

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        if not texts:
            raise ValueError("no texts to encode: expected at least one")
        tokens, most = self._tokens, int(self.tower.context_length)
        rows = [[tokens.sot_token_id, *tokens.encode(text), tokens.eot_token_id] for text in texts]
        if (cut := [text for text, row in zip(texts, rows, strict=True) if len(row) > most]) and not self._has_warned:
            self._has_warned = True
            count = f"{len(cut)} of {len(texts)} texts are" if len(texts) > 1 else "a text is"
            warnings.warn(
                f"open_clip/{self.model_name} reads {most} tokens, and {count} longer: the rest is cut off (such as "
                f"{cut[0][:60]!r}...)",
                stacklevel=2,
            )
        kept = [row if len(row) <= most else [*row[: most - 1], tokens.eot_token_id] for row in rows]
        ids = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in kept], batch_first=True)
        # not ids != 0: that is also the number of a token, "!"
        return ids, torch.arange(ids.shape[1]) < torch.tensor([[len(row)] for row in kept])

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        tower = self.tower
        with torch.no_grad(), torch.autocast(ids.device.type, enabled=False):
            length = ids.shape[1]
            entered = tower.token_embedding(ids) + tower.positional_embedding[:length]
            # Causal: padding after a text changes nothing before it, so texts need not be as long as the tower allows.
            states = tower.ln_final(tower.transformer(entered, attn_mask=tower.attn_mask[:length, :length]))
            ends = states[torch.arange(len(ids), device=ids.device), mask.sum(dim=1) - 1]
            projection = tower.text_projection
            embedding = projection(ends) if isinstance(projection, nn.Linear) else ends @ projection
        return TextFeatures(self.pooled_layer(embedding), self.token_layer(states), mask)

    @cached_property
    def _tokens(self) -> Any:
        return required("open_clip", "open_clip").SimpleTokenizer()


@register_library("open_clip")
def open_clip_text(name: str) -> type[OpenClipText]:
    """The class of `open_clip/NAME`. Raises RegistryError if open_clip is not installed or has no such text tower."""
    _require_clip(name)
    return type("OpenClipText", (OpenClipText,), {"model_name": name, "__doc__": OpenClipText.__doc__})


def _require_clip(name: str) -> None:
    text = config_of(name)["text_cfg"]
    for key, usual in _OTHER_TOKENS.items():
        if text.get(key, usual) != usual:
            raise RegistryError(
                f"open_clip/{name} has no text tower like CLIP's ({key} is {text[key]!r}); choose another model, "
                "such as open_clip/ViT-B-32"
            )


def _state(name: str) -> TokenizerState:
    return {"format": _FORMAT, "model": name}
