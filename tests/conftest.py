"""What all tests share: one thread (the tests are small), reproducible property tests, tiny models."""

import importlib.util
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from preprocessing import preprocessing
from tandem.checkpoint.bundle import save_bundle
from tandem.checkpoint.manifest import Manifest
from tandem.config.specifications import EncoderSpec, UNetSpec
from tandem.networks.build import build_network
from tandem.networks.layers import initialise

torch.set_num_threads(1)
if importlib.util.find_spec("hypothesis") is not None:  # the tests for a GPU run without it, on a bare machine
    from hypothesis import settings

    settings.register_profile("tandem", derandomize=True, deadline=None, max_examples=30, database=None)
    settings.load_profile("tandem")

FIXTURES = Path(__file__).parent / "fixtures"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole runs first: where several processes share the files, none is left alone with a long one at the end."""
    folders = ["integration", "numeric", "unit"]
    items.sort(key=lambda item: next((at for at, name in enumerate(folders) if name in item.path.parts), len(folders)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape names of files that are no text in what a test has printed: xdist ends a worker that sends them."""
    report = yield
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.fixture
def reference_cases() -> dict[str, Path]:
    """Numbers of the reference implementation: see tools/check_reference.py."""
    return {folder.name: folder for folder in sorted((FIXTURES / "reference").iterdir())}


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle of two tiny networks with random weights (sides are multiples of 8 px) and returns its folder."""

    def make(
        name: str = "model",
        *,
        channels: tuple[int, int] = (3, 3),
        size: tuple[int, int] = (16, 16),
        with_encoder: bool = True,
        generator: Mapping[str, Any] | None = None,
        **trained: Any,
    ) -> Path:
        options: dict[str, Any] = {"latent_dim": 2, "depth": 3, "filters": 4} | dict(generator or {})
        specs: dict[str, Any] = {
            "generator": UNetSpec(in_channels=channels[0], out_channels=channels[1], **options),
            "encoder": EncoderSpec(in_channels=channels[1], latent_dim=options["latent_dim"], depth=2, filters=4),
        }
        if not with_encoder:
            del specs["encoder"]
        networks = {key: build_network(spec) for key, spec in specs.items()}
        for index, network in enumerate(networks.values()):
            initialise(network, "xavier", gain=1.0, generator=torch.Generator().manual_seed(index))
        manifest = Manifest(
            tandem_version="0",
            method="bicyclegan",
            networks=specs,
            preprocessing=preprocessing(size, channels, **trained),
            training={"steps": 7},
        )
        save_bundle(tmp_path / name, manifest, networks)
        return tmp_path / name

    return make
