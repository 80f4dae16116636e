"""The official BicycleGAN implementation's option names, translated to ours."""

import re
from collections.abc import Mapping
from typing import Any

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.method import GanLoss
from tandem.config.specifications import Norm, Upsampling
from tandem.errors import ConfigError

NORMS: dict[str, Norm] = {"instance": "instance", "batch": "batch", "none": "none"}
_GAN_MODES: dict[str, GanLoss] = {"lsgan": "lsgan", "vanilla": "bce", "wgangp": "wgangp"}
_UPSAMPLINGS: dict[str, Upsampling] = {"basic": "transposed", "bilinear": "bilinear"}
_DEFAULTS: dict[str, Any] = {
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
    options = _DEFAULTS | dict(given)
    if options.get("netD2", options["netD"]) != options["netD"]:
        raise ConfigError("netD and netD2 differ; Tandem builds both discriminators alike.")
    generator = _matched(r"unet_(\d+)", options, "netG")
    discriminator = _matched(r"basic_(128|256)(_multi)?", options, "netD")
    encoder = _matched(r"(resnet|conv)_(128|256)", options, "netE")
    gan_loss = known_value("gan_mode", options["gan_mode"], _GAN_MODES)
    config = BicycleGANConfig(
        latent_dim=options["nz"],
        generator_filters=options["ngf"],
        generator_depth=int(generator[1]).bit_length() - 1,
        injection=options["where_add"],
        upsampling=known_value("upsample", options["upsample"], _UPSAMPLINGS),
        activation=options["nl"],
        norm=known_value("norm", options["norm"], NORMS),
        dropout=options["use_dropout"],
        encoder="resnet" if encoder[1] == "resnet" else "cnn",
        encoder_filters=options["nef"],
        encoder_depth=int(encoder[2]).bit_length() - 4,
        discriminator_filters=options["ndf"],
        discriminator_layers={"128": 2, "256": 3}[discriminator[1]],
        discriminator_scales=options["num_Ds"] if discriminator[2] else 1,
        conditional=options["conditional_D"],
        shared_discriminator=options["use_same_D"],
        gan_loss=gan_loss,
        # The official code names a mode wgangp, but its BicycleGAN step has no gradient penalty.
        lambda_gp=0.0 if gan_loss == "wgangp" else BicycleGANConfig.lambda_gp,
        lambda_gan=options["lambda_GAN"],
        lambda_gan2=options["lambda_GAN2"],
        lambda_l1=options["lambda_L1"],
        lambda_z=options["lambda_z"],
        lambda_kl=options["lambda_kl"],
    )
    return config, data_options(options, size)


def _matched(pattern: str, options: Mapping[str, Any], name: str) -> re.Match[str]:
    match = re.fullmatch(pattern, str(options[name]))
    if match is None:
        raise ConfigError(f"{name} is '{options[name]}', which is no network of the official implementation.")
    return match


def known_value(name: str, value: Any, known: Mapping[str, Any]) -> Any:
    """Our value for an official one.

    Raises:
        ConfigError: Tandem has no counterpart of it.
    """
    if value not in known:
        raise ConfigError(f"{name} must be one of {', '.join(known)}, not '{value}'.")
    return known[value]


def data_options(options: Mapping[str, Any], size: int) -> DataConfig:
    """The options of the data, which have the same names in both official repositories."""
    return DataConfig(
        direction=options["direction"],
        size=size,
        input_channels=options["input_nc"],
        output_channels=options["output_nc"],
    )
