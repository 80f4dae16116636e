"""A generator as MONAI runs it: the ``network_def`` of the bundles that `tandem.inference.monai.bundle` writes.

MONAI's readers put x before y, and a volume behind them its slices: ``(N, C, X, Y)`` or ``(N, C, X, Y, Z)``, where
networks here take ``(N, C, H, W)``. So axes are exchanged on the way in and out, a volume goes through slice by slice,
and sizes that the network does not take are padded with the mirror image at the ends of the axes, as `tandem sample`
pads them; the padding is cut off again. MONAI itself is not imported.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tandem.config.parse import parse_value
from tandem.config.specifications import GeneratorSpec
from tandem.errors import ConfigError, DataError
from tandem.networks.build import build_network
from tandem.networks.layers import resume_training, sample_as_in_training
from tandem.prior.distributions import MixturePrior, NormalPrior, Prior

_VOLUME = 5


class MonaiGenerator(nn.Module):
    """A generator for images in MONAI's order of axes.

    Args:
        spec: The network's specification, as its fields.
        one_by_one: Whether it samples in the state of training, each image alone, as pix2pix does.
        components: Of the mixture that latents are drawn from; 0: N(0, I).

    Raises:
        ConfigError: The specification is none of a generator.
    """

    def __init__(self, spec: Mapping[str, Any], *, one_by_one: bool = False, components: int = 0) -> None:
        super().__init__()
        try:
            parsed: GeneratorSpec = parse_value(GeneratorSpec, spec, "spec")
        except ValueError as error:
            raise ConfigError(f"network_def says no generator of Tandem: {error}.") from error
        self.spec, self.one_by_one = parsed, one_by_one
        self.network = build_network(parsed)
        if components:
            dim = parsed.latent_dim
            self.register_buffer("prior_weights", torch.zeros(components))
            self.register_buffer("prior_means", torch.zeros(components, dim))
            self.register_buffer("prior_factors", torch.zeros(components, dim, dim))
        self._has_prior = components > 0

    def train(self, mode: bool = True) -> "MonaiGenerator":
        """See `torch.nn.Module.train`; a model that samples with dropout keeps it in the state of evaluation."""
        super().train(mode)
        if self.one_by_one:
            (resume_training if mode else sample_as_in_training)(self.network)
        return self

    def forward(self, image: Tensor, z: Tensor | None = None) -> Tensor:
        """Translate.

        Args:
            image: ``(N, C, X, Y)`` or volumes ``(N, C, X, Y, Z)``, float32, [-1, 1].
            z: Latents ``(N, latent_dim)``, one for all slices of a volume; None: drawn by PyTorch's generator.

        Returns:
            Outputs of the size of the images, float32, [-1, 1].

        Raises:
            DataError: The axes or the channels are others.
        """
        if image.ndim not in {_VOLUME - 1, _VOLUME} or image.shape[1] != self.spec.in_channels:
            raise DataError(
                f"the network was given an image of the shape {tuple(image.shape)}; it takes (N, "
                f"{self.spec.in_channels}, X, Y) or, of volumes, (N, {self.spec.in_channels}, X, Y, Z)."
            )
        z = self.draw(len(image)).to(image) if z is None else z
        if image.ndim == _VOLUME - 1:
            return self._images(image, z)
        return torch.stack([self._images(one, z) for one in image.unbind(-1)], -1)

    def draw(self, number: int) -> Tensor:
        """Draw latents with a seed from PyTorch's generator: ``(number, latent_dim)``, float32, on the CPU."""
        return torch.from_numpy(self._prior().sample(number, seed=int(torch.randint(2**31, ()))))

    def _images(self, images: Tensor, z: Tensor) -> Tensor:
        """Translate ``(N, C, X, Y)``."""
        width, height = images.shape[2:]
        multiple, smallest = self.spec.size_multiple, self.spec.smallest_side
        rows, columns = (
            _mirrored(side, max(side + -side % multiple, smallest)).to(images.device) for side in (height, width)
        )
        padded = images.transpose(2, 3)[:, :, rows][:, :, :, columns]
        together = 1 if self.one_by_one else len(padded)
        parts = zip(padded.split(together), z.split(together), strict=True)
        made = torch.cat([self.network(part, latents) for part, latents in parts])
        return made[:, :, :height, :width].transpose(2, 3)

    def _prior(self) -> Prior:
        if not self._has_prior:
            return NormalPrior(self.spec.latent_dim)
        arrays = (getattr(self, f"prior_{name}").cpu().numpy() for name in ("weights", "means", "factors"))
        return MixturePrior(*arrays)


def _mirrored(side: int, padded: int) -> Tensor:
    """Which of `side` pixels each of `padded` is."""
    return torch.from_numpy(np.pad(np.arange(side), (0, padded - side), mode="symmetric"))
