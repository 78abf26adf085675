"""Maps of timm's networks against timm's own forward_intermediates, on random weights."""

import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from models.errors import RegistryError, WeightsError
from models.image_encoders import image_encoder

timm = pytest.importorskip("timm")

VIT, SWIN = "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"
SIZE = 64
MAPS = [
    # name, stride, channels, timm's index of the map
    ("resnet18@16", 256, 3),
    ("resnet18", 512, 4),
    ("convnext_atto@8", 80, 1),
    ("efficientnet_b0@8", 40, 2),
    (f"{SWIN}@16", 384, 2),
    (f"{VIT}@16", 192, 11),
]


def whole(name: str, **options: Any) -> Any:
    torch.manual_seed(1)
    return timm.create_model(name, **options).eval()


def images(seed: int = 2) -> Tensor:
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def as_timm_wants(given: Tensor, name: str) -> Tensor:
    """Images normalised by ImageNet's mean and deviation -> by those that the network was trained with."""
    config = timm.get_pretrained_cfg(name)
    values = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), config.mean, config.std)
    mean, deviation, own_mean, own_deviation = (torch.tensor(each).view(3, 1, 1) for each in values)
    return (given * deviation + mean - own_mean) / own_deviation


@pytest.mark.parametrize(("spelling", "channels", "index"), MAPS)
def test_a_map_is_timms(spelling: str, channels: int, index: int, tmp_path: Path) -> None:
    name, _, stride = spelling.partition("@")
    network = whole(name)  # with a classifier, and for images of timm's own size
    torch.save(network.state_dict(), tmp_path / "whole.pth")
    encoder = image_encoder(f"timm/{spelling}", pretrained=tmp_path / "whole.pth", image_size=SIZE).eval()
    if name == VIT:
        network.set_input_size(img_size=SIZE)
    if name == SWIN:  # its windows are those of timm's constructor; set_input_size would make them smaller
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about timm's indexing
            given = {"state_dict": network.state_dict()}
            network = whole(name, img_size=SIZE, pretrained=True, pretrained_cfg_overlay=given)
    with torch.no_grad():
        found = encoder(images())
        (expected,) = network.forward_intermediates(
            as_timm_wants(images(), name), indices=[index], output_fmt="NCHW", intermediates_only=True
        )
    side = SIZE // int(stride or 32)
    assert (encoder.channels, encoder.reduction) == (channels, int(stride or 32))
    assert found.shape == (2, channels, side, side)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert found.std() > 0


@pytest.mark.parametrize("spelling", ["resnet18@8", "efficientnet_b0@8", f"{VIT}@16"])
def test_gradients_reach_every_weight_that_is_trained(spelling: str) -> None:
    torch.manual_seed(0)
    encoder = image_encoder(f"timm/{spelling}", image_size=SIZE)
    trained = {name: value for name, value in encoder.named_parameters() if value.requires_grad}
    assert len(trained) > 20
    encoder(images()).square().mean().backward()
    for name, value in trained.items():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
    assert all(value.grad is None for name, value in encoder.named_parameters() if name not in trained)
    assert max(value.grad.abs().max() for value in trained.values()) > 0  # type: ignore[union-attr]


def test_random_weights_depend_on_torchs_random_state_alone() -> None:
    first, same, other = (
        (torch.manual_seed(seed), image_encoder("timm/resnet18@8", image_size=SIZE).state_dict())[1]
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    assert not torch.equal(first["timm.network.conv1.weight"], other["timm.network.conv1.weight"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm/resnet19", r"unknown network of timm 'resnet19': did you mean resnet18"),
        ("timm/RESNET19", r"did you mean resnet18"),
        ("timm/resnet18.a1_in1", r"unknown weights of timm/resnet18 'a1_in1': did you mean a1_in1k"),
        ("timm/resnet18@6", r"timm/resnet18 has no map of stride 6: there are @2, @4, @8, @16, @32"),
        (f"timm/{VIT}@8", r"has no map of stride 8: there is @16"),
        ("timm/resnet18@", r"the stride is '', expected a number, as in timm/resnet18@16"),
        ("timm/resnet18@0", r"the stride is '0'"),
        ("tim/resnet18", r"unknown library of image encoders 'tim': did you mean timm"),
        ("timm/", r"unknown network of timm '': there are \d+, such as"),
    ],
)
def test_what_timm_does_not_have_is_one_line(name: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message) as caught:
        image_encoder(name, image_size=SIZE)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_size_that_a_network_cannot_read_is_one_line() -> None:
    with pytest.raises(RegistryError, match=r"timm/vit_tiny_patch16_224 cannot .* images of 8 px") as caught:
        image_encoder(f"timm/{VIT}", image_size=8)
    assert "\n" not in str(caught.value)


def test_without_timm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(RegistryError, match=r"package timm .* pip install 'css-bench\[timm\]'"):
        image_encoder("timm/resnet18")


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    weights, path = whole("resnet18").state_dict(), tmp_path / "weights.safetensors"
    cases = {
        r"lacks layer2\.0\.conv1\.weight": {name: value for name, value in weights.items() if "layer2" not in name},
        r"names begin with 'module\.'": {f"module.{name}": value for name, value in weights.items()},
        r"has the wrong shape for conv1\.weight": {**weights, "conv1.weight": torch.zeros(64, 1, 7, 7)},
        r"has unknown extra\.weight": {**weights, "extra.weight": torch.zeros(1)},
    }
    for message, given in cases.items():
        save_file(given, path)
        with pytest.raises(WeightsError, match=rf"weights\.safetensors: does not fit .*{message}") as caught:
            image_encoder("timm/resnet18@8", pretrained=path, image_size=SIZE)
        assert "\n" not in str(caught.value)
    save_file(weights, path)
    with pytest.raises(WeightsError, match=r"weights\.safetensors: does not fit"):
        image_encoder(f"timm/{VIT}", pretrained=path, image_size=SIZE)


@pytest.mark.parametrize("name", ["levit_128s", "repvit_m0_9"])
def test_a_classifier_of_several_layers_is_left_out(name: str, tmp_path: Path) -> None:
    weights = whole(name).state_dict()
    assert any("head.bn." in each for each in weights)
    torch.save(weights, tmp_path / "whole.pth")
    found = image_encoder(f"timm/{name}", pretrained=tmp_path / "whole.pth", image_size=224).state_dict()
    prefix = re.compile(r"^timm\.network\.(model\.)?")
    own = {prefix.sub("", each).replace("stages_", "stages."): value for each, value in found.items()}
    shared = [each for each in own if each in weights]
    assert len(shared) > 100
    assert all(torch.equal(own[each], weights[each]) for each in shared)


def test_words_that_name_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"torchvision: there is no such file; .* 'timm' to download timm's own"):
        image_encoder("timm/resnet18", pretrained="torchvision", image_size=SIZE)
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match=r"broken\.pth: cannot be read as weights"):
        image_encoder("timm/resnet18", pretrained=tmp_path / "broken.pth", image_size=SIZE)


def test_offline_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network\nand more of it")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", offline)
    with pytest.raises(
        WeightsError, match=r"timm's weights for timm/resnet18 \(no network\); .*path instead of"
    ) as caught:
        image_encoder("timm/resnet18", pretrained="timm", image_size=SIZE)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_downloaded_weights_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = whole("resnet18").state_dict()
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(weights))
    encoder = image_encoder("timm/resnet18@8", pretrained="timm", image_size=SIZE)
    assert torch.equal(encoder.state_dict()["timm.network.layer2.1.conv2.weight"], weights["layer2.1.conv2.weight"])
