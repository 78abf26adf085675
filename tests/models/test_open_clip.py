"""Frozen towers of open_clip against open_clip itself, on a model of two layers with random weights."""

import json
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models import text_encoders
from models.errors import RegistryError, VocabularyError, WeightsError
from models.image_encoders import image_encoder
from models.text_encoders import TextEncoder, TextSettings
from tests.models.small_clip import NAME, open_clip, save_small_clip

SIZE = 32
TEXTS = ["add large red cube to bottom-right", "remove cube", "Make TOP-LEFT circle red!! a!!b"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save_small_clip(tmp_path / "clip.safetensors", seed=1)


def reference(weights: Path, size: int = SIZE) -> Any:
    return open_clip.create_model(NAME, pretrained=str(weights), force_image_size=size).eval()


def images() -> Tensor:
    return torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


def as_clip_wants(given: Tensor) -> Tensor:
    """Images normalised by ImageNet's mean and deviation -> by those of OpenAI's CLIP."""
    values = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    mean, deviation, clip_mean, clip_deviation = (torch.tensor(each).view(3, 1, 1) for each in values)
    return (given * deviation + mean - clip_mean) / clip_deviation


def texts_of(weights: Path | str = "", **settings: Any) -> TextEncoder:
    kind = text_encoders.get(f"open_clip/{NAME}")
    chosen = TextSettings(text_width=6, weights=str(weights), **settings)
    return kind(kind.tokenizer_of(TEXTS, chosen), chosen)


def without_layers(encoder: TextEncoder) -> TextEncoder:
    encoder.pooled_layer = encoder.token_layer = nn.Identity()
    return encoder


def test_the_embedding_and_the_map_are_open_clips(weights: Path) -> None:
    model = reference(weights)
    embedding = image_encoder(f"open_clip/{NAME}", pretrained=weights, image_size=SIZE)
    cells = image_encoder(f"open_clip/{NAME}@16", pretrained=weights, image_size=SIZE)
    assert (embedding.channels, embedding.reduction, cells.channels, cells.reduction) == (12, SIZE, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(embedding(images())[:, :, 0, 0], model.encode_image(as_clip_wants(images())))
        visual = model.visual
        states = visual.ln_post(visual.transformer(visual._embeds(as_clip_wants(images()))))
        expected = states[:, 1:].permute(0, 2, 1).reshape(2, 16, 2, 2)
        torch.testing.assert_close(cells(images()), expected)
        assert expected.std() > 0.1


def test_positions_are_resampled_to_the_images_size(weights: Path) -> None:
    encoder = image_encoder(f"open_clip/{NAME}", pretrained=weights, image_size=2 * SIZE)
    large = torch.randn(1, 3, 2 * SIZE, 2 * SIZE)
    with torch.no_grad():
        expected = reference(weights, 2 * SIZE).encode_image(as_clip_wants(large))
        torch.testing.assert_close(encoder(large)[:, :, 0, 0], expected)


def test_the_image_tower_is_frozen_and_in_float32(weights: Path) -> None:
    encoder = image_encoder(f"open_clip/{NAME}", pretrained=weights, image_size=SIZE).train()
    assert encoder.is_frozen
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    plain = encoder(images())
    with torch.autocast("cpu", torch.bfloat16):
        cast = encoder(images().bfloat16().float())
    assert not plain.requires_grad
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, encoder(images().bfloat16().float()))


def test_a_state_dict_restores_the_image_tower_and_its_normalisation(weights: Path) -> None:
    encoder = image_encoder(f"open_clip/{NAME}", pretrained=weights, image_size=SIZE)
    encoder[0].get_buffer("offset").add_(0.5)  # as if its tag had another mean
    again = image_encoder(f"open_clip/{NAME}", image_size=SIZE)
    assert not torch.equal(again(images()), encoder(images()))
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(images()), encoder(images()))


def test_texts_are_read_as_open_clip_reads_them(weights: Path) -> None:
    model, encoder = reference(weights), without_layers(texts_of(weights)).eval()
    ids, mask = encoder.tokenize(TEXTS)
    expected = open_clip.get_tokenizer(NAME)(TEXTS)
    assert torch.equal(ids, expected[:, : ids.shape[1]])
    assert not expected[:, ids.shape[1] :].any()
    assert ids.shape[1] < expected.shape[1]
    ends = (expected == 49407).int().argmax(dim=1) + 1
    assert mask.sum(dim=1).tolist() == ends.tolist()
    assert torch.equal(mask, mask.sort(dim=1, descending=True).values)
    text = encoder(ids, mask)
    with torch.no_grad():
        torch.testing.assert_close(text.pooled, model.encode_text(expected))
        states = model.token_embedding(expected) + model.positional_embedding
        states = model.ln_final(model.transformer(states, attn_mask=model.attn_mask))
    torch.testing.assert_close(text.tokens[mask], states[:, : ids.shape[1]][mask])


def test_a_token_with_number_0_is_no_padding(weights: Path) -> None:
    encoder = texts_of(weights)
    encoder._tokens = SimpleNamespace(sot_token_id=5, eot_token_id=6, encode=lambda text: [0] * len(text))
    ids, mask = encoder.tokenize(["ab", "abcd"])
    assert ids.tolist() == [[5, 0, 0, 6, 0, 0], [5, 0, 0, 0, 0, 6]]
    assert mask.sum(dim=1).tolist() == [4, 6]


def test_a_long_text_is_cut_with_one_warning(weights: Path) -> None:
    encoder = texts_of(weights)
    long = "red " * 100
    with pytest.warns(UserWarning, match=rf"open_clip/{NAME} reads 24 tokens, and 1 of 2 texts are longer: .*'red red"):
        ids, mask = encoder.tokenize(["remove cube", long])
    assert torch.equal(ids, open_clip.get_tokenizer(NAME)(["remove cube", long]))
    assert mask.sum(dim=1).tolist() == [4, 24]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.tokenize([long])
    with pytest.raises(ValueError, match="no texts"):
        encoder.tokenize([])


def test_training_changes_the_layers_and_not_the_tower(weights: Path) -> None:
    encoder = texts_of(weights, dropout=0.5).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    optimiser = torch.optim.SGD([each for each in encoder.parameters() if each.requires_grad], lr=0.1)
    text = encoder(*encoder.tokenize(TEXTS))
    assert not torch.equal(text.pooled, encoder(*encoder.tokenize(TEXTS)).pooled)  # dropout
    (text.pooled.square().sum() + text.tokens.square().sum()).backward()
    optimiser.step()
    changed = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"{layer}.{part}" for layer in ("pooled_layer.1", "token_layer") for part in ("weight", "bias")}


def test_a_text_is_encoded_alike_beside_any_other_and_under_autocast(weights: Path) -> None:
    encoder = texts_of(weights).eval()
    together = encoder(*encoder.tokenize(TEXTS))
    for row, text in enumerate(TEXTS):
        alone = encoder(*encoder.tokenize([text]))
        torch.testing.assert_close(together.pooled[row], alone.pooled[0])
        torch.testing.assert_close(together.tokens[row][together.mask[row]], alone.tokens[0])
    assert (together.pooled[0] - together.pooled[1]).abs().max() > 1e-3
    plain = without_layers(encoder)(*encoder.tokenize(TEXTS))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(encoder(*encoder.tokenize(TEXTS)).pooled, plain.pooled)


def test_a_checkpoint_restores_the_text_tower(weights: Path) -> None:
    encoder = texts_of(weights).eval()
    weights.unlink()
    kind = text_encoders.get(f"open_clip/{NAME}")
    again = kind(json.loads(json.dumps(encoder.tokenizer)), TextSettings(text_width=6)).eval()
    assert not torch.equal(again(*again.tokenize(TEXTS)).pooled, encoder(*encoder.tokenize(TEXTS)).pooled)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(*again.tokenize(TEXTS)).pooled, encoder(*encoder.tokenize(TEXTS)).pooled)
    for state in (None, {}, {**encoder.tokenizer, "model": "ViT-B-32"}):
        with pytest.raises(VocabularyError, match=f"expected the state of texts for open_clip/{NAME}"):
            kind(state, TextSettings())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("open_clip/ViT-B-33", r"unknown model of open_clip 'ViT-B-33': did you mean ViT-B-32"),
        ("open_clip/coca_ViT-B-32", r"cannot be used: it needs weights of .*transformers, or decodes texts"),
        (f"open_clip/{NAME}@8", r"has no map of stride 8: there is @16"),
    ],
)
def test_what_open_clip_does_not_have_is_one_line(name: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message) as caught:
        image_encoder(name, image_size=SIZE)
    assert "\n" not in str(caught.value)


def test_a_text_tower_unlike_clips_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"ViT-B-16-SigLIP has no text tower like CLIP's \(hf_tokenizer_name is"):
        text_encoders.get("open_clip/ViT-B-16-SigLIP")
    with pytest.raises(RegistryError, match=r"unknown library of text encoders 'openclip': did you mean open_clip"):
        text_encoders.get("openclip/ViT-B-32")


def test_without_open_clip_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    for make in (lambda: image_encoder("open_clip/ViT-B-32"), lambda: text_encoders.get("open_clip/ViT-B-32")):
        with pytest.raises(RegistryError, match=r"package open_clip .* pip install 'css-bench\[open_clip\]'"):
            make()


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("laion2b_s34b", r"laion2b_s34b: there is no such file, and unknown tag of ViT-B-32 .* laion2b_s34b_b79k"),
        ("openai", r"openai was trained with other activations than ViT-B-32 has; use open_clip/ViT-B-32-quickgelu"),
    ],
)
def test_tags_are_checked_before_anything_is_made(tag: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        image_encoder("open_clip/ViT-B-32", pretrained=tag, image_size=SIZE)
    with pytest.raises(WeightsError, match=message):
        text_encoders.get("open_clip/ViT-B-32").require(TextSettings(weights=tag))


def published(monkeypatch: pytest.MonkeyPatch, **tags: tuple[float, bool]) -> None:
    """As if weights of the small model were published, by tag: the mean of their images, and QuickGELU."""
    found = {
        tag: {"mean": (mean, mean, mean), "std": (0.5, 0.5, 0.5), "quick_gelu": quick}
        for tag, (mean, quick) in tags.items()
    }
    monkeypatch.setattr(open_clip, "list_pretrained_tags_by_model", lambda _: list(found))
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda _, tag: found[tag])


def normalised(given: Tensor, mean: float) -> Tensor:
    means, deviations = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (given * deviations + means - mean) / 0.5


def test_a_file_is_normalised_for_as_all_published_weights_are(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch, one=(0.25, False), two=(0.25, False))
    encoder = image_encoder(f"open_clip/{NAME}", pretrained=weights, image_size=SIZE)
    torch.testing.assert_close(encoder[0](images()), normalised(images(), 0.25))
    published(monkeypatch, one=(0.25, True))
    with pytest.raises(WeightsError, match=rf"use open_clip/{NAME}-quickgelu"):
        image_encoder(f"open_clip/{NAME}", pretrained=weights, image_size=SIZE)


def test_where_published_weights_differ_a_file_needs_a_tag(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch, quick=(0.25, True), one=(0.25, False), two=(0.75, False))
    for tag, mean in (("one", 0.25), ("two", 0.75)):
        encoder = image_encoder(f"open_clip/{NAME}", pretrained=f"{tag}={weights}", image_size=SIZE)
        torch.testing.assert_close(encoder[0](images()), normalised(images(), mean))
        with torch.no_grad():
            expected = reference(weights).encode_image(normalised(images(), mean))
            torch.testing.assert_close(encoder(images())[:, :, 0, 0], expected)
    cases = {
        str(weights): rf"{weights}: published weights of open_clip/{NAME} differ in .*, as in one={weights}",
        f"thre={weights}": rf"thre={weights}: unknown tag of {NAME}",
        f"quick={weights}": rf"trained with other activations than {NAME} has; use open_clip/{NAME}-quickgelu",
        f"one={weights}x": r"there is no such file, and",
    }
    for given, message in cases.items():
        for make in (
            lambda word: image_encoder(f"open_clip/{NAME}", pretrained=word, image_size=SIZE),
            lambda word: text_encoders.get(f"open_clip/{NAME}").require(TextSettings(weights=word)),
        ):
            with pytest.raises(WeightsError, match=message) as caught:
                make(given)
            assert "\n" not in str(caught.value)
    text_encoders.get(f"open_clip/{NAME}").require(TextSettings(weights=f"one={weights}"))


def test_weights_that_do_not_fit_are_one_line(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"not weights")
    save_file({"conv1.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    kind = text_encoders.get(f"open_clip/{NAME}")
    for name in ("broken.pt", "other.safetensors"):
        for make in (
            lambda path: image_encoder(f"open_clip/{NAME}", pretrained=path, image_size=SIZE),
            lambda path: kind.require(TextSettings(weights=str(path))),
        ):
            with pytest.raises(WeightsError, match=rf"{name}: does not fit open_clip/{NAME} or is damaged") as caught:
                make(tmp_path / name)
            assert "\n" not in str(caught.value)
    with pytest.raises(
        WeightsError, match=rf"open_clip/{NAME} is not trained, so it needs weights: set model.text_wei"
    ):
        kind.require(TextSettings())
    kind.require(TextSettings(weights=str(weights)))


def test_offline_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network\nand more of it")

    monkeypatch.setattr("open_clip.factory.download_pretrained", offline)
    with pytest.raises(WeightsError, match=r"could not get .* laion2b_e16 for ViT-B-32 \(.*no network.*path") as caught:
        image_encoder("open_clip/ViT-B-32", pretrained="laion2b_e16", image_size=SIZE)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
