"""``tandem export --to onnx``, and what runs the files it writes: without PyTorch, with the same pixels."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from support import pixels, records_of, sample, tandem

import tandem as tandem_package
from cyclegan_bundle import make_cyclegan
from onnx_models import random_network
from preprocessing import preprocessing
from tandem.checkpoint.bundle import FittedPrior, load_bundle, save_bundle
from tandem.checkpoint.manifest import Manifest
from tandem.config.specifications import UNetSpec
from tandem.errors import BundleError, ConfigError
from tandem.inference import proof
from tandem.inference.onnx.export import export_onnx
from tandem.inference.onnx.layers import Layers
from tandem.prior.distributions import MixturePrior
from tandem_bundle import make_tandem

MakeBundle = Callable[..., Path]
WITHOUT_TORCH = """
import sys
for name in ("torch", "onnx", "onnxscript"):
    sys.modules[name] = None  # an import of it fails as if it were not installed
from tandem.cli import main
sys.exit(main(sys.argv[1:]))
"""


def without_torch(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line where PyTorch cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def metadata_of(path: Path) -> dict[str, str]:
    return {one.key: one.value for one in onnx.load(path).metadata_props}


def test_a_run_becomes_files_that_say_all(finished_run: Path, tmp_path: Path) -> None:
    """With the numbers of the proof, the same bytes from another folder, and nothing of the machine."""
    contents = []
    for folder in ("here", "there/deeper"):
        finished = tandem("export", finished_run, "--to", "onnx", "--out", tmp_path / folder / "m.onnx")
        assert finished.status == 0, finished.err
        assert "largest deviation" in finished.err
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["m.encoder.onnx", "m.onnx"]
        contents.append([path.read_bytes() for path in sorted((tmp_path / folder).iterdir())])
    assert contents[0] == contents[1]
    for path in sorted((tmp_path / "here").iterdir()):
        onnx.checker.check_model(path, full_check=True)
        text = path.read_bytes()
        assert not [
            word for word in (str(tmp_path), str(finished_run), str(Path.home()), ".py") if word.encode() in text
        ]
        said = metadata_of(path)
        assert said["value_range"] == "[-1.0, 1.0]"
        assert json.loads(said["tandem.proof"])["largest_at_most"] <= 1e-4
        assert "options" not in json.loads(said["tandem.manifest"])["training"]
    said = metadata_of(tmp_path / "here" / "m.onnx")
    assert (said["direction"], said["latent_dim"], said["size_multiple"]) == ("AtoB", "4", "32")
    inputs = onnxruntime.InferenceSession(tmp_path / "here" / "m.onnx").get_inputs()
    assert {one.name: one.shape for one in inputs} == {"image": ["N", 3, "H", "W"], "z": ["N", 4]}


def test_the_same_pictures_without_torch(finished_run: Path, data: Path, tmp_path: Path) -> None:
    """Random samples, styles and reconstructions, within one level of 255."""
    assert tandem("export", finished_run, "--to", "onnx", "--out", tmp_path / "m.onnx").status == 0
    Image.fromarray(picture(40, 33)).save(tmp_path / "style.png")
    for words in (
        ["--num-samples", "3", "--seed", "5"],
        ["--mode", "encode", "--num-samples", "3"],
        ["--mode", "reference", "--reference", str(tmp_path / "style.png")],
    ):
        sample(_bundle(finished_run, tmp_path), data, *words, out=tmp_path / "a")
        finished = without_torch("sample", tmp_path / "m.onnx", data, *words, "--out", tmp_path / "b")
        assert finished.returncode == 0, finished.stderr
        expected, found = records_of(tmp_path / "a"), records_of(tmp_path / "b")
        assert len(expected) == len(found) > 2
        pictures = sorted(path.name for path in (tmp_path / "a" / "images").glob("*.png"))
        assert pictures == sorted(path.name for path in (tmp_path / "b" / "images").glob("*.png"))
        for name in pictures:
            one, other = (pixels(tmp_path / folder / "images" / name) for folder in "ab")
            assert np.abs(one.astype(int) - other).max() <= 1


def _bundle(run: Path, folder: Path) -> Path:
    """The bundle of the checkpoint that `tandem export` takes by itself."""
    out = folder / "bundle"
    if not out.exists():
        assert tandem("export", run, "--out", out).status == 0
    return out


def test_a_bundle_runs_without_torch_too(make_bundle: MakeBundle, tmp_path: Path) -> None:
    Image.fromarray(picture(24, 16)).save(tmp_path / "x.png")
    finished = without_torch("sample", make_bundle(), tmp_path / "x.png", "--out", tmp_path / "y.png")
    assert finished.returncode == 0, finished.stderr
    refused = without_torch(
        "sample", make_bundle(), tmp_path / "x.png", "--out", tmp_path / "z.png", "--engine", "torch"
    )
    assert refused.returncode == 1
    assert "this needs PyTorch, which is not installed: pip install torch" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_both_directions_have_a_file_each(tmp_path: Path) -> None:
    """NAME.onnx stands for both, one of them for its direction; the same pixels as the bundle's."""
    make_cyclegan(tmp_path / "model")
    finished = tandem("export", tmp_path / "model", "--to", "onnx")
    assert finished.status == 0, finished.err
    both, bundle = (tandem_package.load(tmp_path / name) for name in ("model.onnx", "model"))
    assert both.directions == ("AtoB", "BtoA")
    for direction in ("AtoB", "BtoA"):
        one = tandem_package.load(tmp_path / f"model.{direction}.onnx")
        assert one.directions == (direction,)
        expected = bundle(picture(30, 21), direction=direction, output="array")
        for found in (one(picture(30, 21), output="array"), both(picture(30, 21), direction=direction, output="array")):
            assert np.abs(found.astype(int) - expected).max() <= 1
    (tmp_path / "model.BtoA.onnx").unlink()
    with pytest.raises(BundleError, match="there is no such file"):
        tandem_package.load(tmp_path / "model.onnx")


def test_a_learned_prior_comes_along(make_bundle: MakeBundle, tmp_path: Path) -> None:
    manifest, networks = load_bundle(make_bundle())
    random = np.random.default_rng(0)
    factors = np.tril(random.normal(size=(2, 2, 2)), -1) + 0.5 * np.eye(2)
    prior = MixturePrior(
        weights=np.array([0.25, 0.75], np.float32),
        means=random.normal(size=(2, 2)).astype(np.float32),
        factors=factors.astype(np.float32),
    )
    save_bundle(tmp_path / "learned", manifest, networks, prior=FittedPrior(prior, 9))
    export_onnx(tmp_path / "learned", tmp_path / "learned.onnx")
    found = tandem_package.load(tmp_path / "learned.onnx").sample_z(20, seed=3)
    assert np.array_equal(found, prior.sample(20, seed=3))
    assert np.array_equal(found, tandem_package.load(tmp_path / "learned", engine="onnx").sample_z(20, seed=3))


@pytest.mark.parametrize("storage", ["fp16", "int8"])
def test_small_files_are_near(storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tandem.inference.onnx.graph.SMALL", 0)
    make_tandem(tmp_path / "model")
    written = export_onnx(tmp_path / "model", tmp_path / "m.onnx", storage=storage)  # type: ignore[arg-type]
    assert {one.network for one in written} == {"generator", "encoder"}
    exact, small = (tandem_package.load(tmp_path / name) for name in ("model", "m.onnx"))
    one, other = (model(picture(16, 24), 3, output="array").astype(int) for model in (exact, small))
    assert 0 < np.abs(one - other).mean() < 3
    proven = json.loads(metadata_of(tmp_path / "m.onnx")["tandem.proof"])
    assert proven["tolerance"] is None
    assert proven["mean_tolerance"] == proof.MEAN_TOLERANCES[storage]  # type: ignore[index]
    assert proven["mean_at_most"] <= proof.rounded_up(proven["mean_tolerance"])


@pytest.mark.parametrize("storage", ["fp16", "int8"])
def test_operators_of_small_files_are_proven_with_weights_in_full(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tandem(tmp_path / "model", depth=2)
    monkeypatch.setattr("tandem.inference.onnx.layers.EPS", 1e-1)
    with pytest.raises(BundleError, match=r"more than the 0.0001"):
        export_onnx(tmp_path / "model", tmp_path / "out" / "m.onnx", storage=storage)  # type: ignore[arg-type]
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("fault", ["wrong", "blind"])
def test_nothing_is_left_of_what_is_not_proven(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A norm with another epsilon, and a latent that the graph does not look at."""
    make_tandem(tmp_path / "model", depth=2)
    if fault == "wrong":
        monkeypatch.setattr("tandem.inference.onnx.layers.EPS", 1e-1)
        expected = r"the exported generator differs from PyTorch by .* more than the 0.0001"
    else:
        monkeypatch.setattr(
            Layers, "linear", lambda self, x, *rest, _linear=Layers.linear: _linear(self, _zeroed(self, x), *rest)
        )
        monkeypatch.setattr(proof, "TOLERANCE", 1e-3)
        expected = "the exported generator (differs from PyTorch|takes no notice of its latent)"
    with pytest.raises(BundleError, match=expected):
        export_onnx(tmp_path / "model", tmp_path / "out" / "m.onnx")
    assert not list((tmp_path / "out").iterdir())


def _zeroed(layers: Layers, x: str) -> str:
    return layers.graph.node("Mul", x, layers.graph.constant(np.zeros((1, 1), np.float32)))


def test_dropout_is_refused(tmp_path: Path) -> None:
    """A runtime would remove it in silence; what samples with it says so, whichever way it is asked."""
    spec = UNetSpec(
        in_channels=3, out_channels=3, latent_dim=0, injection="none", depth=6, filters=2, norm="batch", dropout=True
    )
    manifest = Manifest(
        tandem_version="0",
        method="pix2pix",
        networks={"generator": spec},
        preprocessing=preprocessing((64, 64)),
        samples_with_noise=True,
    )
    save_bundle(tmp_path / "run", manifest, {"generator": random_network(spec)})
    refused = tandem("export", tmp_path / "run", "--to", "onnx", "--out", tmp_path / "m.onnx")
    assert refused.status == 2
    assert "this model samples with dropout (pix2pix)" in refused.err
    assert not list(tmp_path.glob("*.onnx"))
    with pytest.raises(ConfigError, match="samples with dropout"):
        tandem_package.load(tmp_path / "run", engine="onnx")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "OUT/m"], "must end in '.onnx' with --to onnx"),
        (["--out", "OUT"], "is a folder, and the ONNX file is a file"),
        (["--weights", "int4"], "--weights must be one of fp32, fp16, int8, not 'int4'"),
        (["--checkpoint", "7"], "is no run with checkpoints"),
    ],
)
def test_what_cannot_be_asked_for(words: list[str], message: str, make_bundle: MakeBundle, tmp_path: Path) -> None:
    given = [word.replace("OUT", str(tmp_path)) for word in words]
    refused = tandem("export", make_bundle(), "--to", "onnx", *given)
    assert refused.status == 2
    assert message in refused.err


def test_the_official_code_reads_weights_in_full(make_bundle: MakeBundle, tmp_path: Path) -> None:
    refused = tandem("export", make_bundle(), "--weights", "int8", "--to", "official", "--out", tmp_path / "official")
    assert refused.status == 2
    assert "--weights int8: the official code reads weights in full" in refused.err


def test_files_are_put_side_by_side_and_not_changed(tmp_path: Path) -> None:
    """`tandem compare --inputs` takes them; what would write into a model says that it does not."""
    make_tandem(tmp_path / "model", depth=2)
    export_onnx(tmp_path / "model", tmp_path / "m.onnx")
    Image.fromarray(picture(16, 16)).save(tmp_path / "x.png")
    words = ["--inputs", tmp_path / "x.png", "--out", tmp_path / "page"]
    finished = tandem("compare", tmp_path / "model", tmp_path / "m.onnx", *words)
    assert finished.status == 0, finished.err
    assert "m.onnx" in (tmp_path / "page" / "comparison.html").read_text()
    for command, message in (
        (["calibrate", tmp_path / "m.onnx", tmp_path], "into which no calibration is written"),
        (["prior", tmp_path / "m.onnx", tmp_path], "an ONNX file is sampled, and no more"),
    ):
        refused = tandem(*command)
        assert refused.status in {1, 2}
        assert message in refused.err
