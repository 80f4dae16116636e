"""L1, PSNR, SSIM and MS-SSIM against torchmetrics and SciPy; the resizes against Pillow and PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from tandem.errors import DataError
from tandem.evaluation.metrics import l1, ms_ssim, psnr, ssim
from tandem.evaluation.networks.resize import RESIZERS, resize_images, resize_matrix
from tandem.rng import numpy_generator


def pair(*shape: int, noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth floats in [-1, 1], and the same with noise."""
    rng = numpy_generator(0, "pair", position=shape[-1])
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), (0, 0, 3, 3))
    smooth /= np.abs(smooth).max()
    noisy = np.clip(smooth + noise * rng.standard_normal(shape), -1, 1)
    return torch.from_numpy(smooth), torch.from_numpy(noisy)


def test_l1_and_psnr_are_on_the_unit_scale() -> None:
    a, b = pair(2, 3, 20, 24)
    difference = (a - b).numpy() / 2
    np.testing.assert_allclose(l1(a, b).numpy(), np.abs(difference).mean((1, 2, 3)), rtol=1e-12)
    expected = -10 * np.log10(np.square(difference).mean((1, 2, 3)))
    np.testing.assert_allclose(psnr(a, b).numpy(), expected, rtol=1e-12)
    assert psnr(a, a).isinf().all()


@pytest.mark.parametrize(("height", "width"), [(11, 40), (64, 48)])
def test_ssim_is_torchmetrics(height: int, width: int) -> None:
    a, b = pair(3, 2, height, width)
    x, y = ((z + 1) / 2 for z in (a, b))
    expected, similarity = structural_similarity_index_measure(
        x, y, data_range=1.0, reduction="none", return_full_image=True
    )
    np.testing.assert_allclose(ssim(a, b).numpy(), expected.numpy(), rtol=1e-12)
    inner = similarity[..., 5:-5, 5:-5].mean((1, 2, 3))
    np.testing.assert_allclose(ssim(a, b, border="valid").numpy(), inner.numpy(), rtol=1e-12)


def test_ssim_is_the_formula_with_scipys_filter() -> None:
    a, b = pair(1, 1, 40, 30)
    x, y = ((z[0, 0].numpy() + 1) / 2 for z in (a, b))

    def blur(z: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(z, 1.5, mode="mirror", radius=5)

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y, cov = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
    c1, c2 = 1e-4, 9e-4
    similarity = (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    assert float(ssim(a, b)) == pytest.approx(similarity.mean(), rel=1e-12)
    assert float(ssim(a, b, border="valid")) == pytest.approx(similarity[5:-5, 5:-5].mean(), rel=1e-12)


def test_ms_ssim_is_torchmetrics() -> None:
    a, b = pair(2, 3, 176, 201, noise=0.4)
    expected = multiscale_structural_similarity_index_measure(
        (a + 1) / 2, (b + 1) / 2, data_range=1.0, reduction="none", normalize="relu"
    )
    np.testing.assert_allclose(ms_ssim(a, b).numpy(), expected.numpy(), rtol=1e-8)  # type: ignore[union-attr]
    grey = [ms_ssim(a[:, [c]], b[:, [c]], border="valid") for c in range(3)]
    colour = ms_ssim(a, b, border="valid")
    np.testing.assert_allclose(colour.numpy(), torch.stack(grey).mean(0).numpy(), rtol=1e-12)


def test_equal_images_are_fully_similar_and_negatives_count_as_none() -> None:
    a, _ = pair(1, 3, 176, 176)
    assert float(ms_ssim(a, a)) == pytest.approx(1)
    assert float(ssim(a, a, border="valid")) == pytest.approx(1)
    assert float(ms_ssim(a, -a)) == 0


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 17), "one size and number"),
        (torch.zeros(3, 16, 16), torch.zeros(3, 16, 16), r"expected \(N, C, H, W\)"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.int32),) * 2 + ("uint8, or floats",),
        (torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), torch.nan), r"in \[-1, 1\]"),
        (torch.zeros(1, 3, 16, 10), torch.zeros(1, 3, 16, 10), "at least 11 px"),
    ],
)
def test_what_cannot_be_compared_is_refused(a: torch.Tensor, b: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ssim(a, b)


def test_ms_ssim_says_how_large_images_must_be() -> None:
    with pytest.raises(DataError, match="at least 176 px"):
        ms_ssim(torch.zeros(1, 3, 175, 200), torch.zeros(1, 3, 175, 200))


@pytest.mark.parametrize("size", [(299, 299), (40, 111), (17, 23)])
@pytest.mark.parametrize("given", [(61, 93), (256, 30), (23, 17)])
def test_clean_is_pillow_on_floats(given: tuple[int, int], size: tuple[int, int]) -> None:
    image = numpy_generator(0, "pillow").integers(0, 256, (1, 3, *given), dtype=np.uint8)
    planes = [
        Image.fromarray(plane.astype(np.float32)).resize(size[::-1], Image.Resampling.BICUBIC) for plane in image[0]
    ]
    expected = np.stack([np.asarray(plane) for plane in planes]).clip(0, 255)
    found = resize_images(torch.from_numpy(image), size, resizer="clean")[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("given", [(61, 93), (400, 30)])
def test_pytorch_fid_is_interpolate(given: tuple[int, int]) -> None:
    image = torch.from_numpy(numpy_generator(0, "torch").uniform(0, 255, (2, 3, *given)))
    expected = F.interpolate(image, (299, 299), mode="bilinear", align_corners=False)
    torch.testing.assert_close(resize_images(image, (299, 299), resizer="pytorch-fid"), expected)


def test_torch_fidelity_has_no_half_pixel_offset() -> None:
    """Twice as large: even pixels are the input's, odd ones lie in between, and the last one is repeated."""
    row = torch.tensor([[[[10.0, 20.0, 60.0]]]])
    found = resize_images(row, (1, 6), resizer="torch-fidelity")
    assert found.flatten().tolist() == pytest.approx([10, 15, 20, 40, 60, 60])


@pytest.mark.parametrize("resizer", RESIZERS)
def test_constant_images_stay_so_and_equal_sizes_change_nothing(resizer: str) -> None:
    for given in (7, 299, 1024):
        np.testing.assert_allclose(resize_matrix(given, 299, resizer).sum(1), 1)  # type: ignore[arg-type]
    image = torch.from_numpy(numpy_generator(0, "same").uniform(0, 255, (1, 3, 20, 30)))
    torch.testing.assert_close(resize_images(image, (20, 30), resizer=resizer), image)  # type: ignore[arg-type]
