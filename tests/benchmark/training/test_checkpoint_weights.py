"""The hash of a model's weights depends on the weights alone."""

import torch

from benchmark.training.checkpoint import weights_sha256


def weights() -> dict[str, torch.Tensor]:
    return {"model.a": torch.arange(6.0).reshape(2, 3), "model.b": torch.tensor(7), "optimiser.0": torch.ones(2)}


def test_the_order_and_what_is_no_weight_do_not_matter() -> None:
    tensors = weights()
    reverse = dict(reversed(tensors.items())) | {"optimiser.0": torch.zeros(2)}
    assert weights_sha256(reverse) == weights_sha256(tensors)
    strided = tensors | {"model.a": torch.arange(6.0).reshape(2, 3).T.contiguous().T}
    assert not strided["model.a"].is_contiguous()
    assert weights_sha256(strided) == weights_sha256(tensors)


def test_names_types_shapes_and_values_matter() -> None:
    tensors = weights()
    others = [
        tensors | {"model.a": torch.arange(6.0).reshape(3, 2)},
        tensors | {"model.a": torch.arange(6.0).reshape(2, 3).nextafter(torch.ones(2, 3))},
        tensors | {"model.b": torch.tensor(7, dtype=torch.int32)},
        tensors | {"model.a": tensors["model.a"].bfloat16()},
        {("model.c" if name == "model.b" else name): value for name, value in tensors.items()},
        {name: value for name, value in tensors.items() if name != "model.b"},
    ]
    assert len({weights_sha256(each) for each in (tensors, *others)}) == 7
