"""Runs with encoders of timm and open_clip, and the maps of frozen ones, which are made once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmark.cli.main import main
from benchmark.device import make_accelerator, reproducible
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.changes import override
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.runs.single_run import new_network
from benchmark.scoring import frozen_features
from benchmark.scoring.evaluation import embed_gallery, embed_queries
from benchmark.tasks.css import Css
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.parts import require_parts
from benchmark.training.progress import SilentRuns
from benchmark.training.samplers import make_sampler
from benchmark.training.step import Session
from models.network import Network
from tests.benchmark.tiny import TINY
from tests.models.small_clip import NAME, save_small_clip

pytest.importorskip("timm")


@pytest.fixture(autouse=True)
def _reproducible() -> Iterator[None]:
    with reproducible("cpu"):
        yield


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return save_small_clip(tmp_path / "clip.safetensors", seed=1)


@pytest.fixture
def own_css(css_root: Path, tmp_path: Path) -> Css:
    """Images of 32 pixels in a folder of its own, whose cache is empty."""
    root = Path(shutil.copytree(css_root, tmp_path / "css", ignore=shutil.ignore_patterns(".cache")))
    return Css("css", root, source_view="2d", image_size=32, reporter=SilentRuns())


def frozen(config: Recipe, weights: Path, *changes: str) -> Recipe:
    given = (f"model.image_encoder=open_clip/{NAME}", f"model.pretrained={weights}", "data.image_size=32")
    return override(config, (*given, "training.shift=0", *changes))


def losses(css: Css, config: Recipe, notes: list[str] | None = None, *, spatial: bool = True) -> list[float]:
    run = Run("css", "tirg", config, 0, css.fingerprint, spatial)
    sampler = make_sampler(css.train, groups=2, modifications=3, seed=0)
    note = notes.append if notes is not None else lambda _: None
    session = Session(new_network(run, css.train), css.train, sampler, run, make_accelerator("cpu", "fp32"), note=note)
    return [float(session.step(step)) for step in range(4)]


def kept_files(css: Css) -> list[Path]:
    images = Path(css.train.gallery.filename)  # type: ignore[attr-defined]
    return sorted(images.parent.glob("*-features-*.npy"))


class Encoded:
    """Counts the images that the encoder has seen, without the one that asks for the map's shape."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.images, real = 0, Network.encode_maps

        def counted(network: Network, images: torch.Tensor) -> torch.Tensor:
            self.images += len(images) if len(images) > 1 else 0
            return real(network, images)

        patch.setattr(Network, "encode_maps", counted)


@pytest.mark.parametrize("stride", ["", "@16"])
def test_training_on_kept_maps_is_training_on_images(
    stride: str, own_css: Css, tiny_config: Recipe, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = frozen(tiny_config, clip, f"model.image_encoder=open_clip/{NAME}{stride}")
    kept = losses(own_css, config)
    assert len(kept_files(own_css)) == 2  # 3D targets and 2D sources
    monkeypatch.setattr(frozen_features, "_file_of", lambda _: None)
    direct = losses(own_css, config)
    assert kept[0] == pytest.approx(direct[0], rel=1e-6)
    assert kept == pytest.approx(direct, rel=1e-3)  # Muon makes much of a last digit
    assert kept[0] != kept[-1]


def test_maps_are_made_once_for_training_and_for_scoring(
    own_css: Css, tiny_config: Recipe, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = Encoded(monkeypatch)
    config = frozen(tiny_config, clip)
    network = new_network(Run("css", "tirg", config, 0, own_css.fingerprint, True), own_css.train)
    accelerator, test = make_accelerator("cpu", "fp32"), own_css.test
    first = [losses(own_css, config)]
    first += [part(network, test, accelerator) for part in (embedded_queries, embedded_gallery)]
    everything = len(own_css.train.gallery) + len(own_css.train.sources) + len(test.gallery) + len(test.sources)
    assert encoded.images == everything
    assert losses(own_css, config) == first[0]
    assert losses(own_css, config, spatial=False) != first[0]
    assert embedded_gallery(network, test, accelerator) == first[2]
    assert encoded.images == everything
    monkeypatch.setattr(frozen_features, "_file_of", lambda _: None)
    assert embedded_queries(network, test, accelerator) == pytest.approx(first[1], abs=1e-6)
    assert embedded_gallery(network, test, accelerator) == pytest.approx(first[2], abs=1e-6)


def embedded_queries(network: Network, split: object, accelerator: object) -> list[float]:
    return embed_queries(network, split, accelerator=accelerator, batch_size=7).flatten().tolist()  # type: ignore[arg-type]


def embedded_gallery(network: Network, split: object, accelerator: object) -> list[float]:
    found = embed_gallery(network, split.gallery, accelerator=accelerator, batch_size=7)  # type: ignore[attr-defined, arg-type]
    return found.flatten().tolist()


def test_other_weights_and_damaged_files_are_encoded_again(own_css: Css, tiny_config: Recipe, clip: Path) -> None:
    config = frozen(tiny_config, clip)
    before = losses(own_css, config)
    files = kept_files(own_css)
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
    assert losses(own_css, config) == before
    assert [np.load(file).shape[1:] for file in files] == [(12, 1, 1)] * 2
    save_small_clip(clip, seed=2)
    assert losses(own_css, config) != before
    assert len(kept_files(own_css)) == 4
    assert not list(files[0].parent.glob("*.partial"))


def test_augmented_images_are_encoded_in_every_step(
    own_css: Css, tiny_config: Recipe, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, notes = Encoded(monkeypatch), list[str]()
    losses(own_css, frozen(tiny_config, clip, "training.brightness=0.1"), notes)
    assert encoded.images == 4 * (2 + 6)
    assert kept_files(own_css) == []
    (line,) = notes
    assert "runs in every step; with training.shift=0, training.brightness=0" in line


def test_a_frozen_encoder_needs_weights(tiny_config: Recipe, clip: Path) -> None:
    require_parts(frozen(tiny_config, clip))
    with pytest.raises(BenchmarkError, match=rf"{NAME} is not trained, so it needs weights: add --pretrained"):
        require_parts(override(tiny_config, (f"model.image_encoder=open_clip/{NAME}", "data.image_size=32")))
    with pytest.raises(BenchmarkError, match=rf"{NAME} is not trained, so it needs weights: set model\.text_"):
        require_parts(override(tiny_config, (f"model.text_encoder=open_clip/{NAME}",)))
    with pytest.raises(UsageError, match=r"model\.image_encoder: timm/resnet18 has no map of stride 3"):
        require_parts(override(tiny_config, ("model.image_encoder=timm/resnet18@3",)))


ENCODERS = {
    "resnet": ["model.image_encoder=timm/resnet18@8"],
    "convnext": ["model.image_encoder=timm/convnext_atto@8"],
    "swin": ["model.image_encoder=timm/swin_tiny_patch4_window7_224@8"],
    "vit": ["model.image_encoder=timm/vit_tiny_patch16_224@16"],
    "clip": [f"model.image_encoder=open_clip/{NAME}", f"model.text_encoder=open_clip/{NAME}", "training.shift=0"],
}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_run_with_it_is_restored_from_its_checkpoint_alone(
    name: str, css_root: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changes = [*ENCODERS[name], "data.image_size=32"]
    if name == "clip":
        changes += [f"model.pretrained={clip}", f"model.text_weights={clip}"]
    run = ["run", "--composer=tirg", "--dataset=css", f"--data=css={css_root}", *TINY]
    run += [] if name == "clip" else ["--no-fresh"]
    result = CliRunner().invoke(main, [*run, *(f"--set={change}" for change in changes)])
    assert result.exit_code == 0, result.output
    (model,) = Path("runs").rglob("model.safetensors")
    clip.unlink()
    torch.manual_seed(5)
    checkpoint = Checkpoint.read(model)
    network = checkpoint.network()
    restored = network.state_dict()
    for key, value in checkpoint.tensors.items():
        assert torch.equal(restored[key.removeprefix("model.")], value), key
    (record,) = Path("leaderboards/records").rglob("*.json")
    verified = CliRunner().invoke(main, ["verify", f"--data=css={css_root}", "--device=cpu", str(record)])
    assert verified.exit_code == 0, verified.output
