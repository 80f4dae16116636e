"""The options of the official pix2pix and CycleGAN implementation (one repository) with their defaults, translated."""

from collections.abc import Mapping
from typing import Any

from official_options import translated
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.pix2pix import Pix2PixConfig

_DEFAULTS: dict[str, Any] = {
    "direction": "AtoB",
    "input_nc": 3,
    "output_nc": 3,
    "ngf": 64,
    "ndf": 64,
    "netD": "n_layers",
    "n_layers_D": 3,
    "no_dropout": False,
    "init_type": "normal",
    "init_gain": 0.02,
}
PIX2PIX: Mapping[str, Any] = _DEFAULTS | {
    "netG": "unet_256",
    "norm": "batch",
    "gan_mode": "vanilla",
    "lambda_L1": 100.0,
}
CYCLEGAN: Mapping[str, Any] = _DEFAULTS | {
    "netG": "resnet_9blocks",
    "norm": "instance",
    "gan_mode": "lsgan",
    "no_dropout": True,
    "lambda_A": 10.0,
    "lambda_B": 10.0,
    "lambda_identity": 0.5,
    "pool_size": 50,
}


def pix2pix_from_official(given: Mapping[str, Any], *, size: int) -> tuple[Pix2PixConfig, DataConfig]:
    """Translate official options of pix2pix; missing ones take the official defaults, unrelated ones are ignored.

    Raises:
        ConfigError: A value that Tandem has no counterpart of.
    """
    return translated("pix2pix", _complete(PIX2PIX, given), size=size)


def cyclegan_from_official(given: Mapping[str, Any], *, size: int) -> tuple[CycleGANConfig, DataConfig]:
    """Translate official options of CycleGAN; see `pix2pix_from_official`."""
    return translated("cyclegan", _complete(CYCLEGAN, given), size=size)


def _complete(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    options = dict(defaults) | {name: value for name, value in given.items() if name in defaults}
    if options["netD"] == "pixel":
        del options["n_layers_D"]  # without effect there
    return options
