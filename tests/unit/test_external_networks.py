"""Networks from outside: ONNX and TorchScript, what is trusted, what is refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from model_files import write_identity, write_onnx, write_torchscript
from tandem.errors import DataError, WeightsError
from tandem.evaluation.networks.external import load_external
from tandem.evaluation.networks.features import InputSpec, check_comparable, external_extractor

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

CPU = torch.device("cpu")


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    return write_identity(tmp_path)


class TestLoading:
    def test_onnx_computes_what_torch_does(self, tmp_path: Path) -> None:
        weight = np.arange(12.0).reshape(4, 3, 1, 1)
        network = load_external(write_onnx(tmp_path / "x.onnx", weight=weight), device=CPU)
        x = torch.rand(2, 3, 5, 6)
        expected = nn.functional.conv2d(x, torch.from_numpy(weight).float())
        torch.testing.assert_close(network(x), expected)
        assert network.kind == "onnx"

    def test_torchscript_must_be_trusted(self, tmp_path: Path) -> None:
        path = write_torchscript(tmp_path / "x.pt", lambda x: x.mean((2, 3)))
        with pytest.raises(WeightsError, match="a program that can read and write files"):
            load_external(path, device=CPU)
        network = load_external(path, device=CPU, trust_torchscript=True)
        x = torch.rand(2, 3, 5, 6)
        torch.testing.assert_close(network(x), x.mean((2, 3)))

    @pytest.mark.parametrize("location", ["secret.bin", "../secret.bin", "/etc/passwd"])
    def test_onnx_reads_no_other_file(self, tmp_path: Path, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "a"
        folder.mkdir()
        for place in (tmp_path, folder):
            (place / "secret.bin").write_bytes(bytes(12))
        monkeypatch.chdir(folder)
        path = write_onnx(folder / "x.onnx", weight=np.zeros((1, 3, 1, 1)), external=location)
        with pytest.raises(WeightsError, match=r"x\.onnx cannot be read as ONNX \(one file, with its weights inside\)"):
            load_external(path, device=CPU)

    def test_damaged_files_and_other_networks_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.onnx").write_bytes(b"nonsense")
        with pytest.raises(WeightsError, match="cannot be read as ONNX"):
            load_external(tmp_path / "x.onnx", device=CPU)
        (tmp_path / "x.pt").write_bytes(b"nonsense")
        with pytest.raises(WeightsError, match="cannot be read as TorchScript"):
            load_external(tmp_path / "x.pt", device=CPU, trust_torchscript=True)
        with pytest.raises(WeightsError, match="cannot be read: No such file"):
            load_external(tmp_path / "none.onnx", device=CPU)
        two = write_onnx(tmp_path / "two.onnx", weight=np.zeros((1, 3, 1, 1)), inputs=("x", "z"))
        with pytest.raises(WeightsError, match="takes 2 inputs"):
            load_external(two, device=CPU)

    def test_failures_while_running_are_said(self, identity: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"the onnx network fails on an input of the shape \(1, 2, 4, 4\)"):
            load_external(identity, device=CPU)(torch.zeros(1, 2, 4, 4))
        path = write_torchscript(tmp_path / "nan.pt", lambda x: x.mean((2, 3)) / 0)
        with pytest.raises(DataError, match="not finite"):
            load_external(path, device=CPU, trust_torchscript=True)(torch.zeros(1, 3, 8, 8))


class TestFeatures:
    def test_maps_are_averaged_and_inputs_scaled(self, identity: Path) -> None:
        spec = InputSpec((4, 4), (0.0, 10.0, 20.0), (1.0, 2.0, 4.0))
        extractor = external_extractor(identity, spec, device=CPU)
        images = torch.full((2, 3, 8, 6), 100, dtype=torch.uint8)
        torch.testing.assert_close(extractor(images), torch.tensor([[100.0, 45.0, 20.0]] * 2))
        floats = torch.full((2, 3, 8, 6), 100 / 127.5 - 1)
        torch.testing.assert_close(extractor(floats), extractor(images))
        varied = torch.arange(96, dtype=torch.uint8).view(1, 3, 4, 8)
        whole = external_extractor(identity, InputSpec(None, (0.0,), (1.0,)), device=CPU)
        torch.testing.assert_close(whole(varied), varied.float().mean((2, 3)))
        assert extractor.spec.network == "onnx"
        assert extractor.spec.weights.sha256

    def test_only_features_of_one_kind_are_compared(self, identity: Path) -> None:
        first = external_extractor(identity, InputSpec((4, 4)), device=CPU)
        other = external_extractor(identity, InputSpec((4, 4)), device=CPU, resizer="pytorch-fid")
        check_comparable([first.spec, first.spec])
        with pytest.raises(WeightsError, match="their distance means nothing: onnx output, clean"):
            check_comparable([first.spec, other.spec])

    def test_other_shapes_are_refused(self, identity: Path, tmp_path: Path) -> None:
        extractor = external_extractor(identity, InputSpec(None), device=CPU)
        with pytest.raises(DataError, match=r"expected \(N, 3, H, W\)"):
            extractor(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
        flat = write_torchscript(tmp_path / "flat.pt", lambda x: x.mean((1, 2, 3)))
        with pytest.raises(DataError, match=r"gave the shape \(2,\) for 2 images"):
            external_extractor(flat, InputSpec(None), device=CPU, trust_torchscript=True)(torch.zeros(2, 3, 8, 8))
        with pytest.raises(DataError, match="shift has 2 numbers"):
            InputSpec((4, 4), (0.0, 1.0))


def test_the_helper_writes_valid_models(identity: Path) -> None:
    onnx.checker.check_model(onnx.load(identity))
