"""CUT and FastCUT for `check_reference.py`: the official options, and the objective driven by a case's own draws.

What Tandem computes as the published code does runs as it is in training. `PublishedCUT` replaces two things: the
patch locations and flips, which a case gives, and the few computations in which Tandem does something else on purpose,
where an option of the case asks for them. These are named at `PublishedCUT`.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from official_options import translated
from tandem.checkpoint.official import official_key_map
from tandem.config.cut import CUTConfig
from tandem.config.data import DataConfig
from tandem.config.specifications import PatchProjectorSpec, PixelDiscriminatorSpec
from tandem.errors import ConfigError, DataError, nearest
from tandem.networks.build import build_network
from tandem.networks.resnet import ResNet
from tandem.objectives.cut import CUT, Fakes
from tandem.objectives.losses import discriminator_gan_terms
from tandem.objectives.objective import StepTensors, Terms

DEFAULTS: Mapping[str, Any] = {
    "CUT_mode": "CUT",
    "direction": "AtoB",
    "input_nc": 3,
    "output_nc": 3,
    "netG": "resnet_9blocks",
    "netD": "basic",
    "netF": "mlp_sample",
    "netF_nc": 256,
    "ngf": 64,
    "ndf": 64,
    "n_layers_D": 3,
    "normG": "instance",
    "normD": "instance",
    "no_dropout": True,
    "no_antialias": False,
    "no_antialias_up": False,
    "gan_mode": "lsgan",
    "lambda_GAN": 1.0,
    "nce_layers": "0,4,8,12,16",
    "nce_T": 0.07,
    "num_patches": 256,
    "nce_includes_all_negatives_from_minibatch": False,
    "lr": 0.0002,
    "beta1": 0.5,
    "beta2": 0.999,
}
"""Every official option that a case may carry, with its default; those of `MODES` and `WITHOUT_EFFECT` besides."""
MODES: Mapping[str, Mapping[str, Any]] = {
    "cut": {"lambda_NCE": 1.0, "nce_idt": True, "flip_equivariance": False},
    "fastcut": {"lambda_NCE": 10.0, "nce_idt": False, "flip_equivariance": True},
}
"""What the official ``CUT_mode`` sets."""
WITHOUT_EFFECT = ("init_type", "init_gain", "pool_size")
"""Options that change nothing: a case brings its weights, and CUT uses no pool."""
POSITIVE = ("input_nc", "netF_nc", "ngf", "ndf", "n_layers_D", "lambda_NCE", "nce_T", "num_patches")

CHOICES: Mapping[str, tuple[str, ...]] = {
    "direction": ("AtoB", "BtoA"),
    "netF": ("mlp_sample",),
    "netD": ("basic", "n_layers", "pixel"),
    "normG": ("instance", "batch", "none"),
    "normD": ("instance", "batch", "none"),
    "gan_mode": ("lsgan", "vanilla", "nonsaturating", "hinge", "wgangp"),
}
TRANSLATED = (
    *("direction", "input_nc", "output_nc", "netG", "netD", "n_layers_D", "netF_nc", "ngf", "ndf", "normG"),
    *("no_antialias", "lambda_GAN", "lambda_NCE", "nce_idt", "nce_T", "num_patches", "flip_equivariance"),
)
"""The options that the table of official names translates; `PublishedCUT` reads the others."""

TANDEM_LAYERS = (0, 4, 8, 12, 16)
"""The layers whose features Tandem compares, in the numbering of the antialiased generator."""
NEGLIGIBLE_TEMPERATURE = 0.2
"""Up to here e^(−9/τ), which bounds what `PublishedCUT._patch_nce` adds, is below 1e-19."""


def build_cut(given: Mapping[str, Any], size: int, batch_size: int) -> tuple["PublishedCUT", DataConfig]:
    """Translate the official options; missing ones take the official defaults.

    Raises:
        ConfigError: An option that the published code does not have, or a value that its step cannot run with.
    """
    del batch_size
    options = _checked(given)
    if re.fullmatch(r"resnet_(\d+)blocks", options["netG"]) is None:
        raise ConfigError(f"netG is '{options['netG']}', but CUT's step needs a residual generator: resnet_9blocks.")
    named = {name: options[name] for name in TRANSLATED}
    # The published step trains a discriminator even if its weight is 0; `generator_terms` leaves the term out.
    named["lambda_GAN"] = options["lambda_GAN"] or 1.0
    if options["netD"] == "pixel":
        named["netD"] = "basic"  # `PublishedCUT` has the discriminator of single pixels
    if options["gan_mode"] != "wgangp":  # whose step has no counterpart in CUT here
        named["gan_mode"] = options["gan_mode"]
    config, data = translated("cut", named, size=size)
    if options["gan_mode"] == "wgangp":
        config = dataclasses.replace(config, gan_loss="wgangp")
    return PublishedCUT(config, data, options), data


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """All options with their defaults, of the right types and in range."""
    mode = str(given.get("CUT_mode", DEFAULTS["CUT_mode"])).lower()
    if mode not in MODES:
        raise ConfigError(f"CUT_mode is '{given['CUT_mode']}', but it must be CUT or FastCUT.")
    defaults = {**DEFAULTS, **MODES[mode]}
    for name, value in given.items():
        if name in WITHOUT_EFFECT:
            continue
        if name not in defaults:
            raise ConfigError(f"the option '{name}' is unknown for CUT.{nearest(name, defaults)}")
        wanted = type(defaults[name])
        # A bool is an int for Python; a number without a point may stand for one with a point.
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ConfigError(f"{name} is {value!r}, but it must be of type {wanted.__name__}.")
    options = defaults | dict(given)
    for name, choices in CHOICES.items():
        if options[name] not in choices:
            raise ConfigError(f"{name} must be one of {', '.join(choices)}, not '{options[name]}'.")
    for name in POSITIVE:
        if not options[name] > 0:
            raise ConfigError(f"{name} is {options[name]}, but the published step needs a positive number.")
    if options["lambda_GAN"] < 0:
        raise ConfigError(f"lambda_GAN is {options['lambda_GAN']}, but it must be at least 0.")
    if options["input_nc"] != options["output_nc"]:
        raise ConfigError("input_nc and output_nc differ, but one network sees images of both domains.")
    if not options["no_dropout"]:
        raise ConfigError("no_dropout is false, but a case cannot say what dropout drew.")
    return options


def _layer_numbers(text: str, count: int) -> tuple[int, ...]:
    """The numbers in an official ``nce_layers``: ascending, below `count`."""
    numbers = tuple(int(part) for part in text.split(",") if re.fullmatch(r"\s*\d+\s*", part))
    if len(numbers) != text.count(",") + 1 or list(numbers) != sorted(set(numbers)) or numbers[-1] >= count:
        raise ConfigError(f"nce_layers is '{text}', but it must be ascending numbers of layers from 0 to {count - 1}.")
    return numbers


class PublishedCUT(CUT):
    """CUT on given patch locations and flips, and where the options ask for it with what only the published code has.

    - The layers of ``nce_layers`` are numbers of modules, so that without antialiasing, or without a norm, the default
      ones are not those that Tandem compares. Activations work in place: a tapped norm or identity is seen after the
      ReLU behind it, unless it is the last layer.
    - With batch norm the generator sees A and B in one forward; Tandem keeps them apart.
    - PatchNCE masks each location's own similarity with −10 instead of leaving it out: a summand e^(−10/τ) that a
      temperature above 0.2 makes visible. ``nce_includes_all_negatives_from_minibatch`` compares over the batch.
    - normG and normD, and no_antialias and no_antialias_up, may differ; discriminators may be pixel-wise.
    - The hinge loss of the generator is max(0, 1 − D); wgangp has no penalty.
    - With lambda_GAN 0 the discriminator is trained nevertheless.
    """

    def __init__(self, config: CUTConfig, data: DataConfig, options: Mapping[str, Any]) -> None:
        super().__init__(config, data)
        self._options = options
        self._share = True
        self._replace_up(data)
        self._replace_discriminator(data)
        layers = self._numbered_layers()
        self.layers = _layer_numbers(options["nce_layers"], len(layers))
        self._as_in_tandem = (
            self.layers == TANDEM_LAYERS
            and config.antialias
            and config.norm != "none"
            and len(self._generator.blocks) > 4
        )
        if not self._as_in_tandem:
            self.networks["projector"] = build_network(self._projector_spec())

    @property
    def _generator(self) -> ResNet:
        generator = self.networks["generator"]
        assert isinstance(generator, ResNet)
        return generator

    def _replace_up(self, data: DataConfig) -> None:
        antialias = not self._options["no_antialias_up"]
        if antialias != self.config.antialias:
            spec = dataclasses.replace(self.config.generator_spec(data), antialias=antialias)
            other = build_network(spec)
            assert isinstance(other, ResNet)
            self._generator.up = other.up

    def _replace_discriminator(self, data: DataConfig) -> None:
        norm = self._options["normD"]
        spec = dataclasses.replace(self.config, norm=norm).discriminator_spec(data)
        if self._options["netD"] == "pixel":
            self.networks["disc"] = build_network(
                PixelDiscriminatorSpec(in_channels=spec.in_channels, filters=spec.filters, norm=norm, bias=spec.bias)
            )
        elif norm != self.config.norm:
            self.networks["disc"] = build_network(spec)

    def _numbered_layers(self) -> list[nn.Module]:
        """The generator's layers in the published order; without a norm the published code has an identity there."""
        generator = self._generator
        without_norm = generator.spec.norm == "none"
        layers: list[nn.Module] = []
        for group in (generator.stem, *generator.down, *generator.blocks, *generator.up):
            for layer in group if isinstance(group, nn.Sequential) else [group]:
                layers += [nn.Identity()] if without_norm and isinstance(layer, nn.ReLU) else []
                layers.append(layer)
        return [*layers, *generator.head]

    def _projector_spec(self) -> PatchProjectorSpec:
        generator = self._generator.eval()
        with torch.no_grad():
            features = self._features(torch.zeros(1, generator.spec.in_channels, 16, 16))
        generator.train()
        return PatchProjectorSpec(
            channels=tuple(feature.shape[1] for feature in features), filters=self.config.nce_filters
        )

    def _features(self, image: Tensor) -> list[Tensor]:
        if self._as_in_tandem:
            return super()._features(image)
        features = []
        # No clones: what works in place changes a feature that has been noted, as in the published loop.
        for number, layer in enumerate(self._numbered_layers()[: self.layers[-1] + 1]):
            image = layer(image)
            if number in self.layers:
                features.append(image)
        return features

    def _locations(
        self, batch: StepTensors, features: Sequence[Tensor], use: str, *, all_of_them: bool = False
    ) -> list[Tensor]:
        assert not all_of_them, "asked for masks alone, and the cases have none"
        locations = []
        for index, feature in enumerate(features):
            n, _, height, width = feature.shape
            name = f"{_IDS[use]}.{index}"
            ids, count = batch[name], min(self.config.nce_patches, height * width)
            if len(ids) != count or int(ids.min()) < 0 or int(ids.max()) >= height * width:
                raise DataError(
                    f"the input '{name}' must be {count} locations of a map of {height} × {width}, from 0 to "
                    f"{height * width - 1}, but it has {len(ids)} from {int(ids.min())} to {int(ids.max())}"
                )
            locations.append(ids.expand(n, -1))
        return locations

    def _patch_nce(self, query: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
        if self._options["nce_includes_all_negatives_from_minibatch"]:
            query, target = query.flatten(0, 1)[None], target.flatten(0, 1)[None]
        temperature = self.config.nce_temperature
        if temperature <= NEGLIGIBLE_TEMPERATURE:
            return super()._patch_nce(query, target, valid)
        similarity = query @ target.mT
        own = torch.eye(similarity.shape[1], dtype=torch.bool)
        logits = torch.cat([similarity[:, own][..., None], similarity.masked_fill(own, -10.0)], 2) / temperature
        logits = logits.flatten(0, 1)
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))

    def generator_terms(self, batch: StepTensors, fakes: Fakes) -> Terms:
        """The terms of Tandem, the adversarial one as in the published code."""
        terms = super().generator_terms(batch, fakes)
        if self._options["lambda_GAN"] == 0:
            del terms["gan"]
        elif self.config.gan_loss == "hinge":
            logits = self.networks["disc"](fakes.b)
            terms["gan"] = self.config.lambda_gan * discriminator_gan_terms("hinge", logits, logits)[0]
        return terms


_IDS = {"nce": "ids_A", "idt": "ids_B"}
"""Of each use of PatchNCE the official name of its patch locations."""


def cut_draws(objective: PublishedCUT, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The patch locations and the flip of one step, from the inputs of a case.

    Raises:
        DataError: One is missing, is not what it should be, or has no counterpart.
    """
    uses = _IDS if objective.config.nce_identity else {"nce": _IDS["nce"]}
    names = [f"{name}.{index}" for name in uses.values() for index in range(len(objective.layers))]
    for name in names:
        if name not in inputs:
            raise DataError(
                f"the input '{name}', patch locations of one of the {len(objective.layers)} layers, is missing"
            )
        if inputs[name].dtype != torch.int64 or inputs[name].ndim != 1 or not len(inputs[name]):
            raise DataError(f"the input '{name}' must be a list of int64, not {_described(inputs[name])}")
    if unknown := sorted(inputs.keys() - {"A", "B", "flipped", *names}):
        raise DataError(f"the options leave no use for the inputs {', '.join(unknown)}")
    drawn = {name: inputs[name] for name in names}
    if objective.config.flip_equivariance and "flipped" not in inputs:
        raise DataError("the input 'flipped' is missing, but flip_equivariance is on")
    flipped = inputs.get("flipped", torch.zeros(1))
    if flipped.numel() != 1 or flipped.item() not in (0, 1):
        raise DataError(f"the input 'flipped' must be one number, 0 or 1, not {_described(flipped)}")
    if objective.config.flip_equivariance:
        drawn["flip"] = flipped.double().reshape(1, 1, 1, 1).expand(len(inputs["A"]), 1, 1, 1)
    elif flipped.item():
        raise DataError("the input 'flipped' is 1, but flip_equivariance is off")
    return drawn


def _described(tensor: Tensor) -> str:
    values = tensor.flatten()[:3].tolist()
    return f"{tensor.dtype} of shape {tuple(tensor.shape)} with the values {values}"


def cut_tensors(objective: PublishedCUT, batch: StepTensors) -> dict[str, Tensor | None]:
    """The outputs of a forward by their official names."""
    fakes = objective.fakes(batch)
    return {"fake_B": fakes.b, "idt_B": fakes.idt_b}


def cut_keys(network: nn.Module) -> dict[str, str]:
    """Official keys by ours, also of a generator that is antialiased on one side only."""
    keys = official_key_map(network.spec, list(network.state_dict()))  # type: ignore[arg-type]
    if not isinstance(network, ResNet):
        return keys
    spec, up = network.spec, hasattr(network.up[0], "resize")
    if up == spec.antialias:
        return keys
    # A blur after each of the two down convolutions moves all that follows by two.
    shift = 2 if spec.antialias else -2
    other = official_key_map(dataclasses.replace(spec, antialias=up), list(keys))
    for ours in keys:
        if ours.startswith(("up.", "head.")):
            model, number, name = other[ours].split(".")
            keys[ours] = f"{model}.{int(number) + shift}.{name}"
    return keys
