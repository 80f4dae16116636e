"""Operations and bytes of a step against closed forms, and against what is known of the published step."""

import pytest
import torch
from torch import Tensor, nn

from benchmarks.cost.cells import Cell, Peak
from benchmarks.cost.counting import count_work
from benchmarks.cost.table import bound, share_of_peak
from tandem.bench.baselines.build import make_baseline
from tandem.bench.timing import Timing, median_ratio
from tandem.bench.train_step import bench_config, make_step
from tandem.config.run import from_flat
from tandem.objectives.build import build_objective

META = torch.device("meta")


def test_a_matrix_product() -> None:
    a, b = torch.empty(8, 16, device=META), torch.empty(16, 4, device=META)
    work = count_work(lambda: a @ b)
    assert (work.flops, work.bytes, work.kernels) == (2 * 8 * 16 * 4, 4 * (8 * 16 + 16 * 4 + 8 * 4), 1)


def test_in_place_reads_and_writes_and_views_are_free() -> None:
    a = torch.empty(6, 10, dtype=torch.float16, device=META)
    assert count_work(lambda: a.add_(1)).bytes == 2 * 2 * 60
    assert count_work(lambda: a.t().reshape(10, 6)[2:].expand(3, 8, 6)).bytes == 0
    assert count_work(lambda: torch.empty_like(a)).kernels == 0


def test_a_convolution_forward_and_backward() -> None:
    """Its two gradients cost what the forward costs, but the one of an input that needs none."""
    conv = nn.Conv2d(3, 5, 4, stride=2, padding=1, bias=False, device=META)
    images = torch.empty(2, 3, 16, 16, device=META)
    forward = 2 * 2 * 5 * 8 * 8 * 3 * 4 * 4
    assert count_work(lambda: conv(images)).flops == forward
    assert count_work(lambda: conv(images).sum().backward()).flops == 2 * forward
    images.requires_grad_(True)
    assert count_work(lambda: conv(images).sum().backward()).flops == 3 * forward


def test_lists_of_an_optimiser_count() -> None:
    weight = nn.Parameter(torch.zeros(1000))
    adam = torch.optim.Adam([weight], fused=True)
    weight.grad = torch.ones(1000)
    adam.step()
    moved = count_work(adam.step).bytes
    # Weight, gradient and two moments, read and written (its schema reserves the right to write the gradient).
    assert 8 * 4000 <= moved <= 8 * 4000 + 100


def test_the_published_step_at_256_px() -> None:
    """261 GFLOP in some 2,500 kernels, as counted on the official code."""
    config = from_flat({"method": "bicyclegan", "batch_size": 2})
    objective = build_objective(config)
    step = make_baseline(config, objective, META)
    latents = {"eps": torch.empty(1, 8), "z_random": torch.empty(1, 8)}
    batch: dict[str, Tensor] = {name: torch.empty(2, 3, 256, 256) for name in "ab"} | latents
    work = count_work(lambda: step({name: tensor.to(META) for name, tensor in batch.items()}))
    assert work.flops == pytest.approx(261e9, rel=2e-3)
    assert work.kernels == pytest.approx(2500, rel=0.05)


@pytest.mark.slow
def test_tandems_step_at_256_px() -> None:
    """Three quarters of the published operations, half of the bytes and of the kernels; docs/performance.md says so."""
    step = make_step("tandem", bench_config("bicyclegan", size=256, filters=64), torch.device("cpu"))
    step()
    work = count_work(step)
    assert work.flops == pytest.approx(196e9, rel=5e-3)
    assert work.bytes == pytest.approx(6.0e9, rel=0.02)
    assert work.kernels == pytest.approx(1140, rel=0.02)


def test_shares_are_those_of_the_roofline() -> None:
    peak = Peak(flops=100.0, bandwidth=10.0)
    starved = Cell(64, 2, seconds=2.0, flops=60, bytes=20)
    assert share_of_peak(starved, peak) == pytest.approx(0.3)
    assert bound(starved, peak) == pytest.approx(0.3)  # 3 FLOP/byte × 10 bytes/s: bound by memory exactly
    assert bound(Cell(64, 2, seconds=2.0, flops=600, bytes=20), peak) == 1.0


def test_spread() -> None:
    timing = Timing((4.0, 1.0, 3.0, 2.0, 5.0))
    assert timing.median == 3.0
    assert timing.quartiles == (2.0, 4.0)
    assert Timing((2.0,)).quartiles == (2.0, 2.0)
    assert median_ratio(Timing((2.0, 30.0, 4.0)), Timing((1.0, 10.0, 1.0))) == 3.0
