"""Classifiers whose inner maps are compared, as LPIPS does: bodies of AlexNet, VGG16 and SqueezeNet 1.1.

Papers: *One weird trick for parallelizing convolutional neural networks* (1404.5997), *Very Deep Convolutional
Networks* (1409.1556), *SqueezeNet* (1602.07360). Parameter names are torchvision's (``features.0.weight`` …), so
that its weight files fit; what belongs to their classifiers is not needed.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tandem.config.method import SMALLEST_FEATURES_INPUT
from tandem.config.specifications import BackboneName

TAPS: dict[BackboneName, tuple[int, ...]] = {
    "alex": (1, 4, 7, 9, 11),
    "vgg": (3, 8, 15, 22, 29),
    "squeeze": (1, 4, 7, 9, 10, 11, 12),
}
"""Indices into ``features`` whose outputs LPIPS compares, each behind a ReLU."""

TAP_CHANNELS: dict[BackboneName, tuple[int, ...]] = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}
"""Channels of each tap."""


SHIFT = (-0.030, -0.088, -0.188)
"""Mean of the channels of what they were trained on, as far as LPIPS knows it; for images in [-1, 1]."""
SCALE = (0.458, 0.448, 0.450)
"""Its standard deviation."""

MIN_SIDE = SMALLEST_FEATURES_INPUT
"""Smaller images leave nothing of the inner maps."""


class Fire(nn.Module):
    """SqueezeNet's block: a 1×1 bottleneck, then 1×1 and 3×3 convolutions side by side."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, 2 * expanded, H, W)``."""
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class Backbone(nn.Module):
    """Convolutions whose inner maps are compared.

    Args:
        name: Which network.
    """

    def __init__(self, name: BackboneName) -> None:
        super().__init__()
        layers = {"alex": _alexnet, "vgg": _vgg16, "squeeze": _squeezenet}[name]()
        self.taps = TAPS[name]
        self.features = nn.Sequential(*layers[: self.taps[-1] + 1])

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, 3, H, W)``, normalised as the network wants it, to the maps at `TAPS`: ``(N, C, H', W')`` each."""
        found = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                found.append(x)
        return found


def without_classifier(network: Backbone, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors but for those of the classifier, which the published files hold as well."""
    known = network.state_dict().keys()
    return {key: value for key, value in state.items() if key in known or not key.startswith("classifier.")}


def _alexnet() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    ]


def _vgg16() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width, convs in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convs):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return layers


def _squeezenet() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 3, stride=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(64, 16, 64),
        Fire(128, 16, 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(128, 32, 128),
        Fire(256, 32, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        Fire(512, 64, 256),
    ]
