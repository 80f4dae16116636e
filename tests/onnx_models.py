"""Networks of every kind, small, as specifications with random weights."""

import torch
from torch import nn

from tandem.config.specifications import (
    EncoderSpec,
    NetworkSpec,
    PairEncoderSpec,
    ResidualUNetSpec,
    ResNetSpec,
    UNetSpec,
)
from tandem.networks.build import build_network
from tandem.networks.layers import initialise

_UNET = {"in_channels": 3, "out_channels": 2, "depth": 3, "filters": 8}
_RESNET = {"in_channels": 3, "out_channels": 3, "filters": 4, "blocks": 2}
SPECS: dict[str, NetworkSpec] = {
    "unet": UNetSpec(latent_dim=8, **_UNET),
    "unet-input": UNetSpec(
        latent_dim=8, upsampling="bilinear", norm="batch", injection="input", activation="lrelu", **_UNET
    ),
    "unet-pix2pix": UNetSpec(
        latent_dim=0,
        injection="none",
        norm="instance_affine",
        skip_first=True,
        bias=False,
        activation="elu",
        dropout=True,
        **_UNET,
    ),
    "unet-128px": UNetSpec(
        latent_dim=8, norm="instance_affine", injection="input", activation_last=True, activation="relu", **_UNET
    ),
    "unet-plain": UNetSpec(latent_dim=3, norm="none", **_UNET),
    "resnet": ResNetSpec(**_RESNET),
    "resnet-cut": ResNetSpec(antialias=True, norm="batch", bias=False, **_RESNET),
    "residual": ResidualUNetSpec(in_channels=3, out_channels=1, latent_dim=8, depth=3, filters=8),
    "residual-plain": ResidualUNetSpec(in_channels=4, out_channels=3, latent_dim=0, depth=2, filters=12),
    "encoder": EncoderSpec(in_channels=3, latent_dim=8, depth=3, filters=8),
    "encoder-cnn": EncoderSpec(in_channels=3, latent_dim=8, depth=3, filters=8, body="cnn", norm="batch"),
    "encoder-plain": EncoderSpec(in_channels=3, latent_dim=8, depth=3, filters=8, norm="none"),
    "pair-encoder": PairEncoderSpec(in_channels=3, input_channels=2, latent_dim=8, depth=3, filters=8),
    "pair-encoder-alone": PairEncoderSpec(in_channels=3, input_channels=0, latent_dim=8, depth=2, filters=8),
}


def random_network(spec: NetworkSpec) -> nn.Module:
    """With weights, and statistics of batch norms, that are not those of a new network; in eval mode."""
    network = build_network(spec)
    random = torch.Generator().manual_seed(0)
    initialise(network, "xavier", gain=1.0, generator=random)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(generator=random)
            module.running_var.uniform_(0.5, 2, generator=random)
    return network.eval().requires_grad_(False)
