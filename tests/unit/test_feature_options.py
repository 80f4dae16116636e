"""Options of a feature network that would have no effect are refused, by whichever command they are given to."""

from pathlib import Path

import pytest

from tandem.cli import main
from tandem.config.validation import idle_feature_options

RANGE = "--features-range: no effect on a MobileNet in .npz (--features {file}), which says itself what it takes"
SIZE = "--features-size: no effect without --features FILE"


@pytest.mark.parametrize("command", [("evaluate", "run", "data"), ("bench", "quality", "data")])
def test_commands_refuse_them_before_anything_is_measured(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "net.npz"
    file.write_bytes(b"not read")
    words = [*command[:-1], str(tmp_path / "data")]
    assert main([*words, "--features", str(file), "--features-range", "unit"]) == 2
    assert RANGE.format(file=file) in " ".join(capsys.readouterr().err.split())
    assert main([*words, "--features-size", "64"]) == 2
    assert SIZE in " ".join(capsys.readouterr().err.split())


def test_what_has_an_effect_is_left_alone() -> None:
    given = {"features_size": True, "features_range": True, "trust_torchscript": False}
    assert list(idle_feature_options("net.onnx", given, "features")) == []
    assert list(idle_feature_options(None, dict.fromkeys(given, False), "features")) == []
    assert len(list(idle_feature_options(Path("net.NPZ"), given, "validate_features"))) == 1
