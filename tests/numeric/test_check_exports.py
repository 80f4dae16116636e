"""``tools/check_exports.py``: the weights of the reference as ONNX files, without PyTorch, give its outputs."""

from pathlib import Path

import pytest

import check_exports

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        "bicyclegan_128_input_cnn_conditional",
        pytest.param("bicyclegan_128_defaults", marks=SLOW),
        pytest.param("cyclegan_64_resnet9_no_identity", marks=SLOW),
        pytest.param("pix2pix_128_batchnorm", marks=SLOW),
    ],
)
def test_official_weights_survive_the_whole_way(
    reference_cases: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    largest, tensor = check_exports._largest(reference_cases[name])
    assert largest < check_exports.TOLERANCE, tensor
    monkeypatch.setattr(check_exports, "_largest", lambda _: (2 * check_exports.TOLERANCE, tensor))
    assert check_exports.main([reference_cases[name]]) == 1
    assert name in capsys.readouterr().out
