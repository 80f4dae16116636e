"""The official BicycleGAN implementation's options with their defaults, translated to ours."""

from collections.abc import Mapping
from typing import Any

from official_options import translated
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.errors import ConfigError

DEFAULTS: Mapping[str, Any] = {
    "direction": "AtoB",
    "input_nc": 3,
    "output_nc": 3,
    "nz": 8,
    "ngf": 64,
    "ndf": 64,
    "nef": 64,
    "netG": "unet_256",
    "netD": "basic_256_multi",
    "netE": "resnet_256",
    "norm": "instance",
    "nl": "relu",
    "where_add": "all",
    "upsample": "basic",
    "use_dropout": False,
    "conditional_D": False,
    "num_Ds": 2,
    "use_same_D": False,
    "gan_mode": "lsgan",
    "lambda_GAN": 1.0,
    "lambda_GAN2": 1.0,
    "lambda_L1": 10.0,
    "lambda_z": 0.5,
    "lambda_kl": 0.01,
}


def from_official(given: Mapping[str, Any], *, size: int) -> tuple[BicycleGANConfig, DataConfig]:
    """Translate official options; missing ones take the official defaults, those that change no step are ignored.

    Raises:
        ConfigError: A value that the official networks do not have, or discriminators that differ.
    """
    options = dict(DEFAULTS) | {name: value for name, value in given.items() if name in DEFAULTS}
    if given.get("netD2", options["netD"]) != options["netD"]:
        raise ConfigError("netD and netD2 differ; Tandem builds both discriminators alike.")
    return translated("bicyclegan", options, size=size)
