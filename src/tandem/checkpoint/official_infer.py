"""From the state dict of an official implementation to the specification of its network.

The sizes are read from a few tensors. Whatever else shows in the keys (norm, biases, dropout, kind of upsampling) is
not parsed: every combination is a candidate, whose keys and shapes follow from `official_key_map`, and that one is
taken whose keys and shapes are exactly those of the file. So nothing is guessed that a file says, and a file of another
network cannot pass. What no key shows (`Unseen`) has to be told.
"""

import itertools
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from tandem.checkpoint.official import official_key_map
from tandem.config.specifications import (
    Activation,
    EncoderSpec,
    Norm,
    ResNetSpec,
    UNetSpec,
    Upsampling,
)
from tandem.errors import WeightsError, listed
from tandem.networks.build import build_network

log = logging.getLogger(__name__)

OfficialSpec = UNetSpec | ResNetSpec | EncoderSpec
Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
MAX_CHANNELS = 4
"""Of images, unless the length of the latent is told; more channels of a first convolution are those of a latent."""

_IGNORED = ("num_batches_tracked",)
"""Buffers that old files lack, and that no output depends on."""
_BLUR = re.compile(r"model\.\d+\.filt")
_SHOWN = 6
_TELLING = {
    "model.0.weight": "a discriminator",
    "model_0.0.weight": "a discriminator with several scales",
    "net.0.weight": "a discriminator of pixels",
    "mlp_0.0.weight": "the heads of PatchNCE (CUT's F)",
    "d_1.1.conv_block.0.weight": "a discriminator of the PyTorch project for 128 px",
}
"""Networks that only training uses, by a key that they have."""
_FOREIGN = (
    (r"down\d\.model\.0\.weight", "a generator of PyTorch-GAN, whose U-Nets have other layers"),
    (r"model\.\d+\.block\.1\.weight", "a residual generator of PyTorch-GAN, which enlarges maps by repeating pixels"),
    (r"model1_1\.\d+\.weight", "pix2pixHD's generator with a local enhancer"),
    (r"model\.\d+\.conv_block\.0\.weight", "a residual generator whose blocks pad with zeros (padding_type zero)"),
    (r".*\.(weight_orig|parametrizations\..*)", "a network with spectral norm"),
    (r".*\.(modulation\.weight|convs?\.\d+\.\d+\.kernel)", "a StyleGAN2 network (CUT's netG stylegan2)"),
    (r"(enc|dec)_(content|style)\..*", "a generator of MUNIT"),
)
"""Networks that look like these and are others, by a key that they have."""


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """What no file shows.

    Attributes:
        norm: The norm, where it has no weights and takes no place among the keys; otherwise what the file says counts.
        activation: Of the way up of BicycleGAN's U-Net (``nl``).
        latent_dim: Of a U-Net whose input is joined with the latent, 0 without one; None: what the encoder says, or 8
            where the input has too many channels for an image.
        most_channels: That an image may have.
    """

    norm: Literal["instance", "none"] = "instance"
    activation: Activation = "relu"
    latent_dim: int | None = None
    most_channels: int = MAX_CHANNELS


def infer(shapes: Shapes, unseen: Unseen, *, name: str) -> OfficialSpec:
    """The specification of a network.

    Args:
        shapes: Of its official state dict, by key.
        unseen: What the keys cannot say.
        name: What to call it in messages.

    Raises:
        WeightsError: It is no generator and no encoder of the official implementations, or not a whole one.
    """
    if (kind := next((kind for key, kind in _TELLING.items() if key in shapes), None)) is not None:
        raise WeightsError(
            f"{name} is {kind}, which only training uses: a model is made of generators and an encoder (files like "
            "latest_net_G.pth and latest_net_E.pth). Leave this file out."
        )
    if foreign := _foreign(shapes):
        raise WeightsError(
            f"{name} is {foreign}. What can be converted are the generators of BicycleGAN, pix2pix, CycleGAN and CUT, "
            "and BicycleGAN's encoders, as their official code builds them."
        )
    candidates = _candidates(shapes, unseen, name)
    misfits = [(spec, misfit(spec, shapes)) for spec in candidates]
    for spec, problems in misfits:
        if not problems:
            return spec
    nearest, problems = min(misfits, key=lambda one: len(one[1]))
    raise WeightsError(
        f"{name} does not hold one of the official networks, or not the whole of it. Compared with the nearest, "
        f"{describe(nearest)}:\n{listed(problems, _SHOWN)}"
    )


def misfit(spec: OfficialSpec, shapes: Shapes) -> list[str]:
    """How keys and shapes differ from those of the official network of a specification; empty if they don't."""
    expected = official_shapes(spec)
    given = {key: shape for key, shape in shapes.items() if not _is_blur(spec, key, shape)}
    missing = [key for key in expected if key not in given and not key.endswith(_IGNORED)]
    other = [key for key in expected if key in given and given[key] != expected[key]]
    return [
        *(f"{key} is missing" for key in missing),
        *(f"{key} is {list(given[key])} instead of {list(expected[key])}" for key in other),
        *(f"{key} has no place in it" for key in given if key not in expected),
    ]


def official_shapes(spec: OfficialSpec) -> dict[str, Shape]:
    """The shape of every tensor of a network under its official key."""
    with torch.device("meta"):
        state = build_network(spec).state_dict()
    keys = official_key_map(spec, list(state))
    return {keys[key]: tuple(value.shape) for key, value in state.items()}


def has_old_instance_norms(shapes: Shapes) -> frozenset[str]:
    """Buffers of instance norms, which files of PyTorch 0.3 carry and nothing reads: those of norms without weights."""
    return frozenset(
        key
        for key in shapes
        for module, _, name in [key.rpartition(".")]
        if name in {"running_mean", "running_var", "num_batches_tracked"} and f"{module}.weight" not in shapes
    )


def _foreign(shapes: Shapes) -> str:
    """What a file holds that looks like an official network and is none; empty if nothing is known of it."""
    for pattern, what in _FOREIGN:
        if any(re.fullmatch(pattern, key) for key in shapes):
            return what
    blurs = {shape[-1] for key, shape in shapes.items() if _BLUR.fullmatch(key) and len(shape) == 4}
    if len(blurs) == 1:
        return "a residual generator that is antialiased on one way only (CUT's no_antialias or no_antialias_up alone)"
    blocks = [int(found[1]) for key in shapes if (found := re.match(r"model\.(\d+)\.conv_block\.", key))]
    halvings = [
        key
        for key, shape in shapes.items()
        if (found := re.fullmatch(r"model\.(\d+)\.weight", key))
        and 1 < int(found[1]) < min(blocks, default=0)
        and len(shape) == 4
    ]
    if blocks and len(halvings) > 2:
        return (
            f"a residual generator that halves maps {len(halvings)} times, as pix2pixHD's does; here they do so twice"
        )
    return ""


def _candidates(shapes: Shapes, unseen: Unseen, name: str) -> list[OfficialSpec]:
    try:
        if "downsample_1.conv_block.0.weight" in shapes:
            return [_unet_of_128_px(shapes, unseen, name)]
        if "model.down.0.weight" in shapes:
            return list(_unets_with_latent_everywhere(shapes, unseen))
        if "model.model.0.weight" in shapes:
            return list(_nested_unets(shapes, unseen, name))
        if len(shapes.get("model.1.weight", ())) == 4:
            return list(_resnets(shapes, unseen))
        if "fc.0.weight" in shapes and "conv.0.weight" in shapes:
            return list(_encoders(shapes))
    except WeightsError:
        raise
    except (KeyError, IndexError, ValueError) as error:
        raise WeightsError(f"{name} lacks parts of the network that its other keys belong to: {error}.") from error
    raise WeightsError(
        f"{name} holds none of the networks that can be converted: the generators of BicycleGAN, pix2pix, CycleGAN and "
        f"CUT, and BicycleGAN's encoders. Its first keys are {', '.join(list(shapes)[:3]) or 'none at all'}."
    )


def _unet_of_128_px(shapes: Shapes, unseen: Unseen, name: str) -> UNetSpec:
    """That of the PyTorch project for 128 px."""
    depth = sum(key.startswith("downsample_") and len(shape) == 4 for key, shape in shapes.items())
    filters, joined = _four(shapes["downsample_1.conv_block.0.weight"])[:2]
    latent_dim = _latent_beside(joined, unseen, name)
    return UNetSpec(
        in_channels=joined - latent_dim,
        out_channels=_four(shapes[f"upsample_{depth}.deconv_block.0.weight"])[1],
        latent_dim=latent_dim,
        depth=depth,
        filters=filters,
        norm="instance_affine",
        injection="input",
        activation_last=True,
    )


def _unets_with_latent_everywhere(shapes: Shapes, unseen: Unseen) -> Iterator[UNetSpec]:
    depth = 1 + max(key.count("submodule") for key in shapes)
    filters, joined = _four(shapes["model.down.0.weight"])[:2]
    latent_dim = _four(shapes["model.submodule.down.1.weight"])[1] - filters
    upsampling: Upsampling = "transposed" if "model.up.1.weight" in shapes else "bilinear"
    last = shapes["model.up.1.weight" if upsampling == "transposed" else "model.up.3.weight"]
    for norm in _norms(shapes, unseen):
        yield UNetSpec(
            in_channels=joined - latent_dim,
            out_channels=_four(last)[1 if upsampling == "transposed" else 0],
            latent_dim=latent_dim,
            depth=depth,
            filters=filters,
            norm=norm,
            injection="all",
            upsampling=upsampling,
            activation=unseen.activation,
        )


def _nested_unets(shapes: Shapes, unseen: Unseen, name: str) -> Iterator[UNetSpec]:
    """Those of pix2pix, and BicycleGAN's with the latent at the input: the same keys, but for the input's channels."""
    depth = max(key.split(".").count("model") for key in shapes) - 1
    filters, joined = _four(shapes["model.model.0.weight"])[:2]
    # BicycleGAN's convolutions have biases; pix2pix's have none beside batch norm, so their channels are the image's.
    has_biases = "model.model.0.bias" in shapes
    latent_dim = _latent_beside(joined, unseen, name) if has_biases or unseen.latent_dim else 0
    ends = [key for key in shapes if re.fullmatch(r"model\.model\.[1-9]\d*\.weight", key) and len(shapes[key]) == 4]
    upsampling: Upsampling = "transposed" if shapes[ends[0]][-1] == 4 else "bilinear"
    out_channels = shapes[ends[0]][1 if upsampling == "transposed" else 0]
    for norm, bias in _norms_and_biases(shapes, unseen):
        # pix2pix has biases beside instance norm alone, BicycleGAN always.
        is_bicyclegan = latent_dim > 0 or (bias and norm in {"batch", "none"})
        yield UNetSpec(
            in_channels=joined - latent_dim,
            out_channels=out_channels,
            latent_dim=latent_dim,
            depth=depth,
            filters=filters,
            norm=norm,
            injection="input" if latent_dim else "none",
            upsampling=upsampling,
            activation=unseen.activation,
            bias=bias,
            skip_first=not is_bicyclegan,
        )


def _latent_beside(joined: int, unseen: Unseen, name: str) -> int:
    if unseen.latent_dim is None and joined <= MAX_CHANNELS:
        return 0
    latent_dim = 8 if unseen.latent_dim is None else unseen.latent_dim
    if not 1 <= joined - latent_dim <= unseen.most_channels:
        raise WeightsError(
            f"{name} takes {joined} channels, those of the image and of the latent; with a latent of {latent_dim} the "
            f"image would not have 1 to {unseen.most_channels} of them: give the right --latent-dim (0 without a "
            "latent), or the encoder's file too."
        )
    if unseen.latent_dim is None:
        log.info(
            "%s takes %d channels: %d of the image and a latent of %d. If that is wrong give --latent-dim (0 for none)",
            name,
            joined,
            joined - latent_dim,
            latent_dim,
        )
    return latent_dim


def _resnets(shapes: Shapes, unseen: Unseen) -> Iterator[ResNetSpec]:
    filters, in_channels = _four(shapes["model.1.weight"])[:2]
    ends = {int(found[1]): shapes[found[0]] for key in shapes if (found := re.fullmatch(r"model\.(\d+)\.weight", key))}
    blocks = len({found[1] for key in shapes if (found := re.match(r"model\.(\d+)\.conv_block\.", key))})
    axes = (_norms_and_biases(shapes, unseen), (False, True), (False, True))
    for (norm, bias), antialias, dropout in itertools.product(*axes):
        yield ResNetSpec(
            in_channels=in_channels,
            out_channels=_four(ends[max(ends)])[0],
            filters=filters,
            blocks=blocks,
            norm=norm,
            dropout=dropout,
            antialias=antialias,
            bias=bias,
        )


def _encoders(shapes: Shapes) -> Iterator[EncoderSpec]:
    filters, in_channels = _four(shapes["conv.0.weight"])[:2]
    shortcuts = sum(key.endswith("shortcut.1.weight") for key in shapes)
    convolutions = sum(len(shape) == 4 for shape in shapes.values())
    for norm in _norms(shapes, None):
        yield EncoderSpec(
            body="resnet" if shortcuts else "cnn",
            in_channels=in_channels,
            latent_dim=shapes["fc.0.weight"][0],
            depth=1 + shortcuts if shortcuts else convolutions,
            filters=filters,
            norm=norm,
        )


def _norms(shapes: Shapes, unseen: Unseen | None) -> Sequence[Norm]:
    """The norms that a file may be of, the likelier first; those without weights show in positions at the most."""
    if any(key.endswith("running_mean") for key in shapes):
        return ["batch"]
    biases = [key for key, shape in shapes.items() if key.endswith(".bias") and len(shape) == 1]
    if any(len(shapes.get(f"{key.removesuffix('bias')}weight", ())) == 1 for key in biases):
        return ["instance_affine"]
    return ["none", "instance"] if unseen is not None and unseen.norm == "none" else ["instance", "none"]


def _norms_and_biases(shapes: Shapes, unseen: Unseen) -> list[tuple[Norm, bool]]:
    """Whether convolutions have biases beside a norm; those without a norm's weights have none only without a norm."""
    norms = _norms(shapes, unseen)
    without: Sequence[Norm] = norms if norms[0] in {"batch", "instance_affine"} else ["none"]
    return [*((norm, True) for norm in norms), *((norm, False) for norm in without)]


def _four(shape: Shape) -> Shape:
    if len(shape) != 4:
        raise ValueError(f"a convolution's weights have the shape {list(shape)}")
    return shape


def _is_blur(spec: OfficialSpec, key: str, shape: Shape) -> bool:
    """Whether a tensor is the fixed filter of a blur, 3 wide on the way down and 4 on the way up."""
    is_filter = len(shape) == 4 and shape[1] == 1 and shape[2:] in {(3, 3), (4, 4)}
    return isinstance(spec, ResNetSpec) and spec.antialias and bool(_BLUR.fullmatch(key)) and is_filter


def describe(spec: OfficialSpec) -> str:
    """A network in a few words."""
    norm = "no norm" if spec.norm == "none" else f"{spec.norm.replace('instance_affine', 'affine instance')} norm"
    match spec:
        case UNetSpec():
            places = {"none": "no latent", "input": "at the input", "all": "before every down convolution"}
            latent = f"z of {spec.latent_dim} " if spec.latent_dim else ""
            kind = "of the project for 128 px, " if spec.activation_last else ""
            kind += f"U-Net of {spec.depth} levels, {latent}{places[spec.injection]}, {spec.upsampling} upsampling"
        case ResNetSpec():
            kind = f"residual generator of {spec.blocks} blocks"
            kind += f"{', antialiased' if spec.antialias else ''}{', dropout' if spec.dropout else ''}"
        case _:
            kind = f"encoder of {spec.depth} levels ({spec.body}), z of {spec.latent_dim}"
    return f"{kind}, {norm}, {spec.filters} filters, {spec.in_channels} channels"
