"""The encoder of the PyTorch project for 128 px is BicycleGAN's under other keys: from one to the other and back."""

import re
from collections.abc import Mapping

from torch import Tensor

MARK = "fc_mu.weight"
"""A key that only this project's encoder has."""

_FROM = (
    (r"conv\.(weight|bias)", r"conv.0.\1"),
    (r"res_blocks\.(\d+)\.conv\.5\.(\w+)", r"conv.{}.conv.5.0.\2"),
    (r"res_blocks\.(\d+)\.conv\.(\d)\.(\w+)", r"conv.{}.conv.\2.\3"),
    (r"res_blocks\.(\d+)\.short_cut\.1\.(\w+)", r"conv.{}.shortcut.1.\2"),
    (r"fc_mu\.(\w+)", r"fc.0.\1"),
    (r"fc_logvar\.(\w+)", r"fcVar.0.\1"),
)
_BACK = (
    (r"conv\.0\.(weight|bias)", r"conv.\1"),
    (r"conv\.(\d+)\.conv\.5\.0\.(\w+)", r"res_blocks.{}.conv.5.\2"),
    (r"conv\.(\d+)\.conv\.(\d)\.(\w+)", r"res_blocks.{}.conv.\2.\3"),
    (r"conv\.(\d+)\.shortcut\.1\.(\w+)", r"res_blocks.{}.short_cut.1.\2"),
    (r"fc\.0\.(\w+)", r"fc_mu.\1"),
    (r"fcVar\.0\.(\w+)", r"fc_logvar.\1"),
)


def to_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of its encoder under BicycleGAN's keys; what is no key of it stays as it is."""
    return {_renamed(key, _FROM, 1): value for key, value in state.items()}


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_official`."""
    return {_renamed(key, _BACK, -1): value for key, value in state.items()}


def _renamed(key: str, rules: tuple[tuple[str, str], ...], shift: int) -> str:
    for pattern, template in rules:
        if found := re.fullmatch(pattern, key):
            number = str(int(found[1]) + shift) if "{}" in template else ""
            return found.expand(template.replace("{}", number))
    return key
