"""The networks of FID and of the NumPy file: which weights they take, and a plain computation of MobileNet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plain_backbones import mobilenet_arrays, plain_mobilenet
from tandem.errors import WeightsError
from tandem.evaluation.networks.features import full_float32, inception_extractor, mobilenet_extractor
from tandem.evaluation.networks.inception import TAP_SIZES, InceptionFID, load_inception
from tandem.networks.backbones.mobilenet import MobileNet
from tandem.rng import numpy_generator

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        key: torch.rand(value.shape, generator=generator) * 0.1 - 0.05 * ("var" not in key) if value.ndim else value
        for key, value in InceptionFID().state_dict().items()
    }


class TestInception:
    def test_counters_may_be_missing(self, state: dict[str, torch.Tensor]) -> None:
        without = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
        assert (len(state), len(without)) == (566, 472)
        for given in (state, without):
            loaded = load_inception(given).state_dict()
            assert all(torch.equal(loaded[key], value) for key, value in without.items())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s: s.pop("Mixed_7c.branch_pool.conv.weight"), "Mixed_7c.branch_pool.conv.weight is missing"),
            (lambda s: s.update({"AuxLogits.fc.bias": torch.zeros(1)}), "AuxLogits.fc.bias has no place"),
            (lambda s: s.update({"fc.bias": torch.zeros(1000)}), r"fc.bias is \(1000,\) instead of \(1008,\)"),
            (
                lambda s: s.update({"fc.bias": torch.full((1008,), torch.inf)}),
                "fc.bias holds values that are not finite",
            ),
        ],
    )
    def test_other_weights_are_refused(
        self, state: dict[str, torch.Tensor], change: Callable[[Any], Any], message: str
    ) -> None:
        changed = dict(state)
        change(changed)
        with pytest.raises(WeightsError, match=rf"(?s)pt\.pth: these are not the weights of InceptionFID.*{message}"):
            load_inception(changed, name="pt.pth")

    def test_the_extractor_reads_a_file(self, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
        torch.save(state, tmp_path / "mine.pth")
        extractor = inception_extractor(device=CPU, weights=tmp_path / "mine.pth", tap="64", resizer="torch-fidelity")
        assert (extractor.spec.num_features, extractor.spec.resizer) == (64, "torch-fidelity")
        assert not extractor.spec.weights.published
        images = torch.from_numpy(numpy_generator(0, "x").integers(0, 256, (2, 3, 32, 48), dtype=np.uint8))
        features = extractor(images)
        assert features.shape == (2, 64)
        assert features.dtype == torch.float32
        assert not features.requires_grad
        torch.testing.assert_close(features[:1], extractor(images[:1]))

    def test_taps_of_one_run_are_those_of_several(self, state: dict[str, torch.Tensor]) -> None:
        network = load_inception(state).eval()
        x = torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            together = network(x, tuple(TAP_SIZES))
            for tap in ("192", "logits_unbiased"):
                assert torch.equal(network(x, (tap,))[tap], together[tap])
        assert {tap: value.shape[1] for tap, value in together.items()} == TAP_SIZES
        torch.testing.assert_close(together["logits"] - together["logits_unbiased"], state["fc.bias"][None])


class TestMobileNet:
    widths = (2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 6, 6)

    def test_it_is_the_plain_computation(self, tmp_path: Path) -> None:
        arrays = mobilenet_arrays(self.widths)
        np.savez(tmp_path / "m.npz", **arrays)  # type: ignore[arg-type]
        extractor = mobilenet_extractor(tmp_path / "m.npz", device=CPU)
        assert extractor.spec.num_features == 6
        image = numpy_generator(1, "image").integers(0, 256, (224, 224, 3), dtype=np.uint8)
        found = extractor(torch.from_numpy(image).permute(2, 0, 1)[None])[0]
        expected = plain_mobilenet(image.astype(np.float64) / 127.5 - 1, arrays)[-1].mean((0, 1))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)
        assert np.ptp(expected) > 0.1

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda a: a.pop("Conv2d_3_pointwise/weights"), "Conv2d_3_pointwise/weights"),
            (lambda a: a.pop("Conv2d_3_pointwise/BatchNorm/beta"), r"Conv2d_3_pointwise\.bn\.bias is missing"),
            (lambda a: a.update({"Logits/weights": np.zeros(3)}), "Logits/weights has no place"),
            (lambda a: a.update({"Conv2d_0/weights": np.zeros((3, 3, 3, 5000))}), "layers of 5000 channels"),
        ],
    )
    def test_other_files_are_refused(self, tmp_path: Path, change: Callable[[Any], Any], message: str) -> None:
        arrays = mobilenet_arrays(self.widths)
        change(arrays)
        np.savez(tmp_path / "m.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(WeightsError, match=rf"(?s)m\.npz.*{message}"):
            mobilenet_extractor(tmp_path / "m.npz", device=CPU)

    def test_the_published_width_has_the_published_size(self) -> None:
        """Width 0.25: 0.2 million parameters without the classifier."""
        network = MobileNet((8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256))
        assert sum(parameter.numel() for parameter in network.parameters()) == 213_072


def test_tf32_is_off_while_features_are_made_and_comes_back() -> None:
    torch.backends.cudnn.allow_tf32 = True
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with full_float32():
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before
