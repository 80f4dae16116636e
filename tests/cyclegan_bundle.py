"""A tiny CycleGAN bundle with random weights."""

from pathlib import Path

from preprocessing import preprocessing
from tandem.checkpoint.bundle import save_bundle
from tandem.checkpoint.manifest import Manifest
from tandem.config.specifications import GeneratorSpec, ResNetSpec
from tandem.networks.build import build_network

RESNET = ResNetSpec(in_channels=3, out_channels=3, filters=2, blocks=1)


def make_cyclegan(folder: Path, *, spec: GeneratorSpec = RESNET) -> None:
    """Write it to `folder`, with two generators of a kind."""
    manifest = Manifest(
        tandem_version="0",
        method="cyclegan",
        networks={"gen_ab": spec, "gen_ba": spec},
        preprocessing=preprocessing((16, 16)),
    )
    save_bundle(folder, manifest, {name: build_network(spec) for name in manifest.networks})
