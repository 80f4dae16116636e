"""What a model can do, read from its manifest: directions, latents, noise; and whether its parts belong together."""

from collections.abc import Mapping
from dataclasses import dataclass

from tandem.checkpoint.manifest import Manifest
from tandem.config.data import Direction
from tandem.config.specifications import (
    EncoderSpec,
    GeneratorSpec,
    ImageEncoderSpec,
    PairEncoderSpec,
    ResidualUNetSpec,
    ResNetSpec,
    UNetSpec,
)
from tandem.errors import BundleError, ConfigError


@dataclass(frozen=True)
class Generator:
    """One generator of a model.

    Attributes:
        name: The network's name.
        spec: Its specification.
    """

    name: str
    spec: GeneratorSpec


@dataclass(frozen=True)
class Abilities:
    """What a model can do.

    Attributes:
        generators: By the direction of the translation; A and B are the domains of the dataset.
        latent_dim: Length of the latent; 0 without one.
        has_encoder: Whether images of the output domain can be encoded.
        encoder_sees_input: Whether it can see the input beside the output.
        has_dropout_noise: Whether dropout makes the samples of one input differ.
    """

    generators: Mapping[Direction, Generator]
    latent_dim: int
    has_encoder: bool
    encoder_sees_input: bool
    has_dropout_noise: bool

    @property
    def is_stochastic(self) -> bool:
        """Whether one input has several outputs."""
        return self.latent_dim > 0 or self.has_dropout_noise

    def generator(self, direction: Direction | None) -> Generator:
        """The generator for a direction, by default for the first one.

        Raises:
            ConfigError: The model does not translate in this direction.
        """
        if direction is None:
            return next(iter(self.generators.values()))
        if direction not in self.generators:
            raise ConfigError(
                f"direction must be {' or '.join(self.generators)} for this model, not {direction!r}: it was trained "
                "to translate that way alone."
            )
        return self.generators[direction]

    def way_back(self, direction: Direction | None) -> Generator:
        """The generator of the other direction.

        Raises:
            ConfigError: The model translates one way only.
        """
        if len(self.generators) != 2:
            raise ConfigError("this model translates one way only, so there is no cycle: CycleGAN models have one.")
        there = self.generator(direction)
        return next(generator for generator in self.generators.values() if generator.name != there.name)


def abilities_of(manifest: Manifest) -> Abilities:
    """Read what a model can do.

    Raises:
        BundleError: It has no generator that this version runs, or networks that do not belong together.
    """
    preprocessing = manifest.preprocessing
    names: dict[Direction, str] = {"AtoB": "gen_ab", "BtoA": "gen_ba"}
    if "generator" in manifest.networks:
        names = {preprocessing.direction: "generator"}
    generators: dict[Direction, Generator] = {}
    for direction, name in names.items():
        spec = manifest.networks.get(name)
        if not isinstance(spec, UNetSpec | ResNetSpec | ResidualUNetSpec):
            raise BundleError("this model has no generator that this version of Tandem can run.")
        generators[direction] = Generator(name, spec)
    taken, given = preprocessing.input_channels, preprocessing.output_channels
    for direction, generator in generators.items():
        turned = len(generators) == 2 and direction == "BtoA"
        _check_channels((given, taken) if turned else (taken, given), generator.spec)
    specs = [generator.spec for generator in generators.values()]
    encoder = manifest.networks.get("encoder")
    if isinstance(encoder, EncoderSpec | PairEncoderSpec):
        _check_encoder(encoder, specs[0])
    if len(specs) == 2 and any(spec.latent_dim for spec in specs):
        raise BundleError("this model has two generators with latents, which no method trains.")
    return Abilities(
        generators=generators,
        latent_dim=specs[0].latent_dim,
        has_encoder=isinstance(encoder, EncoderSpec | PairEncoderSpec),
        encoder_sees_input=isinstance(encoder, PairEncoderSpec) and encoder.input_channels > 0,
        has_dropout_noise=manifest.samples_with_noise and any(spec.dropout for spec in specs),
    )


def _check_channels(images: tuple[int, int], spec: GeneratorSpec) -> None:
    if images != (spec.in_channels, spec.out_channels):
        raise BundleError(
            f"this model's images have {images[0]} and {images[1]} channels, but its generator takes and gives "
            f"{spec.in_channels} and {spec.out_channels}."
        )


def _check_encoder(encoder: ImageEncoderSpec, generator: GeneratorSpec) -> None:
    expected = (generator.out_channels, generator.latent_dim)
    if (encoder.in_channels, encoder.latent_dim) != expected:
        raise BundleError(
            f"this model's encoder takes {encoder.in_channels} channels and gives latents of {encoder.latent_dim}, but "
            f"its generator gives {expected[0]} channels and takes latents of {expected[1]}."
        )
    if isinstance(encoder, PairEncoderSpec) and encoder.input_channels not in {0, generator.in_channels}:
        raise BundleError(
            f"this model's encoder sees inputs of {encoder.input_channels} channels, but its generator takes "
            f"{generator.in_channels}."
        )
