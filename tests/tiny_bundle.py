"""A bundle of two tiny networks with random weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from preprocessing import preprocessing
from tandem.checkpoint.bundle import save_bundle
from tandem.checkpoint.manifest import Manifest
from tandem.config.specifications import EncoderSpec, UNetSpec
from tandem.networks.build import build_network
from tandem.networks.layers import initialise


def write_bundle(
    folder: Path,
    *,
    channels: tuple[int, int] = (3, 3),
    size: tuple[int, int] = (16, 16),
    with_encoder: bool = True,
    generator: Mapping[str, Any] | None = None,
    **trained: Any,
) -> Path:
    """Write it (sides are multiples of 8 px) and return its folder."""
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
    save_bundle(folder, manifest, networks)
    return folder
