"""From a model to the files that its method's official code loads: ``latest_net_G.pth`` and so on."""

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tandem.checkpoint.manifest import Manifest
from tandem.checkpoint.official import official_key_map
from tandem.checkpoint.official_128 import from_official
from tandem.config.specifications import EncoderSpec, ResNetSpec, UNetSpec
from tandem.errors import BundleError
from tandem.files import atomic_write_bytes

FILE_NAMES = {"generator": "G", "encoder": "E", "gen_ab": "G_A", "gen_ba": "G_B"}
"""What the official code calls each network of a bundle."""

_DOWN, _UP = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])
"""CUT's filters in front of a subsampling and behind a doubling."""


def write_official(folder: Path, manifest: Manifest, networks: Mapping[str, nn.Module]) -> list[Path]:
    """Write a file for each network of a model.

    Args:
        folder: Where; files of these names are replaced.
        manifest: What the model says of itself.
        networks: By name.

    Returns:
        The files.

    Raises:
        BundleError: The official code has no such network; nothing is written.
    """
    states = {FILE_NAMES.get(name, ""): official_state(manifest, name, network) for name, network in networks.items()}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, state in states.items():
        path = folder / f"latest_net_{name}.pth"
        buffer = io.BytesIO()  # PyTorch's writer of files calls a full disk a broken invariant of its own
        torch.save(state, buffer)
        atomic_write_bytes(path, buffer.getvalue())
        written.append(path)
    return written


def official_state(manifest: Manifest, name: str, network: nn.Module) -> dict[str, Tensor]:
    """The weights of a network under official keys, with the fixed filters that CUT's code saves among them.

    Raises:
        BundleError: The official code has no such network.
    """
    spec = manifest.networks[name]
    if name not in FILE_NAMES or not isinstance(spec, UNetSpec | ResNetSpec | EncoderSpec):
        raise BundleError(
            f"{name} of this model ({spec.kind}) is no network of an official implementation, which has U-Nets, "
            "residual generators and BicycleGAN's encoders: no other code loads it. Share the model itself instead."
        )
    state = network.state_dict()
    keys = official_key_map(spec, list(state))
    generator = manifest.networks.get("generator")
    plain = {keys[ours]: value.detach().cpu().clone() for ours, value in state.items()}
    if name == "encoder" and isinstance(generator, UNetSpec) and generator.activation_last:
        return from_official(plain)
    return plain | (_blurs(spec) if isinstance(spec, ResNetSpec) and spec.antialias else {})


def _blurs(spec: ResNetSpec) -> dict[str, Tensor]:
    width, up = spec.filters, 12 + spec.blocks
    kernels = {
        "model.7.filt": (2 * width, _DOWN, 1),
        "model.11.filt": (4 * width, _DOWN, 1),
        f"model.{up}.filt": (4 * width, _UP, 4),
        f"model.{up + 4}.filt": (2 * width, _UP, 4),
    }
    found = {}
    for key, (channels, taps, gain) in kernels.items():
        kernel = taps[:, None] * taps[None, :]
        found[key] = (kernel / kernel.sum() * gain).repeat(channels, 1, 1, 1)
    return found
