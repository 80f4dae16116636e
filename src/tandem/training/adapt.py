"""Weights for another number of channels or another latent.

The rule for the first convolution: a channel gets the weights of the source's channel of its number, counted round
where there are more, times old over new number; a single channel gets their sum. So the sum over the channels stays, or
nearly: an image whose channels are alike gives the same first map whether it is grey or RGB, and maps keep the scale
that the next layers have learnt. It is the practice of published image backbones (timm).

The rule for the last convolution: likewise without the factor, and a single channel gets the mean: an output that was
grey stays so, and the grey of RGB is the mean of the three.

The latent: of the weights that read z, or give mu and logvar, those of the dimensions that both have are taken; others
stay as they were initialised.

Where an image is cut into blocks of pixels first (tandem), the weights of a channel are those of its four planes. An
encoder that sees inputs beside outputs has each adapted for itself; where one of the two sees none, what it learnt of
outputs alone is taken.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_FIRST = {
    "unet": r"down\.0\.conv\.weight",
    "resnet": r"stem\.conv\.weight",
    "encoder": r"stem\.weight",
    "patch_discriminator": r"sub_discriminators\.\d+\.0\.conv\.weight",
    "pixel_discriminator": r"layers\.conv1\.weight",
    "residual_unet": r"stem\.weight",
    "pair_encoder": r"body\.conv0\.weight",
    "spectral_discriminator": r"scales\.\d+\.body\.0\.weight",
}
_LAST = {
    "unet": r"up\.0\.upsampling\.conv\.(weight|bias)",
    "resnet": r"head\.conv\.(weight|bias)",
    "residual_unet": r"output\.conv2\.(weight|bias)",
}
_HEADS = {"encoder": r"(mu|logvar)\.(weight|bias)", "pair_encoder": r"(mu|logvar)\.(weight|bias)"}
_DOWN = r"down\.\d+\.conv\.weight"
_STYLE = r"style\.first\.weight"
_BESIDE = r"output\.conv1\.weight"
"""A convolution of the residual U-Net that reads maps, and the image behind them."""
_PLANES = {"residual_unet": 4, "pair_encoder": 4, "spectral_discriminator": 4}
"""Planes that a channel is cut into, by kind; 1 for others."""


def adapt(
    key: str, source: Tensor, target: Tensor, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Tensor | None:
    """The weights of a layer for the shape of `target`; None where the rule does not reach.

    Args:
        key: The layer's name in its network.
        source: Its weights, float.
        target: Its weights as they were initialised, which tell the shape; on any device.
        before: The specification that `source` belongs to.
        after: That of `target`; the kind is the same.
    """
    kind, fresh = after["kind"], target.detach().cpu()
    if source.ndim != target.ndim or not source.numel():
        return None
    if kind == "pair_encoder" and re.fullmatch(_FIRST[kind], key):
        made = _pair_inputs(source, fresh, before, after)
    elif re.fullmatch(_FIRST.get(kind, "$^"), key) or (kind == "unet" and re.fullmatch(_DOWN, key)):
        made = _inputs(key, source, fresh, before, after)
    elif kind == "residual_unet" and re.fullmatch(_STYLE, key):
        made = _common(source, fresh, 1)
    elif kind == "residual_unet" and re.fullmatch(_BESIDE, key):
        made = _image_behind_maps(source, fresh, before["in_channels"], after["in_channels"])
    elif re.fullmatch(_LAST.get(kind, "$^"), key):
        transposed = key.endswith("weight") and kind == "unet" and after["upsampling"] == "transposed"
        made = _repeated(source, 1 if transposed else 0, after["out_channels"], mean=True)
    elif re.fullmatch(_HEADS.get(kind, "$^"), key):
        made = _common(source, fresh, 0) if source.shape[1:] == fresh.shape[1:] else None
    else:
        return None
    return made if made is not None and made.shape == target.shape else None


def words_of(key: str, source: Tensor, target: Tensor) -> str:
    """A layer that was adapted, in words: ``stem.weight: 3 → 1``."""
    sides = [(a, b) for a, b in zip(source.shape, target.shape, strict=True) if a != b]
    return f"{key}: {', '.join(f'{a} → {b}' for a, b in sides)}"


def _inputs(
    key: str, source: Tensor, fresh: Tensor, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Tensor | None:
    """A convolution that reads an image, or a map, and behind it the latent."""
    planes = _PLANES.get(after["kind"], 1)
    latents = [_latent_at(key, spec) for spec in (before, after)]
    channels = [tensor.shape[1] - latent for tensor, latent in zip((source, fresh), latents, strict=True)]
    if min(channels) < 1 or source.shape[0] != fresh.shape[0] or source.shape[2:] != fresh.shape[2:]:
        return None
    image = source[:, : channels[0]]
    if channels[0] != channels[1]:
        if not re.fullmatch(_FIRST[after["kind"]], key):
            return None
        image = _repeated(image, 1, channels[1] // planes, mean=False, planes=planes)
    return torch.cat([image, _common(source[:, channels[0] :], fresh[:, channels[1] :], 1)], 1)


def _image_behind_maps(source: Tensor, fresh: Tensor, before: int, after: int) -> Tensor | None:
    """A convolution that reads maps and, behind them, an image of `before` channels, for one of `after`."""
    maps = source[:, :-before]
    if maps.shape[1] != fresh.shape[1] - after or source.shape[0] != fresh.shape[0]:
        return None
    return torch.cat([maps, _repeated(source[:, -before:], 1, after, mean=False)], 1)


def _pair_inputs(source: Tensor, fresh: Tensor, before: Mapping[str, Any], after: Mapping[str, Any]) -> Tensor | None:
    """The convolution of an encoder of pairs: it reads the output, the input, and whether that is there."""
    if source.shape[0] != fresh.shape[0] or source.shape[2:] != fresh.shape[2:]:
        return None
    planes = _PLANES["pair_encoder"]
    old, new = (
        tensor.split((planes * spec["in_channels"], tensor.shape[1] - planes * spec["in_channels"]), 1)
        for tensor, spec in ((source, before), (fresh, after))
    )
    made = [_repeated(old[0], 1, after["in_channels"], mean=False, planes=planes)]
    if before["input_channels"] and after["input_channels"]:
        made += [_repeated(old[1][:, :-planes], 1, after["input_channels"], mean=False, planes=planes)]
        made += [old[1][:, -planes:]]
    else:
        made += [new[1].to(source.dtype)]
    return torch.cat(made, 1)


def _latent_at(key: str, spec: Mapping[str, Any]) -> int:
    """Channels of z among the inputs of a layer."""
    if spec["kind"] != "unet" or spec["injection"] == "none":
        return 0
    return spec["latent_dim"] if spec["injection"] == "all" or key.startswith("down.0.") else 0


def _repeated(source: Tensor, dim: int, number: int, *, mean: bool, planes: int = 1) -> Tensor:
    """`number` channels of `planes` each along `dim`, whose mean or whose sum is kept."""
    apart = source.unflatten(dim, (-1, planes))
    have = apart.shape[dim]
    if number == 1:
        repeated = apart.mean(dim, keepdim=True) if mean else apart.sum(dim, keepdim=True)
    else:
        repeated = apart.index_select(dim, torch.arange(number) % have)
        repeated = repeated if mean else repeated * (have / number)
    return repeated.flatten(dim, dim + 1)


def _common(source: Tensor, fresh: Tensor, dim: int) -> Tensor:
    """The first of `source` along `dim`, then what there is more in `fresh`; their other sides are the same."""
    number = min(source.shape[dim], fresh.shape[dim])
    rest = fresh.narrow(dim, number, fresh.shape[dim] - number)
    return torch.cat([source.narrow(dim, 0, number), rest.to(source.dtype)], dim)
