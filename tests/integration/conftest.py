"""Data and finished runs that several integration tests only read."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dataset_archives import packed
from support import train

from file_server import FileServer
from tandem.data.download.catalogue import CATALOGUE
from tandem.data.synthetic import write_dataset

if TYPE_CHECKING:
    from tools.faults.ground import Ground

STEPS = 10


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven training pairs, so that batches of two cross the ends of epochs, and two pairs in each other split."""
    return write_dataset(tmp_path_factory.mktemp("data") / "demo", size=32, num_train=7, num_val=2, num_test=2)


@pytest.fixture(scope="session")
def finished_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run of ten steps, sampled; tests do not write to it."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    train(data, out, steps=STEPS)
    return out


@pytest.fixture(scope="session")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose samples differ: trained long enough to leave the grey of the first steps."""
    out = tmp_path_factory.mktemp("model") / "run"
    train(data, out, steps=30, learning_rate=0.02, snapshot_every=100, ema_halflife_images=0, latent_dim=3)
    return out


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """An HTTP server on this machine, and a working folder that is empty."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    with FileServer().running() as server:
        yield server


@pytest.fixture(scope="session")
def facades() -> bytes:
    """An archive with as many pairs as that of the façades."""
    return packed(CATALOGUE["pix2pix/facades"])


@pytest.fixture(scope="session")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Seven images for training and five for validation: pairs, and two domains."""
    root = tmp_path_factory.mktemp("validated")
    counts = {"size": 32, "num_train": 7, "num_val": 5, "num_test": 0}
    return {
        "pairs": write_dataset(root / "pairs", **counts),
        "domains": write_dataset(root / "domains", layout="unpaired", **counts),
    }


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feature network with random weights."""
    from model_files import write_random_features  # noqa: PLC0415  (needs onnx, which bare machines lack)

    return write_random_features(tmp_path_factory.mktemp("features") / "random.onnx")


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> "Ground":
    """What trials of faults and inputs of fuzzing start from."""
    from tools.faults.ground import Ground  # noqa: PLC0415  (it needs POSIX)

    return Ground(tmp_path_factory.mktemp("ground"))
