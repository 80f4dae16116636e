"""Configurations: bounds, contradictions, sizes, presets, and the ways out and back in."""

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.data import DataConfig, parse_size
from tandem.config.options import options_of
from tandem.config.run import RunConfig, from_flat
from tandem.config.specifications import EncoderSpec, PatchDiscriminatorSpec, UNetSpec
from tandem.config.training import TrainingConfig
from tandem.config.validation import ValidationConfig
from tandem.errors import ConfigError

GROUPS = (DataConfig, BicycleGANConfig, TrainingConfig, ValidationConfig)


def run(**options: Any) -> RunConfig:
    return from_flat({"method": "bicyclegan"} | options)


def test_defaults_are_the_published_ones() -> None:
    config = RunConfig()
    method, training = config.objective, config.training
    assert (method.latent_dim, method.lambda_gan, method.lambda_gan2) == (8, 1, 1)
    assert (method.lambda_l1, method.lambda_z, method.lambda_kl) == (10, 0.5, 0.01)
    assert (method.gan_loss, method.norm, method.injection, method.encoder) == ("lsgan", "instance", "all", "resnet")
    assert (method.discriminator_scales, method.conditional, method.shared_discriminator) == (2, False, False)
    assert (method.update_order, method.init, method.init_gain) == (
        "generator_first",
        "xavier",
        0.02,
    )
    assert (method.generator_filters, method.encoder_filters, method.discriminator_filters) == (64, 64, 64)
    assert (training.learning_rate, training.beta1, training.beta2, training.batch_size) == (2e-4, 0.5, 0.999, 2)
    assert (config.data.crop_size, config.data.resize_size, config.data.flip) == ((256, 256), (286, 286), True)


def test_option_names_are_unique_over_all_groups() -> None:
    names = [field.name for group in GROUPS for field in dataclasses.fields(group)]
    assert len(set(names)) == len(names)
    assert "method" not in names
    assert all(one.declared.help for group in GROUPS for one in options_of(group))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "--latent-dim must be at least 1, not 0"),
        ({"latent_dim": 4097}, "--latent-dim must be below 4097, not 4097"),
        ({"lambda_l1": -1.0}, "--lambda-l1 must be at least 0, not -1.0"),
        ({"lambda_kl": float("nan")}, "--lambda-kl"),
        ({"lambda_l1": float("inf")}, "--lambda-l1"),
        ({"learning_rate": float("inf")}, "--learning-rate"),
        ({"lambda_kl": 10**400}, "--lambda-kl must be at most 9007199254740992 in magnitude, not 1000"),
        ({"steps": 10**5000}, "--steps must be at most 9007199254740992 in magnitude, not a number of 16610 bits"),
        ({"init_gain": 0.0}, "--init-gain must be above 0, not 0.0"),
        ({"discriminator_scales": 6}, "--discriminator-scales must be below 6, not 6"),
        ({"generator_filters": 5000}, "--generator-filters must be below 4097, not 5000"),
        ({"encoder_filters": 5000}, "--encoder-filters must be below 4097, not 5000"),
        ({"discriminator_filters": 5000}, "--discriminator-filters must be below 4097, not 5000"),
        ({"learning_rate": 0.0}, "--learning-rate must be above 0, not 0.0"),
        ({"beta1": 1.0}, "--beta1 must be below 1, not 1.0"),
        ({"seed": -1}, "--seed must be at least 0, not -1"),
        ({"input_channels": 65}, "--input-channels must be from 1 to 64, not 65"),
        ({"batch_size": 3}, "--batch-size must be even for BicycleGAN, not 3"),
        ({"lambda_gp": 1.0}, "--lambda-gp 1.0 has no effect without --gan-loss wgangp"),
        ({"size": 32, "dropout": True}, "--dropout has no effect with 5 levels"),
        ({"gan_loss": "wgangp", "norm": "batch"}, "choose another --discriminator-norm"),
        ({"shared_discriminator": True, "lambda_gan2": 0.0}, "--shared-discriminator needs both"),
        ({"lambda_gan": 0.0, "lambda_l1": 0.0, "lambda_kl": 0.0}, "--lambda-z without --lambda-gan"),
        ({"lambda_z": 0.0, "latent_trains_encoder": True}, "--latent-trains-encoder has no effect with --lambda-z 0"),
        ({"lambda_gan": 0.0, "lambda_l1": 0.0}, "--lambda-kl without --lambda-gan or --lambda-l1"),
        (
            {"lambda_gan": 0.0, "lambda_l1": 0.0, "lambda_kl": 0.0, "lambda_z": 0.0, "lambda_gan2": 0.0},
            "all loss weights are 0",
        ),
        ({"steps": 5, "epochs": 2}, "--steps and --epochs"),
        ({"lr_decay_epochs": 5}, "have no effect with --lr-schedule constant"),
        ({"lr_schedule": "linear"}, "--lr-schedule linear needs --lr-decay-epochs"),
        ({"device": "gpu"}, "--device must be auto, cpu, cuda, cuda:N or mps, not 'gpu'"),
        ({"load_size": 200}, "--load-size 200 is smaller than --size 256"),
        ({"size": 8192}, "--size must be from 1 to 4096 px, not 8192x8192"),
        ({"size": "12y34"}, "--size must be a number of pixels or HEIGHTxWIDTH"),
        ({"size": 250}, "--size 250: .* multiples of 32 px; the nearest is --size 256"),
        ({"size": "250x500"}, "the nearest is --size 256x512"),
        ({"size": 256, "generator_depth": 9}, "with 9 levels .* multiples of 512 px; the nearest is --size 512"),
        ({"generator_depth": 10}, "--generator-depth must be from 2 to 9, not 10"),
        ({"encoder_depth": 0}, "--encoder-depth must be from 1 to 9, not 0"),
        ({"encoder_depth": 8}, "--encoder-depth 8 is too deep for --size 256"),
        ({"discriminator_layers": 10}, "--discriminator-layers must be from 1 to 9, not 10"),
        ({"size": 32, "discriminator_scales": 3}, "--size 32 is too small for 3 discriminators with 2 layers"),
        ({"method": "stargan"}, "unknown method 'stargan'"),
        ({"lamda_kl": 1.0, "sizes": 3}, "unknown options: lamda_kl, sizes"),
    ],
)
def test_what_does_not_work_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        # A misspelt choice would otherwise train another model than the one asked for.
        ({"norm": "instanse"}, "--norm must be one of instance, instance_affine, batch, none, not 'instanse'"),
        ({"gan_loss": "lsgn"}, "--gan-loss must be one of"),
        ({"update_order": "d_first"}, "--update-order must be one of"),
        ({"direction": "BtoC"}, "--direction must be one of AtoB, BtoA, not 'BtoC'"),
        (
            {"generator_filters": 8.5},
            "--generator-filters must be a whole number of at least 1 and below 4097, not 8.5",
        ),
        ({"latent_dim": "8"}, "--latent-dim must be a whole number of at least 1 and below 4097, not '8'"),
        ({"lambda_l1": None}, "--lambda-l1 must be a number of at least 0, not None"),
        ({"flip": 1}, "--flip must be true or false, not 1"),
        ({"size": 64.0}, "--size"),
        ({"batch_size": "2"}, "--batch-size must be a whole number of at least 1, not '2'"),
        ({"steps": 1.5}, "--steps"),
        ({"seed": 2**60}, "--seed must be at most 9007199254740992 in magnitude"),
    ],
)
def test_values_of_a_wrong_type_or_choice_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(**options)


def test_a_whole_number_is_a_float() -> None:
    assert run(lambda_l1=10, learning_rate=1).objective.lambda_l1 == 10


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        run(latent_dim=0, batch_size=3, learning_rate=-1.0, size=250)
    lines = str(caught.value).splitlines()
    assert lines[0] == "these options do not work:"
    assert [re.split(r"[ :]", line.strip())[1] for line in lines[1:]] == [
        "--learning-rate",
        "--latent-dim",
        "--batch-size",
        "--size",
    ]


@given(height=st.integers(1, 4096), width=st.integers(1, 4096), depth=st.none() | st.integers(2, 9))
def test_the_nearest_size_is_the_nearest_that_works(height: int, width: int, depth: int | None) -> None:
    method = BicycleGANConfig(generator_depth=depth, discriminator_scales=1, discriminator_layers=1)
    data = DataConfig(size=f"{height}x{width}")
    problems = list(method.problems(data, 2))
    multiple = 2 ** (depth or 5)
    if height % multiple == 0 and width % multiple == 0:
        assert not any("multiples" in problem for problem in problems)
        assert data.crop_size == (height, width)
        return
    (problem,) = (problem for problem in problems if "multiples" in problem)
    match = re.search(r"nearest is --size (\S+)$", problem)
    assert match is not None
    suggested = parse_size(match[1], "--size")
    for side, near in zip((height, width), suggested, strict=True):
        assert near > 0
        assert near % multiple == 0
        assert abs(side - near) == min(abs(side - k * multiple) for k in range(1, 4096 // multiple + 2))
    assert not any("multiples" in p for p in method.problems(DataConfig(size=match[1]), 2))


@pytest.mark.parametrize(
    ("size", "generator", "encoder", "layers"),
    [
        (64, 6, 3, 2),
        (128, 7, 4, 2),
        (256, 8, 5, 3),
        (512, 9, 6, 3),
        (1024, 9, 7, 3),
        ("256x512", 8, 5, 3),
        (96, 5, 3, 2),
    ],
)
def test_depths_follow_the_size(size: int | str, generator: int, encoder: int, layers: int) -> None:
    config = run(size=size)
    method, data = config.objective, config.data
    assert method.generator_spec(data).depth == method.resolved_generator_depth(data) == generator
    assert method.encoder_spec(data).depth == method.resolved_encoder_depth(data) == encoder
    assert method.discriminator_spec(data).layers == method.resolved_discriminator_layers(data) == layers
    given_depths = run(size=size, generator_depth=4, encoder_depth=2, discriminator_layers=1)
    assert given_depths.objective.generator_spec(data).depth == 4
    assert given_depths.objective.encoder_spec(data).depth == 2
    assert given_depths.objective.discriminator_spec(data).layers == 1


def test_specifications_carry_the_options() -> None:
    options = {
        "size": 64,
        "input_channels": 1,
        "output_channels": 4,
        "latent_dim": 5,
        "generator_filters": 6,
        "encoder_filters": 7,
        "discriminator_filters": 8,
        "norm": "batch",
        "injection": "input",
        "upsampling": "bilinear",
        "activation": "elu",
        "dropout": True,
        "encoder": "cnn",
        "discriminator_scales": 3,
    }
    config = run(**options)
    method, data = config.objective, config.data
    assert method.generator_spec(data) == UNetSpec(
        in_channels=1,
        out_channels=4,
        latent_dim=5,
        depth=6,
        filters=6,
        norm="batch",
        injection="input",
        upsampling="bilinear",
        activation="elu",
        dropout=True,
    )
    assert method.encoder_spec(data) == EncoderSpec(
        body="cnn", in_channels=4, latent_dim=5, depth=3, filters=7, norm="batch"
    )
    expected = PatchDiscriminatorSpec(in_channels=4, filters=8, layers=2, scales=3, norm="batch")
    assert method.discriminator_spec(data) == expected
    other = run(**options, discriminator_norm="none")
    assert other.objective.discriminator_spec(data) == dataclasses.replace(expected, norm="none")
    assert other.objective.generator_spec(data).norm == other.objective.encoder_spec(data).norm == "batch"
    conditional = run(**options, conditional=True)
    assert conditional.objective.discriminator_spec(data).in_channels == 5


@pytest.mark.parametrize(
    "options",
    [{"depth": 0}, {"depth": 13}, {"filters": 4097}, {"filters": 0}, {"latent_dim": -1}, {"in_channels": 10**9}],
)
def test_specifications_are_bounded(options: dict[str, int]) -> None:
    values = {"in_channels": 3, "out_channels": 3, "latent_dim": 8, "depth": 8, "filters": 64}
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be from"):
        UNetSpec(**(values | options))
