"""The image encoders and their pretrained weights."""

import pickle
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from models.errors import RegistryError, WeightsError
from models.image_encoders import ImageEncoder, image_encoder
from models.image_encoders.small_resnet import CellGates


@pytest.mark.parametrize(
    ("name", "channels", "side"), [("resnet18", 512, 2), ("resnet50", 2048, 2), ("small_resnet", 128, 8)]
)
def test_the_map_has_the_declared_channels_and_no_negative_values(name: str, channels: int, side: int) -> None:
    torch.manual_seed(0)
    encoder = image_encoder(name)
    with torch.no_grad():
        features = encoder(torch.randn(2, 3, 64, 64))
    assert features.shape == (2, encoder.channels, side, side)
    assert encoder.channels == channels
    assert features.min() >= 0
    assert features.std() > 0


def test_gates_differ_from_cell_to_cell_and_stretch_to_any_map() -> None:
    torch.manual_seed(0)
    gates = CellGates(5)
    with torch.no_grad():
        same = gates(torch.ones(2, 5, 4, 4))
        torch.testing.assert_close(same[1], 2 / (1 + torch.exp(-gates.gates[0])))
        assert same.std(dim=(2, 3)).min() > 0.1
        stretched = gates(3 * torch.ones(1, 5, 12, 20))
    # where 3 rows or 5 columns are made of one, the middle one lies where the cell's own centre does
    torch.testing.assert_close(stretched[0, :, 1::3, 2::5], 3 * same[0])
    assert stretched.min() > 0
    assert stretched.max() < 6


def test_resnet_is_torchvisions_without_its_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    encoder = image_encoder("resnet18", pretrained=tmp_path / "weights.pth").eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.fc(encoder(images).mean(dim=(2, 3))), network(images))


def test_memory_format_and_neighbours_do_not_matter() -> None:
    torch.manual_seed(0)
    encoder = image_encoder("small_resnet")
    images = torch.randn(4, 3, 64, 64)
    encoder(images)
    encoder.eval()
    with torch.no_grad():
        features = encoder(images)
        encoder.to(memory_format=torch.channels_last)
        channels_last = encoder(images[2:].to(memory_format=torch.channels_last))
    torch.testing.assert_close(channels_last, features[2:], rtol=1e-4, atol=1e-4)
    assert channels_last.is_contiguous(memory_format=torch.channels_last)


def test_gradients_reach_the_small_resnet() -> None:
    torch.manual_seed(0)
    encoder = image_encoder("small_resnet")
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    for _ in range(2):  # blocks start as their shortcut, so their first layers move from the second step on
        optimizer.zero_grad()
        encoder(torch.randn(4, 3, 64, 64)).square().mean().backward()
        optimizer.step()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("asked", "hint"), [("resnet19", "did you mean resnet18"), ("vit", "there are resnet18, ")])
def test_an_unknown_encoder_offers_the_nearest(asked: str, hint: str) -> None:
    with pytest.raises(RegistryError, match=f"unknown image encoder '{asked}': {hint}"):
        image_encoder(asked)


def small_weights(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return image_encoder("small_resnet").state_dict()


def same_weights(encoder: ImageEncoder, weights: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in encoder.state_dict().items())


def test_weights_load_from_a_file(tmp_path: Path) -> None:
    weights = small_weights(seed=1)
    save_file(weights, tmp_path / "weights.safetensors")
    torch.save(weights, tmp_path / "weights.pth")
    for path in (tmp_path / "weights.safetensors", str(tmp_path / "weights.pth")):
        torch.manual_seed(2)
        assert same_weights(image_encoder("small_resnet", pretrained=path), weights)
    assert not same_weights(image_encoder("small_resnet"), weights)


def test_old_files_do_not_count_batches(tmp_path: Path) -> None:
    weights = {name: value for name, value in small_weights(seed=1).items() if not name.endswith("num_batches_tracked")}
    save_file(weights, tmp_path / "old.safetensors")
    assert same_weights(image_encoder("small_resnet", pretrained=tmp_path / "old.safetensors"), small_weights(seed=1))


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    weights = small_weights(seed=0)
    save_file({name: value for name, value in weights.items() if not name.startswith("layer2")}, path)
    with pytest.raises(
        WeightsError, match=r"weights.safetensors: .* it lacks layer2[^ ]+, layer2[^ ]+, .* and \d+ more$"
    ):
        image_encoder("small_resnet", pretrained=path)
    save_file({**weights, "head.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"it has unknown head.weight$"):
        image_encoder("small_resnet", pretrained=path)
    save_file({**weights, "conv1.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(WeightsError, match=r"it has the wrong shape for conv1.weight$"):
        image_encoder("small_resnet", pretrained=path)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("pwned"),)  # type: ignore[return-value]


MALICIOUS = pickle.dumps(Malicious(), protocol=2)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights", MALICIOUS, pickle.dumps([1, 2], protocol=2), None])
def test_a_file_without_weights_is_refused(
    suffix: str, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"weights{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"weights{suffix}: ") as caught:
        image_encoder("small_resnet", pretrained=path)
    assert "\n" not in str(caught.value)
    assert not Path("pwned").exists()


def test_a_file_with_other_things_than_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "checkpoint.pth")
    with pytest.raises(WeightsError, match=r"checkpoint.pth: expected a state dict, parameter names to tensors"):
        image_encoder("resnet18", pretrained=tmp_path / "checkpoint.pth")


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_torchvisions_weights_come_from_its_cache(hub_cache: Path) -> None:
    torch.manual_seed(3)
    network = torchvision.models.resnet18(weights=None)
    torch.save(network.state_dict(), hub_cache / "resnet18-f37072fd.pth")
    assert same_weights(image_encoder("resnet18", pretrained="torchvision"), network.state_dict())


def test_offline_there_is_one_clear_line(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(
        WeightsError, match=r"torchvision's weights for resnet18 from https.* no network.* give its path"
    ) as caught:
        image_encoder("resnet18", pretrained="torchvision")
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""
    assert list(hub_cache.iterdir()) == []


def test_torchvision_has_no_small_resnet() -> None:
    with pytest.raises(WeightsError, match=r"torchvision has no weights for small_resnet; .* use resnet18 or resnet50"):
        image_encoder("small_resnet", pretrained="torchvision")


@pytest.mark.parametrize("content", [b"", b"not weights", MALICIOUS, b"PK\x03\x04" + bytes(100)])
def test_damaged_downloads_are_named_and_to_be_deleted(
    content: bytes, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hub_cache)
    path = hub_cache / "resnet18-f37072fd.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"resnet18-f37072fd\.pth is damaged .*; delete this file") as caught:
        image_encoder("resnet18", pretrained="torchvision")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert path.exists()
    assert not Path("pwned").exists()


def test_a_download_of_another_network_is_named(hub_cache: Path) -> None:
    path = hub_cache / "resnet18-f37072fd.pth"
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="does not fit this image encoder") as caught:
        image_encoder("resnet18", pretrained="torchvision")
    assert str(path) in str(caught.value)


def test_torchs_advice_to_load_unsafely_is_not_passed_on(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18(weights=None), tmp_path / "whole.pth")
    with pytest.raises(WeightsError, match=r"whole\.pth: cannot be read .*other objects than tensors") as caught:
        image_encoder("resnet18", pretrained=tmp_path / "whole.pth")
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    ("prefix", "hint"),
    [
        (
            "module.",
            r"names begin with 'module\.': DataParallel adds that; save model\.module\.state_dict\(\) instead$",
        ),
        ("backbone.body.", r"names begin with 'backbone\.body\.': save them without this prefix$"),
    ],
)
def test_a_prefix_that_keeps_names_from_fitting_is_named(prefix: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({prefix + name: value for name, value in small_weights(seed=0).items()}, path)
    with pytest.raises(WeightsError, match=hint) as caught:
        image_encoder("small_resnet", pretrained=path)
    assert "\n" not in str(caught.value)
