"""State-dict keys of the official BicycleGAN, pix2pix and CycleGAN implementations, for each of our networks.

The official modules are nested sequences, so that their keys are positions: they follow from the specification.
"""

from collections.abc import Iterator

from tandem.config.specifications import (
    EncoderSpec,
    NetworkSpec,
    Norm,
    PatchDiscriminatorSpec,
    PatchProjectorSpec,
    PixelDiscriminatorSpec,
    ResNetSpec,
    UNetSpec,
)

ModulePair = tuple[str, str]
"""Our module path and the official one; a parameter's name (weight, bias, running_mean …) is the same in both."""


def official_key_map(spec: NetworkSpec, our_keys: Iterator[str] | list[str]) -> dict[str, str]:
    """Map each of our state-dict keys of the network `spec` to the official key."""
    modules = dict(_modules(spec))
    return {key: f"{modules[module]}.{name}" for key in our_keys for module, _, name in [key.rpartition(".")]}


def _modules(spec: NetworkSpec) -> Iterator[ModulePair]:
    match spec:
        case ResNetSpec():
            yield from _resnet(spec)
        case UNetSpec(activation_last=True):
            for level in range(spec.depth):
                yield f"down.{level}.conv", f"downsample_{level + 1}.conv_block.0"
                yield f"down.{level}.norm", f"downsample_{level + 1}.conv_block.1"
                yield f"up.{level}.upsampling.conv", f"upsample_{spec.depth - level}.deconv_block.0"
                yield f"up.{level}.norm", f"upsample_{spec.depth - level}.deconv_block.1"
        case UNetSpec(injection="all"):
            yield from _unet_all(spec)
        case UNetSpec():
            yield from _unet_input(spec)
        case EncoderSpec(body="resnet"):
            yield from _encoder_resnet(spec)
        case EncoderSpec():
            yield from _encoder_cnn(spec)
        case PatchDiscriminatorSpec():
            yield from _discriminator(spec)
        case PixelDiscriminatorSpec():
            for module, position in {"conv1": 0, "conv2": 2, "norm": 3, "conv3": 5}.items():
                yield f"layers.{module}", f"net.{position}"
        case PatchProjectorSpec():
            for index in range(len(spec.channels)):
                yield f"heads.{index}.0", f"mlp_{index}.0"
                yield f"heads.{index}.2", f"mlp_{index}.2"


def _unet_all(spec: UNetSpec) -> Iterator[ModulePair]:
    up_conv = 1 if spec.upsampling == "transposed" else 3
    for level in range(spec.depth):
        block = "model" + ".submodule" * level
        yield f"down.{level}.conv", f"{block}.down.{0 if level == 0 else 1}"
        yield f"down.{level}.norm", f"{block}.down.2"
        yield f"up.{level}.upsampling.conv", f"{block}.up.{up_conv}"
        yield f"up.{level}.norm", f"{block}.up.{up_conv + 1}"


def _unet_input(spec: UNetSpec) -> Iterator[ModulePair]:
    up_extra = 0 if spec.upsampling == "transposed" else 2
    has_norm = _norm_place(spec.norm, bias=spec.bias)
    block = "model.model"
    for level in range(spec.depth):
        innermost = level == spec.depth - 1
        down_conv = 0 if level == 0 else 1
        has_down_norm = has_norm if level > 0 and not innermost else 0
        submodule = down_conv + 1 + has_down_norm
        up_conv = submodule + (1 if innermost else 2) + up_extra
        yield f"down.{level}.conv", f"{block}.{down_conv}"
        yield f"down.{level}.norm", f"{block}.{down_conv + 1}"
        yield f"up.{level}.upsampling.conv", f"{block}.{up_conv}"
        yield f"up.{level}.norm", f"{block}.{up_conv + 1}"
        block = f"{block}.{submodule}.model"


def _encoder_resnet(spec: EncoderSpec) -> Iterator[ModulePair]:
    has_norm = int(spec.norm != "none")
    yield "stem", "conv.0"
    for index in range(spec.depth - 1):
        block = f"conv.{index + 1}"
        yield f"blocks.{index}.norm1", f"{block}.conv.0"
        yield f"blocks.{index}.conv1", f"{block}.conv.{1 + has_norm}"
        yield f"blocks.{index}.norm2", f"{block}.conv.{2 + has_norm}"
        yield f"blocks.{index}.conv2", f"{block}.conv.{3 + 2 * has_norm}.0"
        yield f"blocks.{index}.shortcut", f"{block}.shortcut.1"
    yield from _heads()


def _encoder_cnn(spec: EncoderSpec) -> Iterator[ModulePair]:
    stride = 2 + int(spec.norm != "none")
    yield "stem", "conv.0"
    for index in range(spec.depth - 1):
        yield f"blocks.{index}.conv", f"conv.{2 + stride * index}"
        yield f"blocks.{index}.norm", f"conv.{3 + stride * index}"
    yield from _heads()


def _heads() -> Iterator[ModulePair]:
    yield "mu", "fc.0"
    yield "logvar", "fcVar.0"


def _discriminator(spec: PatchDiscriminatorSpec) -> Iterator[ModulePair]:
    stride = 2 + _norm_place(spec.norm, bias=spec.bias)
    if spec.antialias:
        yield from _antialiased_discriminator(spec, stride)
        return
    for scale in range(spec.scales):
        part = f"model_{scale}" if spec.scales > 1 else "model"
        yield f"sub_discriminators.{scale}.0.conv", f"{part}.0"
        for index in range(spec.layers + 1):
            yield f"sub_discriminators.{scale}.{index + 1}.conv", f"{part}.{2 + stride * index}"
            yield f"sub_discriminators.{scale}.{index + 1}.norm", f"{part}.{3 + stride * index}"


def _antialiased_discriminator(spec: PatchDiscriminatorSpec, stride: int) -> Iterator[ModulePair]:
    yield "sub_discriminators.0.0.conv", "model.0"
    position = 3
    for index in range(1, spec.layers + 1):
        yield f"sub_discriminators.0.{index}.conv", f"model.{position}"
        yield f"sub_discriminators.0.{index}.norm", f"model.{position + 1}"
        position += stride + 1 if index < spec.layers else stride
    yield f"sub_discriminators.0.{spec.layers + 1}.conv", f"model.{position}"


def _resnet(spec: ResNetSpec) -> Iterator[ModulePair]:
    yield "stem.conv", "model.1"
    yield "stem.norm", "model.2"
    step = 4 if spec.antialias else 3
    for level in range(2):
        yield f"down.{level}.conv", f"model.{4 + step * level}"
        yield f"down.{level}.norm", f"model.{5 + step * level}"
    first = 4 + 2 * step
    for index in range(spec.blocks):
        block = f"model.{first + index}.conv_block"
        second = 5 + int(spec.dropout)
        yield f"blocks.{index}.conv1", f"{block}.1"
        yield f"blocks.{index}.norm1", f"{block}.2"
        yield f"blocks.{index}.conv2", f"{block}.{second}"
        yield f"blocks.{index}.norm2", f"{block}.{second + 1}"
    first += spec.blocks
    for level in range(2):
        conv = first + step * level + int(spec.antialias)
        yield f"up.{level}.conv", f"model.{conv}"
        yield f"up.{level}.norm", f"model.{conv + 1}"
    yield "head.conv", f"model.{first + 2 * step + 1}"


def _norm_place(norm: Norm, *, bias: bool) -> int:
    """Places that a norm takes: without one pix2pix's code, whose convolutions then have no bias, keeps an identity."""
    return int(norm != "none" or not bias)
