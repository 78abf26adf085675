"""Composers at several depths of the image encoder: what each gets, and that images without a text pass through."""

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor

from models import Composer, TextFeatures, register
from models.composers.lgli import Lgli
from models.composers.tirg import Tirg
from models.errors import ModelError, RegistryError
from models.image_encoders import ImageEncoder, image_encoder
from models.image_encoders import names as image_encoders
from models.network import Network, build_network
from models.text_encoders import TextSettings
from models.text_encoders.vocabulary import Vocabulary

TEXTS = ("add red circle", "remove object", "make large")


class Everywhere(Lgli):
    """With weights that are not zero, so that every level changes its map."""

    def __init__(self, image_channels: int, text_width: int, *, spatial: bool) -> None:
        super().__init__(image_channels, text_width, spatial=spatial)
        for parameter in self.parameters():
            torch.nn.init.normal_(parameter, std=0.3)


def network_of(kind: Any, *, encoder: str = "small_resnet", spatial: bool = True) -> Network:
    torch.manual_seed(0)
    return build_network(
        kind,
        spatial=spatial,
        image_encoder_name=encoder,
        pretrained="",
        text_encoder_name="word_lstm",
        tokenizer=Vocabulary.from_texts(TEXTS).to_state(),
        text=TextSettings(text_width=6, state_width=6, dropout=0.0),
        embedding_width=5,
    )


def inputs(network: Network, side: int = 32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two source images and the targets of three queries."""
    images = torch.randn(2 + 3, 3, side, side, generator=torch.Generator().manual_seed(1))
    return images, torch.tensor([1, 0, 1]), *network.text_encoder.tokenize(TEXTS)


def composed_by_hand(network: Network, image: Tensor, text: TextFeatures, ends: tuple[str, ...]) -> Tensor:
    """Layer by layer; a composer after each of the named ones."""
    composers = dict(zip(ends, network.composers, strict=True))
    for name, layer in network.image_encoder.named_children():
        image = layer(image)
        if name in composers:
            image = composers[name](image, text)
    return image


@pytest.mark.parametrize(
    ("encoder", "ends", "widths"),
    [
        ("small_resnet", ("relu", "layer1", "gates"), [24, 48, 128]),
        ("resnet18", ("layer2", "layer3", "layer4"), [128, 256, 512]),
    ],
)
def test_each_composes_its_map_and_the_encoder_goes_on_from_there(
    encoder: str, ends: tuple[str, ...], widths: list[int]
) -> None:
    network = network_of(Everywhere, encoder=encoder).eval()
    assert [composer.image_channels for composer in network.composers] == widths
    images, group, ids, mask = inputs(network)
    with torch.no_grad():
        text = network.text_encoder(ids, mask)
        query, target = network(images, group, ids, mask)
        for row, source in enumerate(group):
            words = TextFeatures(*(part[row : row + 1] for part in text))
            composed = composed_by_hand(network, images[source][None], words, ends)
            torch.testing.assert_close(query[row], network.embed_images(composed)[0], rtol=1e-4, atol=1e-4)
            plain = network.embed_images(network.image_encoder(images[2 + row][None]))
            torch.testing.assert_close(target[row], plain[0], rtol=1e-4, atol=1e-4)
        alone = network.embed_queries(network.encode_sources(images[group]), ids, mask)
    torch.testing.assert_close(alone, query, rtol=1e-4, atol=1e-4)


def test_every_level_has_weights_of_its_own_that_learn() -> None:
    network = network_of(Everywhere)
    query, target = network(*inputs(network))
    (query * target).sum().backward()
    weights = [composer.weight[0].weight for composer in network.composers]
    assert len({weight.shape for weight in weights}) == 3
    for weight in weights:
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0
    own = sum(parameter.numel() for composer in network.composers for parameter in composer.parameters())
    assert network.parameter_counts()[1] == own


def test_its_own_loss_is_that_of_the_last_level() -> None:
    class Watched(Everywhere):
        def auxiliary(self, composed: Tensor, image: Tensor, text: TextFeatures, target: Tensor) -> Tensor:
            return composed.shape[1] + image.mean() + target.sum() + 0 * text.pooled.sum()

    network = network_of(Watched).eval()
    images, group, ids, mask = inputs(network)
    with torch.no_grad():
        _, _, own = network(images, group, ids, mask, auxiliary=True)
        _, second, last = network._stages
        features = network.encode_sources(images)[group]
        text = network.text_encoder(ids, mask)
        for composer, stage in zip(network.earlier, (second, last), strict=True):
            features = composer(features, text)
            for layer in stage:
                features = layer(features)
        expected = 128 + features.mean() + network.encode_images(images[2:]).sum()
    torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-3)


def test_on_pooled_vectors_and_with_one_level_there_is_one_composer() -> None:
    assert not network_of(Everywhere, spatial=False).earlier
    one = network_of(Tirg)
    assert not one.earlier
    assert not any("earlier" in name for name in one.state_dict())
    images, *_ = inputs(one)
    one.eval()
    assert torch.equal(one.encode_sources(images), one.encode_images(images))


@pytest.mark.parametrize("name", image_encoders())
def test_the_depths_of_an_encoder_are_layers_with_these_channels(name: str) -> None:
    encoder = image_encoder(name).eval()
    assert list(encoder.depths.values())[-1] == encoder.channels
    levels = len(encoder.depths)
    stages = encoder.stages(levels)
    assert [layer for stage in stages for layer in stage] == list(encoder)
    images, sides = torch.randn(1, 3, 64, 64), []
    with torch.no_grad():
        for stage, channels in zip(stages, encoder.depths.values(), strict=True):
            for layer in stage:
                images = layer(images)
            assert images.shape[1] == channels
            sides.append(images.shape[2])
    assert sides == sorted(set(sides), reverse=True)
    assert sides[-1] == 64 // encoder.reduction


def test_an_encoder_with_too_few_depths_is_one_line() -> None:
    class Deep(Everywhere):
        levels = 4

    with pytest.raises(ModelError, match="works at 4 depths of the image encoder, and small_resnet has 3") as found:
        network_of(Deep)
    assert "\n" not in str(found.value)
    network_of(Deep, spatial=False)
    plain = image_encoder("small_resnet")
    undeclared = ImageEncoder(OrderedDict(plain.named_children()), channels=128, reduction=8)
    assert undeclared.depths == {"gates": 128}
    assert undeclared.stages(1) == [list(plain)]


@pytest.mark.parametrize("levels", [0, 5, "2", True])
def test_other_numbers_of_levels_are_refused(levels: object) -> None:
    with pytest.raises(RegistryError, match="expected 1 to 4"):
        register(type("Wrong", (Everywhere,), {"levels": levels}))
    assert issubclass(Everywhere, Composer)
