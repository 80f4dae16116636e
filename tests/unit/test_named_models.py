"""``demo`` in the place of a path: the model that ``tandem demo`` has kept."""

from pathlib import Path

import numpy as np
import pytest

import tandem
from tandem.checkpoint.named import kept_folder
from tandem.commands.demo import keep_model
from tandem.commands.export import main as export
from tandem.errors import BundleError, ConfigError
from tandem.serving.sources import name_models, stamp_of, telling_files
from tandem_bundle import make_tandem

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_what_is_not_there_says_which_command_makes_it() -> None:
    with pytest.raises(BundleError, match="the model demo is not there yet: 'tandem demo' makes and keeps it"):
        tandem.load("demo")


def test_it_is_the_model_that_was_kept_with_pytorch_and_without(here: Path) -> None:
    make_tandem(here / "run" / "model", depth=3)
    exact = tandem.load(here / "run", device="cpu")(IMAGE, 3, output="array").astype(int)
    assert keep_model(here / "run") == kept_folder("demo")
    with_torch = tandem.load("demo", device="cpu")(IMAGE, 3, output="array")
    without = tandem.load("demo", device="cpu", engine="onnx")(IMAGE, 3, output="array")
    assert np.abs(with_torch.astype(int) - without).max() <= 1
    assert np.abs(with_torch - exact).mean() < 0.5
    assert name_models([Path("demo")]) == {"demo": Path("demo")}
    with pytest.raises(ConfigError, match="the model demo has a name and no place of yours: give --out"):
        export(["demo", "--to", "onnx"])
    export(["demo", "--to", "onnx", "--out", "d.onnx"])
    assert name_models([Path("d.onnx"), Path("demo")]) == {"d": Path("d.onnx"), "demo": Path("demo")}
    files = telling_files(Path("d.onnx"))
    assert [size for _, size, _ in stamp_of(files)] == [file.stat().st_size for file in files]
    assert files[0] == Path("d.onnx")


def test_a_changed_byte_is_refused(here: Path) -> None:
    make_tandem(here / "run" / "model", depth=3)
    (weights,) = keep_model(here / "run").glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BundleError, match="are damaged: their SHA-256 is not the one"):
        tandem.load("demo")


def test_what_is_in_the_working_folder_goes_before_it(here: Path) -> None:
    make_tandem(here / "run" / "model", depth=3)
    keep_model(here / "run")
    make_tandem(Path("demo"), depth=2)
    assert tandem.load("demo", device="cpu").multiple == 4
