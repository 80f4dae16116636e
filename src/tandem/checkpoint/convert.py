"""From the weights of official implementations to a model bundle."""

import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tandem.checkpoint.bundle import save_bundle
from tandem.checkpoint.manifest import Manifest, Preprocessing
from tandem.checkpoint.official import official_key_map
from tandem.checkpoint.official_files import OfficialFile, read_official
from tandem.checkpoint.official_infer import MAX_CHANNELS, OfficialSpec, Unseen, describe, infer
from tandem.config.data import MAX_CHANNELS as MOST_CHANNELS
from tandem.config.data import Direction
from tandem.config.specifications import Activation, EncoderSpec, ResNetSpec, UNetSpec
from tandem.data.check_report import SizeRange
from tandem.errors import WeightsError
from tandem.networks.build import build_network
from tandem.version import __version__

ConvertedMethod = Literal["bicyclegan", "pix2pix", "cyclegan", "cut"]
DEFAULT_SIZE = 256
_SIDE = re.compile(r"G_?([AB])(?=\W|_|$)")
"""Which of CycleGAN's generators a file is, by its name."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What official weights do not say.

    Attributes:
        method: The method that trained them; None: by the networks.
        direction: Which domain was the input (``direction``, formerly ``which_direction``).
        size: Side of the training images; None: by the levels of the U-Net, else 256.
        latent_dim: See `Unseen`.
        activation: See `Unseen`.
        norm: See `Unseen`.
        dropout: Whether pix2pix's U-Net has dropout; a residual generator's keys show it.
        test_noise: Whether a pix2pix model samples as in training, as its official code does.
    """

    method: ConvertedMethod | None = None
    direction: Direction = "AtoB"
    size: int | None = None
    latent_dim: int | None = None
    activation: Activation = "relu"
    norm: Literal["instance", "none"] = "instance"
    dropout: bool = True
    test_noise: bool = True


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A network of the model to be.

    Attributes:
        spec: What it is.
        file: Where its weights come from.
    """

    spec: OfficialSpec
    file: OfficialFile

    @property
    def generator(self) -> UNetSpec | ResNetSpec:
        """What it is, where it is known to be a generator."""
        assert not isinstance(self.spec, EncoderSpec)
        return self.spec


def convert(paths: Sequence[Path], out: Path, told: Told | None = None) -> Manifest:
    """Write a bundle with the networks of `paths`.

    Args:
        paths: The files of a generator, of a generator and its encoder, or of CycleGAN's two generators.
        out: The bundle's folder.
        told: What the files do not say.

    Returns:
        What the bundle says of itself, but for the name of its weights.

    Raises:
        WeightsError: A file cannot be read, would run code, or holds another network; or they make no model together.
    """
    told = told or Told()
    networks = _named(_inferred([read_official(path) for path in paths], told), told)
    manifest = _manifest(networks, told)
    modules = {}
    for name, one in networks.items():
        modules[name] = build_network(one.spec)
        state = modules[name].state_dict()
        keys = official_key_map(one.spec, list(state))
        modules[name].load_state_dict({ours: one.file.tensors.get(keys[ours], value) for ours, value in state.items()})
    save_bundle(out, manifest, modules)
    for name, one in networks.items():
        log.info("%s (%s): %s", one.file.name, name, describe(one.spec))
    return manifest


def _inferred(files: Sequence[OfficialFile], told: Told) -> list[Converted]:
    """What each file holds; the encoder first, because it says what its generator's keys may not."""
    encoders = [file for file in files if "fc.0.weight" in file.tensors]
    most = MAX_CHANNELS if told.latent_dim is None else MOST_CHANNELS
    unseen = Unseen(norm=told.norm, activation=told.activation, latent_dim=told.latent_dim, most_channels=most)
    found = [Converted(spec=infer(file.shapes, unseen, name=file.name), file=file) for file in encoders]
    for encoder in (one.spec for one in found):
        if told.latent_dim not in {None, encoder.latent_dim}:
            raise WeightsError(f"--latent-dim is {told.latent_dim}, but the encoder's latent is {encoder.latent_dim}.")
        norm: Literal["instance", "none"] = "none" if encoder.norm == "none" else "instance"  # type: ignore[union-attr]
        unseen = Unseen(
            norm=norm,
            activation=told.activation,
            latent_dim=encoder.latent_dim,
            most_channels=most,
        )
    others = [file for file in files if file not in encoders]
    return found + [Converted(spec=infer(file.shapes, unseen, name=file.name), file=file) for file in others]


def _named(found: Sequence[Converted], told: Told) -> dict[str, Converted]:
    """The networks by the names that they have in a bundle."""
    encoders = [one for one in found if isinstance(one.spec, EncoderSpec)]
    generators = [one for one in found if not isinstance(one.spec, EncoderSpec)]
    names = ", ".join(one.file.name for one in found)
    if len(encoders) > 1:
        raise WeightsError(f"{names}: two of them are encoders, and a model has one.")
    if not generators:
        raise WeightsError(f"{names}: there is no generator. Give its file too (latest_net_G.pth).")
    if len(generators) > 2:
        raise WeightsError(f"{names}: a model has one generator, or CycleGAN's two.")
    if len(generators) == 2:
        return _both_ways(generators, encoders, told)
    generator = generators[0]
    if told.method == "cyclegan":
        raise WeightsError(
            f"{names}: a CycleGAN model has two generators (latest_net_G_A.pth, latest_net_G_B.pth). Give both, or "
            "leave --method out: one of them translates one way."
        )
    if encoders:
        _require_together(generator, encoders[0])
        return {"generator": generator, "encoder": encoders[0]}
    return {"generator": generator}


def _both_ways(generators: Sequence[Converted], encoders: Sequence[Converted], told: Told) -> dict[str, Converted]:
    """CycleGAN's generators: by the names of their files, else in the order given."""
    first, second = generators
    if encoders or told.method not in {None, "cyclegan"} or any(one.generator.latent_dim for one in generators):
        raise WeightsError(
            f"{first.file.name}, {second.file.name}: two generators make a CycleGAN model, and these have a latent, an "
            "encoder or another --method beside them: give the files of one model."
        )
    sides = [found[1] if (found := _SIDE.search(one.file.name)) else None for one in generators]
    if sides == ["B", "A"]:
        first, second = second, first
    elif sides != ["A", "B"]:
        log.warning("%s is taken as the way from A to B, because it was given first", first.file.name)
    there, back = ((one.generator.in_channels, one.generator.out_channels) for one in (first, second))
    if there != back[::-1]:
        raise WeightsError(
            f"{first.file.name} maps {there[0]} to {there[1]} channels and {second.file.name} {back[0]} to {back[1]}: "
            "one is not the way back of the other."
        )
    return {"gen_ab": first, "gen_ba": second}


def _require_together(generator: Converted, encoder: Converted) -> None:
    assert isinstance(encoder.spec, EncoderSpec)
    here = (generator.generator.out_channels, generator.generator.latent_dim)
    there = (encoder.spec.in_channels, encoder.spec.latent_dim)
    if here != there:
        raise WeightsError(
            f"{encoder.file.name} encodes {there[0]} channels into a latent of {there[1]}, but {generator.file.name} "
            f"gives {here[0]} channels and takes a latent of {here[1]}: they are not of one model."
        )


def _manifest(networks: Mapping[str, Converted], told: Told) -> Manifest:
    method = told.method or _method_of(networks)
    first = next(one.generator for name, one in networks.items() if name != "encoder")
    if (told.method == "bicyclegan") != bool(first.latent_dim) and told.method is not None:
        with_or_without = "has a latent" if first.latent_dim else "has no latent"
        raise WeightsError(f"--method {told.method} does not go with this generator, which {with_or_without}.")
    side = told.size or (first.size_multiple if isinstance(first, UNetSpec) else DEFAULT_SIZE)
    if side % first.size_multiple:
        raise WeightsError(f"--size must be a multiple of {first.size_multiple} for this generator, not {side}.")
    specs: dict[str, Any] = {name: one.spec for name, one in networks.items()}
    if method == "pix2pix" and isinstance(first, UNetSpec):
        specs = {"generator": dataclasses.replace(first, dropout=told.dropout)}
    sizes = SizeRange(side, side, side, side, 1.0, 1.0)
    return Manifest(
        tandem_version=__version__,
        method=method,
        networks=specs,
        preprocessing=Preprocessing(
            size=(side, side),
            preprocess="resize_and_crop",
            load_size=(side, side),
            input_sizes=sizes,
            output_sizes=sizes,
            direction="AtoB" if method == "cyclegan" else told.direction,
            input_channels=first.in_channels,
            output_channels=first.out_channels,
        ),
        samples_with_noise=method == "pix2pix" and told.test_noise,
        training={
            "converted_from": {
                name: {"file": one.file.name, "sha256": one.file.sha256, "precision": list(one.file.precisions)}
                for name, one in networks.items()
            }
        },
    )


def _method_of(networks: Mapping[str, Converted]) -> ConvertedMethod:
    if "gen_ab" in networks:
        return "cyclegan"
    spec = networks["generator"].generator
    if spec.latent_dim:
        return "bicyclegan"
    # A residual generator alone translates one way without a latent, as CUT's do; dropout is pix2pix's default alone.
    return "cut" if isinstance(spec, ResNetSpec) and not spec.dropout else "pix2pix"
