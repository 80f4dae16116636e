"""A tiny bundle of the method `tandem` with random weights."""

from pathlib import Path
from typing import Any

import torch

from preprocessing import preprocessing
from tandem.checkpoint.bundle import save_bundle
from tandem.checkpoint.manifest import Manifest
from tandem.config.specifications import PairEncoderSpec, ResidualUNetSpec
from tandem.networks.build import build_network
from tandem.networks.layers import initialise


def make_tandem(
    folder: Path, *, sees_input: bool = True, channels: tuple[int, int] = (3, 3), depth: int = 3, **trained: Any
) -> Path:
    """Write it to `folder`; sides are multiples of two to the power of `depth`."""
    taken, given = channels
    specs = {
        "generator": ResidualUNetSpec(in_channels=taken, out_channels=given, latent_dim=2, depth=depth, filters=8),
        "encoder": PairEncoderSpec(
            in_channels=given, input_channels=taken if sees_input else 0, latent_dim=2, depth=2, filters=4
        ),
    }
    networks = {name: build_network(spec) for name, spec in specs.items()}
    for index, network in enumerate(networks.values()):
        initialise(network, "fan_in", gain=3.0, generator=torch.Generator().manual_seed(index))
    manifest = Manifest(
        tandem_version="0",
        method="tandem",
        networks=specs,
        preprocessing=preprocessing((16, 16), channels, **trained),
        training={"steps": 7},
    )
    save_bundle(folder, manifest, networks)
    return folder
