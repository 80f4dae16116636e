"""From a specification to a module."""

from torch import nn

from tandem.config.specifications import (
    EncoderSpec,
    NetworkSpec,
    PatchDiscriminatorSpec,
    PatchProjectorSpec,
    PixelDiscriminatorSpec,
    ResNetSpec,
    UNetSpec,
)
from tandem.networks.convolutions import use_cheaper_convolutions
from tandem.networks.encoder import Encoder
from tandem.networks.patchgan import PatchDiscriminator, PixelDiscriminator
from tandem.networks.projector import PatchProjector
from tandem.networks.resnet import ResNet
from tandem.networks.unet import UNet


def build_network(spec: NetworkSpec) -> nn.Module:
    """Build the network that `spec` describes, with weights as PyTorch draws them; see `layers.initialise`.

    Its convolutions have their cheaper forms where there are such; see `tandem.networks.convolutions`.
    """
    network = _as_published(spec)
    use_cheaper_convolutions(network)
    return network


def _as_published(spec: NetworkSpec) -> nn.Module:
    match spec:
        case UNetSpec():
            return UNet(spec)
        case ResNetSpec():
            return ResNet(spec)
        case EncoderSpec():
            return Encoder(spec)
        case PatchDiscriminatorSpec():
            return PatchDiscriminator(spec)
        case PixelDiscriminatorSpec():
            return PixelDiscriminator(spec)
        case PatchProjectorSpec():
            return PatchProjector(spec)
