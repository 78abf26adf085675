"""Show and Tell: a recurrent network reads the image, then the words."""

import torch
from torch import Tensor, nn

from models.base import Composer, ComposerInfo, TextFeatures
from models.recurrence import lstm_states
from models.registry import register


@register
class ShowAndTell(Composer):
    """y = W h_L, where h_0 = LSTM(P x), h_i = LSTM(word_i, h_(i-1)): the image is the LSTM's first word.

    The paper's encoder of an image and its caption, its last state taken for the query as in the paper on TIRG. On the
    map, P reads the mean over the cells, as an LSTM has one input a step, and the result is the same in every cell.

    Departures: W maps from the LSTM, which is as wide as the text, into the image's feature space. P is a linear layer
    and a batch normalisation, so that the image is as loud as a word, and the LSTM's forget gate starts at a bias of
    one: otherwise next to nothing of the image is left after six words when training begins.

    The LSTM runs over the padded batch and the state after each row's last word is picked from it. A state depends on
    earlier inputs alone, so this equals a packed sequence, which would need the lengths on the host: on a GPU, a wait
    in every step.
    """

    info = ComposerInfo(
        name="show_and_tell",
        title="Show and Tell",
        paper="Vinyals et al., Show and Tell: A Neural Image Caption Generator, CVPR 2015",
        year=2015,
        url="https://arxiv.org/abs/1411.4555",
    )

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        self.to_word = nn.Sequential(nn.Linear(image_channels, text_width, bias=False), nn.BatchNorm1d(text_width))
        self.lstm = nn.LSTM(text_width, text_width, batch_first=True)
        nn.init.ones_(self.lstm.get_parameter("bias_ih_l0")[text_width : 2 * text_width])  # the forget gate
        self.to_image = nn.Linear(text_width, image_channels)

    def forward(self, image: Tensor, text: TextFeatures) -> Tensor:
        vector = image.mean(dim=(2, 3)) if self.spatial else image
        first_word: Tensor = self.to_word(vector)
        states = lstm_states(self.lstm, torch.cat((first_word[:, None], text.tokens), dim=1))
        rows = torch.arange(len(states), device=states.device)
        last_state = states[rows, text.mask.sum(dim=1)]  # the image is step 0, so word i is step i
        query: Tensor = self.to_image(last_state)
        return query[:, :, None, None].expand_as(image) if self.spatial else query
