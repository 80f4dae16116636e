"""The option names of the official pix2pix and CycleGAN implementation (one repository), translated to ours."""

import re
from collections.abc import Mapping
from typing import Any

from official_bicyclegan import NORMS, data_options, known_value
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.method import Init, PlainGanLoss
from tandem.config.pix2pix import Pix2PixConfig
from tandem.errors import ConfigError

_GAN_MODES: dict[str, PlainGanLoss] = {"lsgan": "lsgan", "vanilla": "bce"}
_INIT: dict[str, Init] = {"normal": "normal", "xavier": "xavier"}
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
_PIX2PIX = _DEFAULTS | {"netG": "unet_256", "norm": "batch", "gan_mode": "vanilla", "lambda_L1": 100.0}
_CYCLEGAN = _DEFAULTS | {
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
    options = _PIX2PIX | dict(given)
    config = Pix2PixConfig(**_networks(options), gan_loss=_gan_loss(options), lambda_l1=options["lambda_L1"])
    return config, data_options(options, size)


def cyclegan_from_official(given: Mapping[str, Any], *, size: int) -> tuple[CycleGANConfig, DataConfig]:
    """Translate official options of CycleGAN; see `pix2pix_from_official`."""
    options = _CYCLEGAN | dict(given)
    config = CycleGANConfig(
        **_networks(options),
        gan_loss=_gan_loss(options),
        lambda_cycle_a=options["lambda_A"],
        lambda_cycle_b=options["lambda_B"],
        lambda_identity=options["lambda_identity"],
        pool_size=options["pool_size"],
    )
    return config, data_options(options, size)


def _networks(options: Mapping[str, Any]) -> dict[str, Any]:
    networks: dict[str, Any] = {
        "generator_filters": options["ngf"],
        "norm": known_value("norm", options["norm"], NORMS),
        "dropout": not options["no_dropout"],
        "discriminator_filters": options["ndf"],
        "init": known_value("init_type", options["init_type"], _INIT),
        "init_gain": options["init_gain"],
    }
    name = str(options["netG"])
    if match := re.fullmatch(r"unet_(\d+)", name):
        networks |= {"generator": "unet", "generator_depth": int(match[1]).bit_length() - 1}
    elif match := re.fullmatch(r"resnet_(\d+)blocks", name):
        networks |= {"generator": "resnet", "generator_blocks": int(match[1])}
    else:
        raise ConfigError(f"netG is '{name}', which is no network of the official implementation.")
    layers = {"basic": 3, "n_layers": options["n_layers_D"], "pixel": None}
    networks["discriminator_layers"] = known_value("netD", options["netD"], layers)
    networks["discriminator"] = "pixel" if options["netD"] == "pixel" else "patch"
    return networks


def _gan_loss(options: Mapping[str, Any]) -> PlainGanLoss:
    return known_value("gan_mode", options["gan_mode"], _GAN_MODES)
