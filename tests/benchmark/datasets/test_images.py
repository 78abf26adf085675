import numpy as np
import pytest
import torch

from benchmark.datasets.image_store import ImageStore

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)


def normalised(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (3, H, W) by the definition, in float64."""
    scaled = (image / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    return np.moveaxis(scaled, 2, 0)


def test_batch_holds_the_rows_normalised_and_channels_last(pixels: np.ndarray) -> None:
    batch = ImageStore(pixels, CPU).batch(torch.tensor([3, 0, 3]))
    expected = np.stack([normalised(pixels[row]) for row in (3, 0, 3)])
    np.testing.assert_allclose(batch.numpy(), expected, atol=1e-5)
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_without_changes_augmented_is_batch(pixels: np.ndarray) -> None:
    store, rows = ImageStore(pixels, CPU), torch.arange(5)
    augmented = store.augmented(rows, shift=0, brightness=0.0, generator=torch.Generator().manual_seed(0))
    assert torch.equal(augmented, store.batch(rows))


def test_a_shifted_image_is_the_image_moved_with_its_edge_repeated(pixels: np.ndarray) -> None:
    store = ImageStore(pixels, CPU)
    moved = store.augmented(torch.tensor([2] * 60), shift=2, brightness=0.0, generator=torch.Generator().manual_seed(0))
    padded = np.pad(pixels[2], ((2, 2), (2, 2), (0, 0)), mode="edge")
    possible = [normalised(padded[y : y + 6, x : x + 7]) for y in range(5) for x in range(5)]
    found = {min(range(25), key=lambda k: np.abs(possible[k] - image.numpy()).max()) for image in moved}
    for image in moved:
        assert min(np.abs(each - image.numpy()).max() for each in possible) < 1e-5
    assert len(found) > 15


def test_brightness_multiplies_each_image_by_one_factor(pixels: np.ndarray) -> None:
    store = ImageStore(pixels, CPU)
    lit = store.augmented(torch.arange(5), shift=0, brightness=0.3, generator=torch.Generator().manual_seed(1))
    deviation, mean = np.array([0.229, 0.224, 0.225]), np.array([0.485, 0.456, 0.406])
    light = (np.moveaxis(lit.numpy(), 1, 3) * deviation + mean) * 255
    factors = [(light[row][pixels[row] > 40] / pixels[row][pixels[row] > 40]) for row in range(5)]
    for factor in factors:
        assert np.ptp(factor) < 1e-4
        assert 0.7 <= factor.mean() <= 1.3
    assert len({round(float(factor.mean()), 3) for factor in factors}) == 5


def test_noise_is_the_generators(pixels: np.ndarray) -> None:
    store, rows = ImageStore(pixels, CPU), torch.arange(5)
    twice = [
        store.augmented(rows, shift=2, brightness=0.2, generator=torch.Generator().manual_seed(7)) for _ in range(2)
    ]
    assert torch.equal(*twice)
