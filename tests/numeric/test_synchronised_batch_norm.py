"""Batch norm over the batch of all processes: values, gradients of first and second order, statistics, in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from processes import together
from tandem.networks.layers import make_norm, resume_training, sample_as_in_training
from tandem.networks.synchronised import SynchronisedBatchNorm, synchronise_batch_norms
from tandem.training.process_group import ProcessGroup

CHANNELS = 3


def whole(size: int, *, offset: float = 0.0) -> tuple[Tensor, Tensor]:
    """The joined batch and a weight for each of its values, of which every process has its rows."""
    generator = torch.Generator().manual_seed(5)
    x, weight = (torch.randn((2 * size, CHANNELS, 4, 5), generator=generator, dtype=torch.float64) for _ in range(2))
    return x * torch.linspace(1, 3, 2 * size, dtype=torch.float64)[:, None, None, None] + offset, weight


def make_layer() -> nn.BatchNorm2d:
    layer = make_norm("batch", CHANNELS)
    assert isinstance(layer, nn.BatchNorm2d)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, 1.0, -2.0]))
        layer.bias.copy_(torch.tensor([0.1, -1.0, 3.0]))
    return layer.double()


def measured(layer: nn.BatchNorm2d, x: Tensor, weight: Tensor) -> dict[str, np.ndarray]:
    """Twice through the layer, and a loss that is not linear, whose gradient is then differentiated again."""
    x = x.clone().requires_grad_(True)
    output = layer(layer(x).square())
    loss = (weight * output.tanh()).sum()
    (first,) = torch.autograd.grad(loss, x, create_graph=True)
    penalty = (first.square().flatten(1).sum(1)).sum()
    penalty.backward()
    assert x.grad is not None
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    tensors = {
        "output": output,
        "first": first,
        "second": x.grad,
        "of weight": layer.weight.grad,
        "of bias": layer.bias.grad,
        **layer.state_dict(),
    }
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


@pytest.mark.parametrize("size", [2, 3])
def test_it_is_batch_norm_of_the_joined_batch(size: int) -> None:
    x, weight = whole(size)

    def work(process_group: ProcessGroup) -> dict[str, np.ndarray]:
        layer = make_layer()
        synchronise_batch_norms(layer, rank=process_group.rank, size=process_group.size)
        rows = slice(2 * process_group.rank, 2 * process_group.rank + 2)
        return measured(layer, x[rows], weight[rows])

    plain = nn.BatchNorm2d(CHANNELS).double()
    plain.load_state_dict(make_layer().state_dict())
    expected = measured(plain, x, weight)
    results = together(work, size=size)
    found = {name: np.concatenate([one[name] for one in results]) for name in ("output", "first", "second")}
    found |= {
        name: sum(one[name] for one in results) for name in ("of weight", "of bias")
    }  # each has its own samples' part
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-9, atol=1e-9, err_msg=name)
    for one in results:
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            np.testing.assert_allclose(one[name], expected[name], rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_large_mean_costs_no_digits_in_float32() -> None:
    """A variance from the mean of squares would lose all of them."""
    x, _ = whole(2, offset=3000.0)

    def work(process_group: ProcessGroup) -> Any:
        layer = make_norm("batch", CHANNELS)
        assert layer is not None
        synchronise_batch_norms(layer, rank=process_group.rank, size=process_group.size)
        layer(x[2 * process_group.rank : 2 * process_group.rank + 2].float())
        return layer.state_dict()["running_var"].numpy()

    plain = nn.BatchNorm2d(CHANNELS).double()
    plain(x)
    assert plain.running_var is not None
    for variance in together(work):
        np.testing.assert_allclose(variance, plain.running_var.numpy(), rtol=1e-5)


def test_half_precision_in_and_out() -> None:
    x, _ = whole(2)

    def work(process_group: ProcessGroup) -> Any:
        layer = make_norm("batch", CHANNELS)
        assert layer is not None
        synchronise_batch_norms(layer, rank=process_group.rank, size=process_group.size)
        output = layer(x[2 * process_group.rank : 2 * process_group.rank + 2].bfloat16())
        assert output.dtype == torch.bfloat16
        return output.float().detach().numpy()

    expected = nn.BatchNorm2d(CHANNELS)(x.bfloat16().float()).detach().numpy()
    np.testing.assert_allclose(np.concatenate(together(work)), expected, rtol=0.02, atol=0.02)


def test_where_models_sample_nobody_waits_for_the_others() -> None:
    x = whole(2)[0][:1]

    def work(process_group: ProcessGroup) -> Any:
        layer = make_layer()
        network = nn.Sequential(layer)
        synchronise_batch_norms(network, rank=process_group.rank, size=process_group.size)
        if process_group.is_main:
            sample_as_in_training(network)
            own = network(x)
            network.eval()
            fixed = network(x)
            resume_training(network)
        joint = network(x)
        return [t.detach().numpy() for t in ((own, fixed, joint) if process_group.is_main else (joint,))]

    main, other = together(work)
    plain = nn.BatchNorm2d(CHANNELS).double()
    plain.load_state_dict(make_layer().state_dict())
    own = plain(x).detach().numpy()
    plain.load_state_dict(make_layer().state_dict())
    np.testing.assert_allclose(main[0], own, rtol=1e-12)
    np.testing.assert_allclose(main[1], plain.eval()(x).detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(main[2], other[0], rtol=1e-12)


def test_alone_it_is_the_layer_of_pytorch() -> None:
    layer, plain = make_layer(), nn.BatchNorm2d(CHANNELS).double()
    plain.load_state_dict(layer.state_dict())
    assert isinstance(layer, SynchronisedBatchNorm)
    x, _ = whole(2)
    assert torch.equal(layer(x), plain(x))
    assert layer.state_dict().keys() == plain.state_dict().keys()
