"""What every composer must do, built in or submitted: the tests iterate the registry."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

import models
from models import Composer, TextFeatures
from models.registry import get

Batch = Callable[..., tuple[Tensor, TextFeatures]]
CHANNELS, TEXT_WIDTH = 8, 6

every_name = pytest.mark.parametrize("name", models.names())
both_modes = pytest.mark.parametrize("spatial", [True, False], ids=["map", "pooled"])


def create(name: str, *, spatial: bool, seed: int = 0) -> Composer:
    torch.manual_seed(seed)
    return models.create(name, CHANNELS, TEXT_WIDTH, spatial=spatial)


def stepped(name: str, batch: Batch, *, spatial: bool, seed: int = 0) -> Composer:
    """In train mode after two optimiser steps: a composer may start as the identity, with a layer of zeros."""
    composer = create(name, spatial=spatial, seed=seed)
    image, text = batch(spatial=spatial, rows=16, seed=99)
    rng = torch.Generator().manual_seed(7)
    for _ in range(2):
        composer.zero_grad()
        composed = composer(image, text)
        if not composed.requires_grad:
            break
        ((composed - torch.randn(composed.shape, generator=rng)) ** 2).mean().backward()
        for parameter in composer.parameters():
            if parameter.grad is not None:
                parameter.data -= 0.1 * parameter.grad
    composer.zero_grad()
    return composer


def settled(name: str, batch: Batch, *, spatial: bool, seed: int = 0) -> Composer:
    """In eval mode after batches in train mode, so that normalisation layers hold statistics worth keeping."""
    return stepped(name, batch, spatial=spatial, seed=seed).eval()


def learns(name: str) -> bool:
    info = get(name).info
    return info.uses_image and info.uses_text


def select(text: TextFeatures, rows: Tensor) -> TextFeatures:
    return TextFeatures(*(part[rows] for part in text))


@every_name
@pytest.mark.parametrize("size", [None, (8, 8), (7, 7), (5, 3), (2, 1), (1, 1)])
def test_the_result_has_the_images_shape_and_type(name: str, size: tuple[int, int] | None, batch: Batch) -> None:
    spatial = size is not None
    composer = settled(name, batch, spatial=spatial)
    image, text = batch(spatial=True, size=size) if size else batch(spatial=False)
    composed = composer(image, text)
    assert composed.shape == image.shape
    assert composed.dtype == image.dtype
    assert composed.isfinite().all()
    assert composed.std() > 0


@every_name
@both_modes
def test_gradients_reach_every_parameter_and_both_inputs(name: str, spatial: bool, batch: Batch) -> None:
    composer = stepped(name, batch, spatial=spatial)
    image, text = batch(spatial=spatial, rows=8)
    image.requires_grad_()
    for part in text[:2]:
        part.requires_grad_()
    composed, own = composer.with_auxiliary(image, text, batch(spatial=spatial, rows=8, seed=5)[0])
    (composed * torch.randn(composed.shape)).sum().backward(retain_graph=True)
    if own is not None:
        own.backward()
    for parameter_name, parameter in composer.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name
    of_image, of_text = [image.grad], [text.pooled.grad, text.tokens.grad]
    assert any(grad is not None and grad.abs().sum() > 0 for grad in of_image) == composer.info.uses_image
    assert any(grad is not None and grad.abs().sum() > 0 for grad in of_text) == composer.info.uses_text


@every_name
@both_modes
def test_rows_do_not_see_each_other(name: str, spatial: bool, batch: Batch) -> None:
    composer = settled(name, batch, spatial=spatial)
    image, text = batch(spatial=spatial)
    composed = composer(image, text)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(composer(image[order], select(text, order)), composed[order])
    alone = torch.tensor([2])
    torch.testing.assert_close(composer(image[alone], select(text, alone)), composed[alone])
    other_image, other_text = batch(spatial=spatial, seed=1)
    other_image[2] = image[2]
    for part, own in zip(other_text, text, strict=True):
        part[2] = own[2]
    torch.testing.assert_close(composer(other_image, other_text)[2], composed[2])


@every_name
@both_modes
def test_equal_seeds_make_equal_composers(name: str, spatial: bool, batch: Batch) -> None:
    image, text = batch(spatial=spatial)
    first, second = settled(name, batch, spatial=spatial), settled(name, batch, spatial=spatial)
    assert torch.equal(first(image, text), second(image, text))
    assert torch.equal(first(image, text), first(image, text))


@every_name
@both_modes
def test_saved_and_loaded_it_is_the_same(name: str, spatial: bool, batch: Batch, tmp_path: Path) -> None:
    image, text = batch(spatial=spatial)
    composer = settled(name, batch, spatial=spatial)
    save_file(composer.state_dict(), tmp_path / "composer.safetensors")
    loaded = create(name, spatial=spatial, seed=1).eval()
    loaded.load_state_dict(load_file(tmp_path / "composer.safetensors"))
    assert torch.equal(loaded(image, text), composer(image, text))


@every_name
@both_modes
def test_uses_what_it_declares(name: str, spatial: bool, batch: Batch) -> None:
    composer = settled(name, batch, spatial=spatial)
    image, text = batch(spatial=spatial)
    other_image, other_text = batch(spatial=spatial, seed=1)
    composed = composer(image, text)
    of_image = (composer(other_image, text) - composed).flatten(1).abs().amax(dim=1)
    of_text = (composer(image, other_text) - composed).flatten(1).abs().amax(dim=1)
    assert (of_image > 1e-6).tolist() == [composer.info.uses_image] * 5
    assert (of_text > 1e-6).tolist() == [composer.info.uses_text] * 5


@every_name
@both_modes
def test_padding_does_not_matter(name: str, spatial: bool, batch: Batch) -> None:
    composer = settled(name, batch, spatial=spatial)
    image, text = batch(spatial=spatial)
    tokens = text.tokens.masked_fill(~text.mask[:, :, None], 1e3)
    longer = TextFeatures(
        text.pooled, functional.pad(tokens, (0, 0, 0, 3), value=-1e3), functional.pad(text.mask, (0, 3), value=False)
    )
    torch.testing.assert_close(composer(image, longer), composer(image, text))


@every_name
@both_modes
def test_inputs_are_left_alone(name: str, spatial: bool, batch: Batch) -> None:
    composer = create(name, spatial=spatial)
    image, text = batch(spatial=spatial)
    composer(image, text)
    same_image, same_text = batch(spatial=spatial)
    assert torch.equal(image, same_image)
    assert all(torch.equal(part, same) for part, same in zip(text, same_text, strict=True))


@every_name
def test_memory_format_does_not_matter(name: str, batch: Batch) -> None:
    composer = settled(name, batch, spatial=True)
    image, text = batch(spatial=True)
    composed = composer(image, text)
    composer.to(memory_format=torch.channels_last)
    torch.testing.assert_close(composer(image.to(memory_format=torch.channels_last), text), composed)


@every_name
@both_modes
def test_bfloat16(name: str, spatial: bool, batch: Batch) -> None:
    image, text = batch(spatial=spatial)
    expected = settled(name, batch, spatial=spatial)(image, text)
    composer = settled(name, batch, spatial=spatial).to(torch.bfloat16)
    low_image, low_text = batch(spatial=spatial, dtype=torch.bfloat16)
    composed = composer(low_image, low_text)
    assert composed.dtype == torch.bfloat16
    assert (composed.float() - expected).norm() < 0.05 * expected.norm()


@every_name
@both_modes
def test_bfloat16_autocast(name: str, spatial: bool, batch: Batch) -> None:
    composer = settled(name, batch, spatial=spatial)
    image, text = batch(spatial=spatial)
    expected = composer(image, text)
    composer.train()
    with torch.autocast("cpu", torch.bfloat16):
        trained = composer(image.requires_grad_(), text)
        composed = composer.eval()(image, text)
    trained.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in composer.parameters() if parameter.grad is not None)
    assert (composed.float() - expected).norm() < 0.1 * expected.norm()


@every_name
@both_modes
def test_runs_on_the_device_of_its_input_without_waiting_for_it(name: str, spatial: bool, batch: Batch) -> None:
    """On the meta device there is no data: a tensor made elsewhere, or a value read by the host, is an error."""
    composer = create(name, spatial=spatial).to("meta")
    image, text = batch(spatial=spatial)
    composed = composer(image.to("meta"), TextFeatures(*(part.to("meta") for part in text)))
    assert composed.device.type == "meta"
    composed.sum()


@both_modes
@pytest.mark.parametrize("name", [name for name in models.names() if learns(name)])
def test_learns_a_tiny_set(name: str, spatial: bool) -> None:
    """Six images x four texts, a random target each: who ignores the text, or the image, gets 6 or 4 of 24 at best."""
    generator = torch.Generator().manual_seed(7)
    channels, text_width = 16, 32
    image = torch.randn((6, channels, 2, 2), generator=generator).relu().repeat_interleave(4, dim=0)
    tokens = torch.randn((4, 3, text_width), generator=generator).repeat(6, 1, 1)
    text = TextFeatures(tokens.mean(dim=1), tokens, torch.ones(24, 3, dtype=torch.bool))
    target = functional.normalize(torch.randn((24, 16), generator=generator))
    torch.manual_seed(0)
    composer = models.create(name, channels, text_width, spatial=spatial)
    head = nn.Linear(channels, 16)
    optimizer = torch.optim.Adam([*composer.parameters(), *head.parameters()], lr=5e-3)

    def similarities() -> Tensor:
        composed = composer(image, text).mean(dim=(2, 3)) if spatial else composer(image.mean(dim=(2, 3)), text)
        return 10 * functional.normalize(head(composed)) @ target.T

    for _ in range(150):
        loss = functional.cross_entropy(similarities(), torch.arange(24))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.02:
            break
    with torch.no_grad():
        for _ in range(20):
            similarities()  # normalisation statistics trail the last steps
    composer.eval()
    correct = similarities().argmax(dim=1) == torch.arange(24)
    assert correct.float().mean() > 0.95
