"""Exponential moving average of weights, its half-life counted in images."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

RAMP_UP = 0.05


class EMA:
    """Averages of some networks' weights.

    After a step that saw n images in a run that has seen N: average ← lerp(weights, average, ½^(n / h)), where the
    half-life h is `halflife_images`, but at most 5 % of N, so that a short run is not an average over its random
    initial weights. Buffers are copied, not averaged.

    Attributes:
        networks: The averaged networks by name, in eval mode, without gradients.
    """

    def __init__(self, networks: Mapping[str, nn.Module], *, halflife_images: int) -> None:
        self.halflife_images = halflife_images
        self._sources = dict(networks)
        self.networks = nn.ModuleDict({name: copy.deepcopy(network) for name, network in networks.items()})
        self.networks.eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, *, images_seen: int, batch_size: int) -> None:
        """Move towards the sources' current weights."""
        halflife = min(self.halflife_images, RAMP_UP * images_seen)
        weight = 1 - 0.5 ** (batch_size / max(halflife, 1e-8))
        for name, source in self._sources.items():
            average = self.networks[name]
            torch._foreach_lerp_(list(average.parameters()), list(source.parameters()), weight)
            for kept, current in zip(average.buffers(), source.buffers(), strict=True):
                kept.copy_(current)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages, by network and key."""
        return self.networks.state_dict()
