"""oneDNN's products against torch's in double precision, and the gradients of `Linear` against nn.Linear's."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from models import products
from models.products import Linear, product


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (7, 1, 9), (64, 200, 33), (129, 17, 64)])
def test_a_product_is_the_matrix_product_in_any_layout(shape: tuple[int, int, int]) -> None:
    rows, inner, columns = shape
    generator = torch.Generator().manual_seed(sum(shape))
    for left in (torch.randn(rows, inner, generator=generator), torch.randn(inner, rows, generator=generator).T):
        for right in (torch.randn(inner, columns, generator=generator), torch.randn(columns, inner).T):
            expected = (left.double() @ right.double()).float()
            torch.testing.assert_close(product(left, right), expected, atol=1e-4, rtol=1e-4)
            stacked = product(torch.stack([left, -left]), torch.stack([right, right]))
            torch.testing.assert_close(stacked, torch.stack([expected, -expected]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 4, 6), (4, 6, 3, 3)])
def test_linear_and_its_gradients_are_those_of_torchs(bias: bool, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    theirs = nn.Linear(6, 7, bias=bias)
    ours = Linear(6, 7, bias=bias)
    ours.load_state_dict(theirs.state_dict())
    found = []
    for layer in (ours, theirs):
        given = torch.randn(shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
        cells = given.movedim(1, -1) if shape[1] == 6 and len(shape) == 4 else given
        result = layer(cells)
        result.backward(torch.randn(result.shape, generator=torch.Generator().manual_seed(2)))
        found.append([result, given.grad, *(parameter.grad for parameter in layer.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_other_kinds_of_numbers_and_machines_without_onednn_take_torchs_product(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = Linear(6, 7)
    given = torch.randn(5, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(given), functional.linear(given, layer.weight, layer.bias))
    assert Linear(6, 7).double()(given.double()).dtype == torch.float64
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(products, "_multiply", None)
    assert torch.equal(layer(given), functional.linear(given, layer.weight, layer.bias))
    assert torch.equal(product(given, given.T), given @ given.T)
