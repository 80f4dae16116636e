"""Options under their official names."""

import pytest

from official_bicyclegan import from_official
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig
from tandem.errors import ConfigError


def test_no_options_are_the_official_defaults() -> None:
    config, data = from_official({}, size=256)
    assert config == BicycleGANConfig(
        generator_depth=8, encoder_depth=5, discriminator_layers=3, discriminator_scales=2
    )
    assert data == DataConfig(size=256)


def test_names_of_networks_decide_about_depths() -> None:
    options = {"netG": "unet_128", "netD": "basic_128", "netE": "conv_128", "num_Ds": 2, "gan_mode": "vanilla"}
    config, _ = from_official(options, size=128)
    assert (config.generator_depth, config.encoder, config.encoder_depth) == (7, "cnn", 4)
    assert (config.discriminator_layers, config.discriminator_scales) == (2, 1)  # not "_multi": one discriminator
    assert config.gan_loss == "bce"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"netE": "vgg_256"}, "netE is 'vgg_256'"),
        ({"netD2": "basic_128_multi"}, "netD and netD2 differ"),
        ({"norm": "layer"}, "norm must be one of instance, batch, none, not 'layer'"),
    ],
)
def test_what_the_official_code_does_not_have_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_official(options, size=256)
