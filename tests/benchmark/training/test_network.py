from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from benchmark.errors import BenchmarkError
from benchmark.recipe.identity import Run
from benchmark.recipe.schema import Recipe
from benchmark.training.checkpoint import Checkpoint, Code, load_model, model_tensors
from benchmark.training.model import empty_network, new_network, require_texts, tokenizer_of
from models.network import Network, take_rows
from models.text_encoders.vocabulary import Vocabulary

TEXTS = ("add red circle", "remove object", "make large")


def make(composer: str, config: Recipe, *, spatial: bool = True) -> Network:
    return new_network(composer, config.model, TEXTS, spatial=spatial, seed=0).eval()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    images = torch.randn(2 + 3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    ids, mask = Vocabulary.from_texts(TEXTS).encode(TEXTS)
    return images, torch.tensor([1, 0, 1]), ids, mask


@pytest.mark.parametrize("spatial", [True, False])
@pytest.mark.parametrize("composer", models.names())
def test_a_training_batch_is_each_image_and_query_by_itself(composer: str, spatial: bool, tiny_config: Recipe) -> None:
    network = make(composer, tiny_config, spatial=spatial)
    images, group, ids, mask = inputs()
    with torch.no_grad():
        query, target = network(images, group, ids, mask)
        for row in range(3):
            source = network.encode_sources(images[group[row]][None])
            alone = network.embed_queries(source, ids[row][None], mask[row][None])
            torch.testing.assert_close(query[row], alone[0], atol=1e-4, rtol=1e-4)
            plain = network.embed_images(network.encode_images(images[2 + row][None]))
            torch.testing.assert_close(target[row], plain[0], atol=1e-4, rtol=1e-4)
    for embedding in (*query, *target):
        assert embedding.norm().item() == pytest.approx(4.0, abs=1e-4)


def test_scale_is_learnable(tiny_config: Recipe) -> None:
    network = make("tirg", tiny_config)
    query, target = network(*inputs())
    (query * target).sum().backward()
    assert network.scale.grad is not None
    assert network.scale.grad.item() != 0


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 2, 3)])
def test_take_rows_is_indexing_and_keeps_the_layout(shape: tuple[int, ...]) -> None:
    features = torch.randn(shape)
    if len(shape) == 4:
        features = features.to(memory_format=torch.channels_last)
    rows = torch.tensor([3, 0, 0, 2, 1])
    taken = take_rows(features, rows)
    assert torch.equal(taken, features[rows])
    if len(shape) == 4:
        assert taken.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("spatial", [True, False])
@pytest.mark.parametrize("composer", models.names())
def test_a_stored_model_is_the_model(composer: str, spatial: bool, tiny_config: Recipe, tmp_path: Path) -> None:
    network = make(composer, tiny_config, spatial=spatial)
    identity = Run("css", composer, tiny_config, 0, "f" * 64, spatial)
    path = tmp_path / "model.safetensors"
    Checkpoint(identity, network.text_encoder.tokenizer, 6, 0.0, model_tensors(network)).write(path)
    again = Checkpoint.read(path)
    assert (again.run, again.tokenizer, again.steps) == (identity, network.text_encoder.tokenizer, 6)
    with torch.no_grad():
        for ours, theirs in zip(network(*inputs()), again.network()(*inputs()), strict=True):
            assert torch.equal(ours, theirs)


def test_equal_models_are_equal_files(tiny_config: Recipe, tmp_path: Path) -> None:
    identity = Run("css", "tirg", tiny_config, 0, "f" * 64, True)
    for name in ("one", "two"):
        network = make("tirg", tiny_config)
        Checkpoint(identity, network.text_encoder.tokenizer, 6, 0.0, model_tensors(network)).write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def stored(tiny_config: Recipe, path: Path) -> Checkpoint:
    network = make("concat", tiny_config)
    identity = Run("css", "concat", tiny_config, 0, "f" * 64, True)
    checkpoint = Checkpoint(identity, network.text_encoder.tokenizer, 6, 0.0, model_tensors(network))
    checkpoint.write(path)
    return checkpoint


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there is no such checkpoint"),
        (b"", "is not a checkpoint"),
        (b"\x80\x04pickle" * 9, "is not a checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_named(content: bytes | None, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BenchmarkError, match=expected) as caught:
        Checkpoint.read(path)
    assert str(path) in str(caught.value)


def test_a_checkpoint_cut_short_is_named(tiny_config: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    stored(tiny_config, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BenchmarkError, match="is not a checkpoint of tirg-bench or is damaged"):
        Checkpoint.read(path)


def test_any_flipped_bit_of_a_training_is_found(tiny_config: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {"model.weight": torch.arange(6.0).reshape(2, 3), "curve.validations": torch.zeros(0, 2)}
    identity = Run("css", "tirg", tiny_config, 0, "f" * 64, True)
    Checkpoint(identity, {}, 6, 0.1 + 0.2, tensors, Code("é", "")).write(path, checksum=True)
    content, unchanged = path.read_bytes(), 0
    assert Checkpoint.read(path).seconds == 0.1 + 0.2
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            found = Checkpoint.read(path)
        except BenchmarkError:
            continue
        # A digit of 0.3 that rounds to the same number, or another spelling of the letter.
        assert (found.seconds, found.code, found.steps) == (0.1 + 0.2, ("é", ""), 6)
        unchanged += 1
    assert unchanged <= 3


def test_a_checkpoint_without_a_checksum_is_read(tiny_config: Recipe, tmp_path: Path) -> None:
    checkpoint = stored(tiny_config, tmp_path / "without")
    checkpoint.write(tmp_path / "with", checksum=True)
    assert b'\\"sha256\\"' in (tmp_path / "with").read_bytes()
    assert b'\\"sha256\\"' not in (tmp_path / "without").read_bytes()
    for name in ("with", "without"):
        found = Checkpoint.read(tmp_path / name)
        assert (found.run, found.code, found.steps) == (checkpoint.run, checkpoint.code, checkpoint.steps)
        assert found.tensors.keys() == checkpoint.tensors.keys()


def test_a_model_whose_composer_is_gone_or_changed_is_named(tiny_config: Recipe, tmp_path: Path) -> None:
    checkpoint = stored(tiny_config, tmp_path / "x.safetensors")
    with pytest.raises(BenchmarkError, match="unknown composer 'gone'"):
        replace(checkpoint, run=replace(checkpoint.run, composer="gone")).network()
    with pytest.raises(BenchmarkError, match="does not fit its model any more"):
        replace(checkpoint, run=replace(checkpoint.run, composer="tirg")).network()


def test_a_network_with_sentence_embeddings_needs_its_file_for_training_alone(
    tiny_config: Recipe, tmp_path: Path
) -> None:
    path = tmp_path / "sentences.npz"
    np.savez(path, texts=np.array(TEXTS), vectors=np.random.default_rng(0).normal(size=(3, 5)))
    model = tiny_config.model.model_copy(update={"text_encoder": "sentence_file", "text_weights": str(path)})
    network = new_network("film", model, TEXTS[:2], spatial=True, seed=0)
    images, group, *_ = inputs()
    query, target = network(images, group, *network.text_encoder.tokenize(TEXTS))
    (query * target).sum().backward()
    assert all(parameter.grad is not None for parameter in network.text_encoder.parameters())
    with pytest.raises(BenchmarkError, match=r"sentences\.npz: has no vector for the text 'make small'"):
        tokenizer_of(model, ["make small"])
    with pytest.raises(BenchmarkError, match="no vector for the text 'make small'"):
        require_texts(network, ["make large", "make small"])
    require_texts(network, TEXTS)
    path.unlink()
    again = empty_network("film", model, network.text_encoder.tokenizer, spatial=True)
    load_model(again, model_tensors(network))
    with torch.no_grad():
        for ours, theirs in zip(
            network.eval()(images, group, *network.text_encoder.tokenize(TEXTS)),
            again.eval()(images, group, *again.text_encoder.tokenize(TEXTS)),
            strict=True,
        ):
            assert torch.equal(ours, theirs)


def test_a_network_of_unknown_parts_is_one_line(tiny_config: Recipe) -> None:
    for update in ({"text_encoder": "bert"}, {"image_encoder": "vit"}):
        with pytest.raises(BenchmarkError, match=r"unknown .* encoder") as caught:
            new_network("tirg", tiny_config.model.model_copy(update=update), TEXTS, spatial=True, seed=0)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tokenizer", [None, [], {}, {"format": "css-bench vocabulary 1", "words": ["B", "a"]}])
def test_a_checkpoint_with_a_bad_tokenizer_is_named(tokenizer: object, tiny_config: Recipe, tmp_path: Path) -> None:
    checkpoint = replace(stored(tiny_config, tmp_path / "x.safetensors"), tokenizer=tokenizer)
    checkpoint.write(tmp_path / "y.safetensors")
    with pytest.raises(BenchmarkError, match="the checkpoint's model cannot be built: vocabulary: "):
        Checkpoint.read(tmp_path / "y.safetensors").network()


def test_parts_start_alike_whatever_the_others_are(tiny_config: Recipe) -> None:
    """The composer and the head of one seed are drawn independently of each other and of the encoders."""
    one, other = (
        new_network(name, tiny_config.model, TEXTS, spatial=True, seed=0).state_dict()
        for name in ("tirg", "image_only")
    )
    shared = [name for name in one if not name.startswith("composer.")]
    assert shared == list(other)
    assert all(torch.equal(one[name], other[name]) for name in shared)
    again = new_network("tirg", tiny_config.model, [*TEXTS, "many more words"], spatial=True, seed=0).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one if name.startswith(("composer.", "head.")))
    reseeded = new_network("tirg", tiny_config.model, TEXTS, spatial=True, seed=1).state_dict()
    assert not torch.equal(one["head.weight"], reseeded["head.weight"])
    gate = "composer.gate.output_layer.weight"
    assert not torch.equal(one[gate], reseeded[gate])
