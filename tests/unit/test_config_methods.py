"""pix2pix, CycleGAN and CUT as configurations: defaults, contradictions, specifications, variants, presets."""

import dataclasses
from typing import Any

import pytest

from official_pix2pix import cyclegan_from_official, pix2pix_from_official
from tandem.config.cut import CUTConfig
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.pix2pix import Pix2PixConfig
from tandem.config.presets import PRESETS, preset_options
from tandem.config.run import RunConfig, from_flat, resolve_method, to_flat
from tandem.config.specifications import (
    PatchDiscriminatorSpec,
    PatchProjectorSpec,
    PixelDiscriminatorSpec,
    ResidualUNetSpec,
    ResNetSpec,
)
from tandem.config.variants import VARIANTS
from tandem.errors import ConfigError


def run(method: str, **options: Any) -> RunConfig:
    return from_flat({"method": method, **options})


def test_defaults_are_the_published_ones() -> None:
    pix2pix, cyclegan, cut = (run(name) for name in ("pix2pix", "cyclegan", "cut"))
    assert {config.training.batch_size for config in (pix2pix, cyclegan, cut)} == {1}
    assert {(c.training.learning_rate, c.training.beta1) for c in (pix2pix, cyclegan, cut)} == {(2e-4, 0.5)}
    one = pix2pix.objective
    assert isinstance(one, Pix2PixConfig)
    assert (one.generator, one.norm, one.dropout, one.test_noise) == ("unet", "batch", True, True)
    assert (one.gan_loss, one.lambda_gan, one.lambda_l1, one.init) == ("bce", 1, 100, "normal")
    assert one.paired
    two = cyclegan.objective
    assert isinstance(two, CycleGANConfig)
    assert (two.generator, two.norm, two.dropout, two.gan_loss) == ("resnet", "instance", False, "lsgan")
    assert (two.lambda_cycle_a, two.lambda_cycle_b, two.lambda_identity, two.pool_size) == (10, 10, 0.5, 50)
    assert not two.paired
    three = cut.objective
    assert isinstance(three, CUTConfig)
    assert (three.antialias, three.init, three.init_gain) == (True, "xavier", 0.02)
    assert (three.lambda_nce, three.nce_identity, three.flip_equivariance) == (1, True, False)
    assert (three.nce_patches, three.nce_filters, three.nce_temperature) == (256, 256, 0.07)


def test_defaults_are_those_of_the_official_option_names() -> None:
    assert pix2pix_from_official({}, size=256)[0] == Pix2PixConfig(generator_depth=8, discriminator_layers=3)
    assert cyclegan_from_official({}, size=256)[0] == CycleGANConfig(generator_blocks=9, discriminator_layers=3)


@pytest.mark.parametrize("method", ["pix2pix", "cyclegan"])
def test_the_residual_unet_of_tandem_without_a_latent(method: str) -> None:
    options: dict[str, Any] = {
        "generator": "residual_unet",
        "dropout": False,
        "input_channels": 1,
        "output_channels": 1,
    }
    for given, depth in (({"size": 128}, 5), ({"size": 96}, 4), ({"size": 256, "generator_depth": 3}, 3)):
        config = run(method, **options | given)
        method_config = config.objective
        assert isinstance(method_config, Pix2PixConfig | CycleGANConfig)
        spec = method_config.generator_of(config.data, in_channels=1, out_channels=1)
        assert spec == ResidualUNetSpec(in_channels=1, out_channels=1, latent_dim=0, depth=depth, filters=64)
        assert method_config.size_multiple(config.data) == 2**depth == spec.size_multiple


def test_specifications() -> None:
    config = run("cyclegan", size=128, input_channels=1, output_channels=3, lambda_identity=0.0)
    method = config.objective
    assert isinstance(method, CycleGANConfig)
    assert method.generator_of(config.data, in_channels=1, out_channels=3) == ResNetSpec(
        in_channels=1, out_channels=3, filters=64, blocks=6
    )
    assert method.discriminator_of(in_channels=3) == PatchDiscriminatorSpec(
        in_channels=3, filters=64, layers=3, scales=1
    )
    pixel = run("pix2pix", discriminator="pixel", input_channels=1)
    assert isinstance(pixel.objective, Pix2PixConfig)
    assert pixel.objective.discriminator_spec(pixel.data) == PixelDiscriminatorSpec(
        in_channels=4, filters=64, norm="batch", bias=False
    )
    spec = pixel.objective.generator_spec(pixel.data)
    assert (spec.bias, spec.latent_dim, spec.size_multiple) == (False, 0, 256)
    assert run("pix2pix", norm="instance").objective.generator_spec(pixel.data).bias  # type: ignore[union-attr]
    cut = run("cut", size=256)
    assert isinstance(cut.objective, CUTConfig)
    assert cut.objective.generator_spec(cut.data).blocks == 9
    assert cut.objective.projector_spec(cut.data) == PatchProjectorSpec(channels=(3, 128, 256, 256, 256), filters=256)
    assert [c.objective.size_multiple(c.data) for c in (cut, config)] == [4, 4]


RESIDUAL: dict[str, Any] = {"generator": "residual_unet", "dropout": False}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("pix2pix", {"generator_depth": 10}, "--generator-depth must be from 2 to 9, not 10"),
    ("pix2pix", {"generator_depth": 1}, "--generator-depth must be from 2 to 9, not 1"),
    ("pix2pix", {"size": 100}, "--size 100: with at least 5 levels .* 32 px; the nearest is --size 96"),
    ("pix2pix", {"size": 128, "generator_depth": 8}, "with 8 levels .* multiples of 256 px"),
    ("pix2pix", {"size": 32}, "--dropout has no effect with 5 levels"),
    ("pix2pix", {"generator_blocks": 6}, "--generator-blocks 6 has no effect with --generator unet"),
    ("pix2pix", {"lambda_gan": 0.0, "lambda_l1": 0.0}, "all loss weights are 0: there is nothing to train"),
    (
        "pix2pix",
        {"test_noise": False, "dropout": False, "norm": "instance"},
        "--no-test-noise has no effect without --dropout and without batch norm",
    ),
    ("pix2pix", {"lambda_l1": -1.0}, "--lambda-l1 must be at least 0, not -1.0"),
    ("pix2pix", {"gan_loss": "wgangp"}, "--gan-loss must be one of lsgan, bce, hinge, not 'wgangp'"),
    ("pix2pix", {"discriminator": "pixels"}, "--discriminator must be one of patch, pixel, not 'pixels'"),
    ("pix2pix", {"discriminator": "pixel", "discriminator_layers": 2}, "--discriminator-layers 2 has no effect with"),
    ("pix2pix", {"discriminator_layers": 0}, "--discriminator-layers must be from 1 to 9, not 0"),
    (
        "pix2pix",
        {"size": 64, "discriminator_layers": 5},
        "too small for a discriminator with 5 layers: lower --discriminator-layers, or choose --discriminator pixel",
    ),
    (
        "pix2pix",
        {"generator": "resnet", "generator_depth": 5},
        "--generator-depth 5 has no effect with --generator res",
    ),
    (
        "pix2pix",
        {"generator": "residual_unet"},
        "--dropout has no effect with --generator residual_unet, which has none: give --no-dropout",
    ),
    (
        "pix2pix",
        RESIDUAL | {"generator_blocks": 6},
        "--generator-blocks 6 has no effect with --generator residual_unet",
    ),
    ("pix2pix", RESIDUAL | {"upsampling": "bilinear"}, "--upsampling bilinear has no effect with --generator residual"),
    ("pix2pix", RESIDUAL | {"test_noise": False}, "--no-test-noise has no effect without --dropout and without batch"),
    ("pix2pix", RESIDUAL | {"generator_depth": 9}, "--generator-depth must be from 1 to 8, not 9"),
    ("cyclegan", RESIDUAL | {"dropout": True}, "--dropout has no effect with --generator residual_unet"),
    (
        "cyclegan",
        RESIDUAL | {"size": 60, "generator_depth": 3},
        "--size 60: the generator with 3 levels takes multiples of 8 px, at least 16; the nearest is --size 64",
    ),
    ("pix2pix", {"generator": "resnet", "upsampling": "bilinear"}, "--upsampling bilinear has no effect with --genera"),
    (
        "cyclegan",
        {"size": 250},
        "--size 250: the residual generator takes multiples of 4 px; the nearest is --size 248",
    ),
    ("cyclegan", {"size": "64x66"}, "the nearest is --size 64x64"),
    ("cyclegan", {"size": 12}, "--size 12 is too small for the residual generator: at least 16 px"),
    ("cyclegan", {"size": 16}, "--size 16 is too small for a discriminator with 3 layers"),
    ("cyclegan", {"generator_blocks": 0}, "--generator-blocks must be from 1 to 64, not 0"),
    ("cyclegan", {"generator_blocks": 65}, "--generator-blocks must be from 1 to 64, not 65"),
    ("cyclegan", {"direction": "BtoA"}, "--direction BtoA has no effect: CycleGAN learns both directions"),
    ("cyclegan", {"input_channels": 1}, "--lambda-identity 0.5 shows each generator the domain that it makes"),
    (
        "cyclegan",
        {"lambda_cycle_a": 0.0, "lambda_cycle_b": 0.0},
        "--lambda-identity counts in units of --lambda-cycle-a",
    ),
    ("cyclegan", {"pool_size": -1}, "--pool-size must be at least 0, not -1"),
    ("cyclegan", {"pool_size": 10_001}, "--pool-size must be below 10001, not 10001"),
    ("cyclegan", {"generator_filters": 0}, "--generator-filters must be at least 1, not 0"),
    ("cyclegan", {"lambda_l1": 1.0}, "unknown options: lambda_l1"),
    ("cut", {"input_channels": 1}, "CUT compares input and output with the features of one network"),
    ("cut", {"generator_blocks": 4}, "--generator-blocks must be at least 5 for CUT"),
    (
        "cut",
        {"size": 100, "discriminator_layers": 6},
        r"too small for a discriminator with 6 layers: lower --discriminator-layers\.$",
    ),
    ("cut", {"size": 30}, "multiples of 4 px"),
    ("cut", {"nce_patches": 1}, "--nce-patches must be at least 2, not 1"),
    ("cut", {"nce_temperature": 0.0}, "--nce-temperature must be above 0, not 0.0"),
    ("cut", {"lambda_nce": 0.0}, "--lambda-nce must be above 0, not 0.0"),
    ("tandem", {"batch_size": 3}, "--batch-size must be even for tandem, not 3: once the discriminators have joined"),
    ("tandem", {"lambda_gan": 0.0, "gan_from": 0.5}, "--gan-from 0.5 has no effect with --lambda-gan 0"),
    ("tandem", {"lambda_gan": 0.0, "lambda_ms": 1.0}, "--lambda-ms 1 has no effect with --lambda-gan 0"),
    ("tandem", {"lambda_gan": 0.0, "lambda_fm": 1.0}, "--lambda-fm 1 has no effect with --lambda-gan 0"),
    (
        "tandem",
        {"lambda_gan": 0.0, "discriminator_lr_schedule": "same"},
        "--discriminator-lr-schedule same has no effect with --lambda-gan 0",
    ),
    ("tandem", {"lambda_gan": 0.0, "lambda_z": 1.0}, "--lambda-z 1 has no effect with --lambda-gan 0"),
    ("tandem", {"lambda_kl": 0.0, "free_bits": 0.1}, "--free-bits 0.1 has no effect with --lambda-kl 0"),
    ("tandem", {"lambda_kl": 0.0, "kl_bound": 9.0}, "--kl-bound 9 has no effect with --lambda-kl 0"),
    (
        "tandem",
        {"encoder_sees_input": False, "input_dropout": 0.5},
        "--input-dropout 0.5 has no effect with --no-encoder-sees-input",
    ),
    ("tandem", {"lambda_l1": 0.0}, "--lambda-l1 must be above 0, not 0.0"),
    ("tandem", {"gan_from": 1.0}, "--gan-from must be below 1, not 1.0"),
    ("tandem", {"input_dropout": 1.5}, "--input-dropout must be from 0 to 1, not 1.5"),
    ("tandem", {"generator_depth": 9}, "--generator-depth must be from 1 to 8, not 9"),
    (
        "tandem",
        {"size": 100, "generator_depth": 3},
        "--size 100: the generator with 3 levels takes multiples of 8 px, at least 16; the nearest is --size 96",
    ),
    (
        "tandem",
        {"size": 8},
        "the generator with at least 1 level takes multiples of 2 px, at least 16; the nearest is --size 16",
    ),
    (
        "tandem",
        {"size": 250},
        "with at least 4 levels takes multiples of 16 px, at least 16; the nearest is --size 256",
    ),
    (
        "tandem",
        {"size": 18, "generator_depth": 1},
        "--size 18: discriminators at 2 scales .* take multiples of 4 px, at least 16; the nearest is --size 16",
    ),
    (
        "tandem",
        {"size": 16},
        "--size 16 is too small for 2 discriminators with 3 layers: lower --discriminator-scales or --discriminator-la",
    ),
    ("fastgan", {}, "unknown method 'fastgan': the methods are tandem, bicyclegan, pix2pix, cyclegan, cut, cvae-gan"),
    ("fast-cut", {}, "Did you mean fastcut?"),
]


@pytest.mark.parametrize(("method", "options", "message"), REFUSED)
def test_what_does_not_work_is_said(method: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(method, **options)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("pix2pix", {"test_noise": False}),
        ("pix2pix", {"test_noise": False, "dropout": False}),
        ("pix2pix", {"generator": "resnet", "size": "32x36"}),
        ("pix2pix", {"discriminator": "pixel", "size": 32, "dropout": False}),
        ("cyclegan", {"input_channels": 1, "lambda_identity": 0.0}),
        ("cyclegan", {"lambda_cycle_a": 0.0}),
        ("cut", {"direction": "BtoA", "input_channels": 1, "output_channels": 1}),
        ("cut", {"lambda_gan": 0.0}),
        ("tandem", {"lambda_gan": 0.0, "lambda_z": 0.0}),
        ("tandem", {"lambda_kl": 0.0, "gan_from": 0.0}),
        ("tandem", {"encoder_sees_input": False, "input_channels": 1}),
        ("tandem", {"size": "64x96", "input_dropout": 1.0}),
        ("tandem", {"size": 16, "discriminator_scales": 1, "generator_depth": 4}),
    ],
)
def test_what_works_leads_back(method: str, options: dict[str, Any]) -> None:
    config = run(method, **options)
    assert from_flat(to_flat(config)) == config


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("cvae-gan", {"lambda_gan2": 0.0, "lambda_z": 0.0}),
        ("cvae-gan++", {"lambda_z": 0.0}),
        ("cae-gan", {"lambda_gan2": 0.0, "lambda_z": 0.0, "lambda_kl": 0.0}),
        ("clr-gan", {"lambda_gan": 0.0, "lambda_l1": 0.0, "lambda_kl": 0.0, "latent_trains_encoder": True}),
        (
            "pix2pix-noise",
            {"lambda_gan": 0.0, "lambda_l1": 0.0, "lambda_kl": 0.0, "lambda_z": 0.0, "lambda_l1_random": 10.0},
        ),
        ("fastcut", {"lambda_nce": 10.0, "nce_identity": False, "flip_equivariance": True}),
    ],
)
def test_a_variant_is_its_method_with_changes(name: str, changes: dict[str, Any]) -> None:
    method = VARIANTS[name].method
    assert resolve_method(name)[0] == method
    assert run(name) == run(method, **changes)
    assert run(name, seed=3).objective == dataclasses.replace(run(method).objective, **changes)
    # What is given wins.
    (option, value), *_ = ((key, value) for key, value in changes.items() if value == 0 or key == "lambda_nce")
    assert to_flat(run(name, **{option: 3.5}))[option] == 3.5 != value


RECIPES: dict[str, tuple[int, int, int, str, Any]] = {
    # epochs constant, decaying, batch, direction, load size
    "pix2pix-facades": (100, 100, 1, "BtoA", (286, 286)),
    "pix2pix-maps": (100, 100, 1, "AtoB", (286, 286)),
    "pix2pix-maps-reverse": (100, 100, 1, "BtoA", (286, 286)),
    "pix2pix-cityscapes": (100, 100, 10, "BtoA", (286, 286)),
    "pix2pix-edges2shoes": (8, 7, 4, "AtoB", (286, 286)),
    "pix2pix-edges2handbags": (8, 7, 4, "AtoB", (286, 286)),
    "pix2pix-day2night": (9, 8, 4, "BtoA", (286, 286)),
    "horse2zebra": (100, 100, 1, "AtoB", (286, 286)),
    "monet2photo": (100, 100, 1, "AtoB", (286, 286)),
    "tf-cyclegan": (100, 100, 1, "AtoB", (286, 286)),
    "cut-horse2zebra": (200, 200, 1, "AtoB", (286, 286)),
    "fastcut-horse2zebra": (150, 50, 1, "AtoB", (286, 286)),
    "tf-edges2shoes-128": (8, 2, 2, "AtoB", (143, 143)),
    "tf-maps-256": (8, 2, 2, "BtoA", (286, 286)),
}


@pytest.mark.parametrize("name", RECIPES)
def test_presets_are_those_of_the_recipes(name: str) -> None:
    config = from_flat(preset_options(name))
    training = config.training
    constant, decay, batch_size, direction, load = RECIPES[name]
    assert (training.lr_schedule, training.lr_constant_epochs, training.lr_decay_epochs) == ("linear", constant, decay)
    assert (training.batch_size, config.data.direction, config.data.resize_size) == (batch_size, direction, load)
    assert config.data.crop_size == ((128, 128) if name.endswith("128") else (256, 256))
    assert (config.data.flip, training.ema_halflife_images, training.learning_rate) == (True, 0, 2e-4)
    published = run(PRESETS[name].method).objective
    if not name.startswith("tf-"):
        assert config.objective == published
    elif name == "tf-cyclegan":
        assert config.objective == dataclasses.replace(published, generator_filters=32)
    else:
        assert config.objective == dataclasses.replace(
            published,
            norm="batch",
            shared_discriminator=True,
            discriminator_scales=1,
            latent_trains_encoder=True,
            kl_reduction="mean",
            lambda_kl=0.00125,
        )
