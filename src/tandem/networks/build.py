"""From a specification to a module."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from tandem.config.specifications import (
    EncoderSpec,
    NetworkSpec,
    PairEncoderSpec,
    PatchDiscriminatorSpec,
    PatchProjectorSpec,
    PixelDiscriminatorSpec,
    ResidualUNetSpec,
    ResNetSpec,
    SpectralDiscriminatorSpec,
    UNetSpec,
)
from tandem.networks.convolutions import use_cheaper_convolutions
from tandem.networks.encoder import Encoder
from tandem.networks.pair_encoder import PairEncoder
from tandem.networks.patchgan import PatchDiscriminator, PixelDiscriminator
from tandem.networks.projector import PatchProjector
from tandem.networks.residual_unet import ResidualUNet
from tandem.networks.resnet import ResNet
from tandem.networks.spectral_discriminator import SpectralDiscriminator
from tandem.networks.unet import UNet

_MODULES: Mapping[type, Callable[[Any], nn.Module]] = MappingProxyType(
    {
        UNetSpec: UNet,
        ResNetSpec: ResNet,
        ResidualUNetSpec: ResidualUNet,
        EncoderSpec: Encoder,
        PairEncoderSpec: PairEncoder,
        PatchDiscriminatorSpec: PatchDiscriminator,
        PixelDiscriminatorSpec: PixelDiscriminator,
        SpectralDiscriminatorSpec: SpectralDiscriminator,
        PatchProjectorSpec: PatchProjector,
    }
)


def build_network(spec: NetworkSpec) -> nn.Module:
    """Build the network that `spec` describes, with weights as PyTorch draws them; see `layers.initialise`.

    Its convolutions have their cheaper forms where there are such; see `tandem.networks.convolutions`.
    """
    network = _MODULES[type(spec)](spec)
    use_cheaper_convolutions(network)
    return network
