"""Word embeddings and an LSTM: google/tirg's text encoder."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.base import TextFeatures
from models.recurrence import lstm_states
from models.text_encoders.base import TextEncoder, TextSettings, TokenizerState, register
from models.text_encoders.vocabulary import Vocabulary


@register("word_lstm")
class WordLSTM(TextEncoder):
    """Word embeddings and a one-layer LSTM.

    `pooled` is a dropout and a linear layer on the LSTM's state after a text's last word. `tokens` are the words'
    embeddings as they enter the LSTM, for composers that read the words themselves, so they are as wide as `pooled`.

    The LSTM runs over the padded batch and the state after each row's last word is picked from it. A state depends on
    earlier inputs alone, so this equals a packed sequence, which would need the lengths on the host: on a GPU, a wait
    in every step.

    Raises VocabularyError if `tokenizer` is not the state of a `Vocabulary`.
    """

    def __init__(self, tokenizer: TokenizerState, settings: TextSettings) -> None:
        super().__init__(tokenizer, settings)
        self.vocabulary = Vocabulary.from_state(tokenizer)
        width = settings.text_width
        self.embedding = nn.Embedding(len(self.vocabulary), width, padding_idx=0)
        self.lstm = nn.LSTM(width, settings.state_width, batch_first=True)
        self.output_layer = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(settings.state_width, width))

    @classmethod
    def tokenizer_of(cls, texts: Sequence[str], settings: TextSettings) -> TokenizerState:  # noqa: ARG003
        return Vocabulary.from_texts(texts).to_state()

    @property
    def words(self) -> tuple[str, ...]:
        return self.vocabulary.words

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        return self.vocabulary.encode(texts)

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        tokens: Tensor = self.embedding(ids)
        states = lstm_states(self.lstm, tokens)
        rows = torch.arange(len(ids), device=ids.device)
        pooled: Tensor = self.output_layer(states[rows, mask.sum(dim=1) - 1])
        return TextFeatures(pooled, tokens, mask)
