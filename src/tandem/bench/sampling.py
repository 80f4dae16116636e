"""Sampling latency: the generator as inference runs it."""

from collections.abc import Callable

import torch

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.run import RunConfig
from tandem.networks.build import build_network

BATCHES = (1, 10)


def make_samplers(config: RunConfig, device: torch.device) -> dict[str, Callable[[], object]]:
    """One forward of the generator for batches of different sizes, by the name ``batch_N``."""
    assert isinstance(config.objective, BicycleGANConfig)
    generator = build_network(config.objective.generator_spec(config.data)).to(device).eval()
    h, w = config.data.crop_size

    def sampler(count: int) -> Callable[[], object]:
        a = torch.zeros(count, config.data.input_channels, h, w, device=device)
        z = torch.randn(count, config.objective.latent_dim, device=device)

        def run() -> object:
            with torch.inference_mode():
                return generator(a, z)

        return run

    return {f"batch_{count}": sampler(count) for count in BATCHES}
