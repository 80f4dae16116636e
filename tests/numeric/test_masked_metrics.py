"""Metrics of valid pixels against NumPy and against windows that are counted one by one."""

import numpy as np
import pytest
import torch

from tandem.evaluation.metrics.l1 import l1
from tandem.evaluation.metrics.psnr import psnr
from tandem.evaluation.metrics.ssim import WINDOW, similarity_terms, ssim


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 256, (1, 3, 24, 30), generator=draw, dtype=torch.uint8) for _ in range(2))
    valid = torch.ones(1, 1, 24, 30, dtype=torch.bool)
    valid[:, :, 2:7, 3:11] = valid[:, :, 20, 29] = False
    return a, b, valid


def test_distances_are_those_of_the_valid_pixels(images: tuple[torch.Tensor, ...]) -> None:
    a, b, valid = images
    x, y = (one.numpy()[0].transpose(1, 2, 0)[valid[0, 0].numpy()] / 255 for one in (a, b))
    assert l1(a, b, valid=valid).item() == pytest.approx(np.abs(x - y).mean(), rel=1e-12)
    assert psnr(a, b, valid=valid).item() == pytest.approx(-10 * np.log10(np.square(x - y).mean()), rel=1e-12)


def test_ssim_is_the_mean_over_windows_of_valid_pixels(images: tuple[torch.Tensor, ...]) -> None:
    a, b, valid = images
    luminance, contrast = similarity_terms(a.double() / 255, b.double() / 255, "reflect")
    terms, mask, half = (luminance * contrast)[0].numpy(), valid[0, 0].numpy(), WINDOW // 2
    mirrored = np.pad(mask, half, mode="reflect")
    counted = [
        terms[:, row, column]
        for row in range(24)
        for column in range(30)
        if mirrored[row : row + WINDOW, column : column + WINDOW].all()
    ]
    assert 0 < len(counted) < 24 * 30
    assert ssim(a, b, valid=valid).item() == pytest.approx(np.mean(counted), rel=1e-12)


@pytest.mark.parametrize("metric", [l1, psnr, ssim])
def test_masked_pixels_say_nothing_and_none_is_no_number(metric, images: tuple[torch.Tensor, ...]) -> None:  # type: ignore[no-untyped-def]
    a, b, valid = images
    other = torch.where(valid, a, 255 - a)
    assert torch.equal(metric(a, b, valid=valid), metric(other, b, valid=valid))
    assert torch.allclose(metric(a, b, valid=torch.ones_like(valid)), metric(a, b), rtol=1e-12)
    assert metric(a, b, valid=torch.zeros_like(valid)).isnan().all()
