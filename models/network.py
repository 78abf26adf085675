"""Encoders, composer and head: from pixels and words to the embeddings that are compared."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from models import registry, text_encoders
from models.base import Composer, TextFeatures
from models.errors import ModelError
from models.image_encoders import ImageEncoder, image_encoder
from models.image_encoders.base import DEFAULT_IMAGE_SIZE
from models.text_encoders import TextEncoder, TextSettings
from models.text_encoders.base import TokenizerState

_CHANNELS_PER_CELL = 20
"""With more channels than this for each cell of the map, weights outweigh the map: measured between 128 channels on 4x4
cells and 512 on 4x4."""

INITIAL_SCALE = 4.0
"""Of the embeddings, learnable: the paper's."""

PARTS = (
    "image encoder",
    "text encoder",
    "composer",
    "head",
    "composer one depth earlier",
    "composer two depths earlier",
    "composer three depths earlier",
)
"""Of a network, in the order in which they are made; the last ones if the composer has that many levels."""


class MakeComposer(Protocol):
    """Makes a composer, as `registry.create` does for a name. It is called once for each level, the last one first."""

    def __call__(self, image_channels: int, text_width: int, *, spatial: bool) -> Composer: ...


class Network(nn.Module):
    """A composer with the encoders and the head that all composers of a leaderboard share.

    The image encoder gives a map (B, C, H, W). If the composer is `spatial` it works on the map, and the head begins
    with the map's average; otherwise the average is taken first and the composer works on (B, C). The head's linear
    layer then makes embeddings of composed queries and of plain images alike, of length `scale`.

    A composer of several levels composes inside of the encoder, too: `earlier` are the composers of the depths before
    the last one, first to last.

    The head's weights are drawn here, from torch's current random state.

    Attributes:
        reader: a module that training applies to the features of the target images; None outside of training.
    """

    def __init__(
        self,
        image_encoder: ImageEncoder,
        text_encoder: TextEncoder,
        composer: Composer,
        *,
        embedding_width: int,
        earlier: Sequence[Composer] = (),
    ) -> None:
        super().__init__()
        self.spatial = composer.spatial
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.composer = composer
        self.head = nn.Linear(image_encoder.channels, embedding_width)
        self.scale = nn.Parameter(torch.tensor(INITIAL_SCALE))
        self.earlier = nn.ModuleList(earlier)
        self.reader: nn.Module | None = None
        self._stages = image_encoder.stages(1 + len(earlier))
        self.map_layout = torch.channels_last
        _lay_out(self, self.map_layout)

    def arrange(self, device: torch.device, image_size: int) -> None:
        """Move to the device, in the layout of memory that is fastest there for images of that size.

        That is channels_last. The exception is a CPU, if the weights of the composer and the encoder's last stage are
        large compared with the map: their convolutions would then spend their time on reordering weights and gradients.
        """
        self.to(device)
        side = -(-image_size // self.image_encoder.reduction)
        if device.type == "cpu" and self.image_encoder.channels > _CHANNELS_PER_CELL * side**2:
            self.map_layout = torch.contiguous_format
            for part in (self.image_encoder[-1], self.composer):
                _lay_out(part, self.map_layout)

    def forward(
        self, images: Tensor, group: Tensor, ids: Tensor, mask: Tensor, *, auxiliary: bool = False
    ) -> tuple[Tensor, ...]:
        """Embed one training batch: its G source images are the first of `images`, its B targets the others.

        Args:
            images: (G + B, 3, H, W), normalised.
            group: (B,), which source image each query starts from.
            ids, mask: (B, L), the texts as `text_encoder.tokenize` gives them.
            auxiliary: whether to compute the composer's own loss.

        Returns:
            Embeddings (B, D) of the composed queries and (B, D) of the targets, both of length `scale`; then what the
            `reader` reads off the targets, if there is one; then the composer's own loss, a scalar, if it was asked for
            and the composer has one.
        """
        return self.from_maps(self.encode_maps(images), group, ids, mask, auxiliary=auxiliary)

    def from_maps(
        self, maps: Tensor, group: Tensor, ids: Tensor, mask: Tensor, *, auxiliary: bool = False
    ) -> tuple[Tensor, ...]:
        """As `forward`, of what `encode_maps` gave: the maps of an encoder that is not trained may be kept."""
        features, count = self.features_of(maps), len(group)
        targets = features[-count:]
        sources = take_rows(features[:-count], group)
        text: TextFeatures = self.text_encoder(ids, mask)
        for composer, stage in zip(self.earlier, self._stages[1:], strict=True):
            features = self._run(stage, torch.cat([composer(sources, _viewed(text)), targets]))
            sources, targets = features[:count], features[count:]
        read = () if self.reader is None else (self.reader(targets),)
        if not auxiliary:
            return self.embed_images(self.composer(sources, _viewed(text))), self.embed_images(targets), *read
        composed, loss = self.composer.with_auxiliary(sources, _viewed(text), targets.view_as(targets))
        embedded = self.embed_images(composed), self.embed_images(targets)
        return (*embedded, *read) if loss is None else (*embedded, *read, loss)

    def encode_images(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, H', W'), or (B, C) if not spatial: an image without a text, as in a gallery."""
        features = self._run(self.image_encoder, images)
        return features if self.spatial else features.mean(dim=(2, 3))

    def encode_maps(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> the map (B, C, H', W') of the first depth that is composed, whatever the composer's mode."""
        return self._run(self._stages[0], images)

    def features_of(self, maps: Tensor) -> Tensor:
        """Maps as `encode_maps` gives them -> as the first composer gets them."""
        return maps if self.spatial else maps.mean(dim=(2, 3))

    def encode_sources(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> features at the first depth that is composed: those of `encode_images` if it is the last."""
        return self.features_of(self.encode_maps(images))

    def compose(self, features: Tensor, text: TextFeatures) -> Tensor:
        """Features as `encode_sources` gives them, a row a query -> composed features of the encoder's last depth."""
        for composer, stage in zip(self.earlier, self._stages[1:], strict=True):
            features = self._run(stage, composer(features, text))
        composed: Tensor = self.composer(features, text)
        return composed

    def embed_images(self, features: Tensor) -> Tensor:
        """Features as `encode_images` gives them -> (B, D)."""
        pooled = features.mean(dim=(2, 3)) if self.spatial else features
        return functional.normalize(self.head(pooled).float(), dim=1) * self.scale

    def embed_queries(self, features: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        """Features of the source images, as `encode_sources` gives them, and texts (B, L) -> (B, D)."""
        return self.embed_images(self.compose(features, self.text_encoder(ids, mask)))

    @property
    def composers(self) -> list[nn.Module]:
        """The composers of all levels, first to last."""
        return [*self.earlier, self.composer]

    def parameter_counts(self) -> tuple[int, int]:
        """Trained numbers of the whole network, and of the composer alone, at all of its levels."""
        return _count(self.parameters()), sum(_count(composer.parameters()) for composer in self.composers)

    def _run(self, layers: Iterable[nn.Module], images: Tensor) -> Tensor:
        """Some layers of the image encoder, its last one in its own memory layout.

        Frozen layers run in float32 also under autocast, so that maps that are kept and maps made in training agree.
        """
        if self.image_encoder.is_frozen:
            with torch.autocast(images.device.type, enabled=False):
                return self._run_layers(layers, images.float())
        return self._run_layers(layers, images)

    def _run_layers(self, layers: Iterable[nn.Module], images: Tensor) -> Tensor:
        for layer in layers:
            if layer is self.image_encoder[-1]:
                images = images.contiguous(memory_format=self.map_layout)
            images = layer(images)
        return images


def build_network(
    composer: str | MakeComposer,
    *,
    spatial: bool,
    image_encoder_name: str,
    pretrained: str,
    text_encoder_name: str,
    tokenizer: TokenizerState,
    text: TextSettings,
    embedding_width: int,
    image_size: int = DEFAULT_IMAGE_SIZE,
    levels: int | None = None,
    before: Callable[[str], object] = lambda part: None,  # noqa: ARG005
) -> Network:
    """Make a network of parts by name, the weights of each drawn from torch's current random state.

    Args:
        composer: a name of `models.names()`, or a function that makes one.
        spatial: the composer's mode.
        pretrained: the image encoder's weights, see `image_encoder`; "" for random ones.
        tokenizer: the text encoder's, from `TextEncoder.tokenizer_of` or a checkpoint.
        embedding_width: D, of the vectors that are compared.
        image_size: in pixels, see `image_encoder`.
        levels: at how many depths the composer composes maps; None for what its class says.
        before: called with the name of each part of `PARTS` before its weights are drawn, for instance to seed torch.

    Raises:
        ModelError: a name is unknown, weights cannot be read or do not fit, the tokenizer's state is invalid, or the
            encoder has fewer depths than the composer has levels.
    """
    make = partial(registry.create, composer) if isinstance(composer, str) else composer
    if levels is None:
        levels = registry.get(composer).levels if isinstance(composer, str) else getattr(make, "levels", 1)
    before("image encoder")
    image = image_encoder(image_encoder_name, pretrained=pretrained or None, image_size=image_size)
    before("text encoder")
    reader = text_encoders.get(text_encoder_name)(tokenizer, text)
    before("composer")
    composing = make(image.channels, text.text_width, spatial=spatial)
    widths = list(image.depths.values())[-levels:-1] if spatial else []
    if spatial and levels > len(image.depths):
        raise ModelError(
            f"the composer works at {levels} depths of the image encoder, and {image_encoder_name} has "
            f"{len(image.depths)}: choose another model.image_encoder"
        )
    earlier: list[Composer] = []
    for part, width in zip(PARTS[PARTS.index("head") + 1 :], reversed(widths), strict=False):
        before(part)
        earlier.insert(0, make(width, text.text_width, spatial=True))
    before("head")
    return Network(image, reader, composing, embedding_width=embedding_width, earlier=earlier)


def take_rows(features: Tensor, rows: Tensor) -> Tensor:
    """features[rows]; a map that is channels_last stays so, which plain indexing does not promise."""
    if features.ndim == 2 or features.is_contiguous():
        return features.index_select(0, rows)
    return features.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)


def _viewed(text: TextFeatures) -> TextFeatures:
    """The same, as views of one composer, whose gradients are added up apart from those of others.

    They are apart, too, if the composers are in another process, and sums in another order have other last digits.
    """
    return TextFeatures(*(part.view_as(part) for part in text))


def _lay_out(module: nn.Module, layout: torch.memory_format) -> None:
    """Store maps and the weights of convolutions in this layout. Module.to would refuse tensors of five dimensions."""
    for value in (*module.parameters(), *module.buffers()):
        if value.ndim == 4:
            value.data = value.data.to(memory_format=layout)


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
