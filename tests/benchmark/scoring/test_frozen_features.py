"""Kept maps of a frozen encoder: made again after any change of what they depend on, and equal to those of training."""

import importlib.util
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.scoring import frozen_features
from benchmark.scoring.frozen_features import frozen_maps
from models.base import Composer
from models.image_encoders import ImageEncoder
from models.network import Network
from models.text_encoders import TextSettings
from models.text_encoders.word_lstm import WordLSTM

CPU = torch.device("cpu")
LAYER = """from torch import Tensor, nn
class Scaled(nn.Conv2d):
    def forward(self, images: Tensor) -> Tensor:
        return {scale} * super().forward(images)
"""


class First(Composer):
    def __init__(self) -> None:
        super().__init__(8, 4, spatial=True)

    def forward(self, images: Tensor, text: object) -> Tensor:  # noqa: ARG002
        return images


def layer_of(path: Path, scale: int) -> type[nn.Conv2d]:
    """A class of a file that is written for it, as of an installed package's other version."""
    path.write_text(LAYER.format(scale=scale))
    spec = importlib.util.spec_from_file_location("another_package", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["another_package"] = module
    exec(compile(path.read_text(), path, "exec"), module.__dict__)
    found: type[nn.Conv2d] = module.Scaled
    return found


def network_of(kind: type[nn.Conv2d] = nn.Conv2d, *, is_frozen: bool = True) -> Network:
    torch.manual_seed(1)
    layers = OrderedDict[str, nn.Module](conv=kind(3, 8, 4, stride=4))
    encoder = ImageEncoder(layers, channels=8, reduction=4, is_frozen=is_frozen)
    settings = TextSettings(text_width=4)
    text = WordLSTM(WordLSTM.tokenizer_of(["a"], settings), settings)
    return Network(encoder, text, First(), embedding_width=4)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8))
    return path


def maps(network: Network, images: Path) -> Tensor:
    found = frozen_maps(network, np.load(images, mmap_mode="r"), CPU)
    assert found is not None
    return found.clone()


def kept(images: Path) -> int:
    return len(list(images.parent.glob("*-features-*.npy")))


def test_the_same_code_weights_and_images_are_read_from_the_file(images: Path) -> None:
    first = maps(network_of(), images)
    assert torch.equal(maps(network_of(), images), first)
    assert kept(images) == 1


def test_other_pixels_in_a_file_of_the_same_name_and_size_are_encoded_again(images: Path) -> None:
    first, pixels = maps(network_of(), images), np.load(images)
    pixels[3, 2, 1, 0] ^= 128
    np.save(images, pixels)
    second = maps(network_of(), images)
    assert [row for row in range(5) if not torch.equal(first[row], second[row])] == [3]


def test_other_code_of_a_layer_is_run_again(images: Path, tmp_path: Path) -> None:
    first = maps(network_of(layer_of(tmp_path / "layer.py", 1)), images)
    second = maps(network_of(layer_of(tmp_path / "layer.py", 2)), images)
    torch.testing.assert_close(second, 2 * first)
    assert kept(images) == 2


@pytest.mark.parametrize(
    "place",
    [
        "models/open_clip_model.py",
        "models/network.py",
        "models/base.py",
        "image_encoders/timm_map.py",
        "datasets/image_store.py",
        "scoring/frozen_features.py",
    ],
)
def test_the_files_that_decide_features_count(
    place: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps(network_of(), images)
    real, other = frozen_features._sources_of, tmp_path / Path(place).name
    found = real(network_of().image_encoder)
    edited = next(path for path in found if path.match(place))
    other.write_bytes(edited.read_bytes() + b"# changed")
    monkeypatch.setattr(
        frozen_features, "_sources_of", lambda encoder: [other if path == edited else path for path in real(encoder)]
    )
    maps(network_of(), images)
    assert kept(images) == 2


@pytest.mark.parametrize("library", ["open_clip_torch", "timm"])
def test_another_version_of_a_library_counts(library: str, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps(network_of(), images)
    real = frozen_features._version_of
    monkeypatch.setattr(frozen_features, "_version_of", lambda name: "99" if name == library else real(name))
    maps(network_of(), images)
    assert kept(images) == 2


def test_a_frozen_encoder_is_not_cast_and_a_trained_one_is() -> None:
    pixels = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    frozen, trained = network_of(), network_of(is_frozen=False)
    plain = frozen.encode_maps(pixels)
    with torch.autocast("cpu", torch.bfloat16):
        for found in (frozen.encode_maps(pixels), frozen.encode_images(pixels)):
            assert found.dtype == torch.float32
            assert torch.equal(found, plain)
        assert trained.encode_maps(pixels).dtype == torch.bfloat16
