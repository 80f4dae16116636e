"""The configuration of a run: data, method, training, validation."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.cut import CUTConfig
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.data import DataConfig
from tandem.config.method import MethodConfig
from tandem.config.options import out_of_bounds, refuse, wrong_types
from tandem.config.pix2pix import Pix2PixConfig
from tandem.config.tandem import TandemConfig
from tandem.config.training import TrainingConfig
from tandem.config.validation import ValidationConfig
from tandem.config.variants import VARIANTS
from tandem.errors import ConfigError, Problem, nearest

METHODS: Mapping[str, type[MethodConfig]] = MappingProxyType(
    {cls.method: cls for cls in (TandemConfig, BicycleGANConfig, Pix2PixConfig, CycleGANConfig, CUTConfig)}
)
"""The configuration class of every method, by its name."""

METHOD_DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {method: {"batch_size": 1} for method in ("pix2pix", "cyclegan", "cut")}
    | {
        "tandem": {
            "batch_size": 8,
            "learning_rate": 5e-4,
            "beta2": 0.99,
            "lr_schedule": "half_linear",
            "lr_warmup_steps": 100,
            "ema_halflife_images": 3000,
        }
    }
)
"""Settings of a method, as published or as tried here, among the options that are not its own."""

DEFAULT_METHOD = TandemConfig.method
"""What is trained where neither a method nor a preset is named."""

DEFAULT_EPOCHS = 200


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run computes, but the data itself.

    Raises:
        ConfigError: Options are out of range or contradict each other; all of them are named.
    """

    data: DataConfig = field(default_factory=DataConfig)
    objective: MethodConfig = field(default_factory=BicycleGANConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        # First, because what follows computes with the values.
        refuse([problem for group in self.groups for problem in wrong_types(group)])
        problems: list[Problem | str] = []
        for group in (self.data, self.training, self.validation):
            problems += [*out_of_bounds(group), *group.problems()]
        own = self.objective.problems(self.data, self.training.batch_size)
        refuse([*problems, *out_of_bounds(self.objective), *own])

    @property
    def groups(self) -> tuple[DataConfig, MethodConfig, TrainingConfig, ValidationConfig]:
        """All groups of options, whose names are unique over all of them."""
        return self.data, self.objective, self.training, self.validation

    def total_steps(self, num_pairs: int) -> int:
        """Optimiser steps of the whole run on `num_pairs` training pairs.

        Raises:
            ConfigError: The learning rate would be zero before the end.
        """
        training = self.training
        epochs = training.epochs or DEFAULT_EPOCHS
        in_epochs = training.lr_schedule in {"linear", "cosine"}
        if training.epochs is None and in_epochs:
            epochs = training.lr_constant_epochs + training.lr_decay_epochs
        steps = training.steps or -(-epochs * num_pairs // training.batch_size)
        last_epoch = (steps - 1) * training.batch_size // num_pairs
        decay_end = training.lr_constant_epochs + training.lr_decay_epochs
        if in_epochs and last_epoch >= decay_end:
            raise ConfigError(
                f"the run lasts {last_epoch + 1} epochs ({steps} steps on {num_pairs} pairs), but with --lr-schedule "
                f"{training.lr_schedule} the learning rate is 0 after {decay_end} epochs (--lr-constant-epochs "
                f"{training.lr_constant_epochs} + --lr-decay-epochs {training.lr_decay_epochs}): shorten the run or "
                "lengthen the schedule."
            )
        return steps


def to_flat(config: RunConfig) -> dict[str, Any]:
    """All options by name, the method first: what a YAML file holds, so that several values are a list."""
    flat: dict[str, Any] = {"method": config.objective.method}
    for group in config.groups:
        flat |= dataclasses.asdict(group)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in flat.items()}


def resolve_method(name: str) -> tuple[str, dict[str, Any]]:
    """The method that `name` stands for, and the options that it sets where nothing else does.

    Args:
        name: A method, or a variant of one.

    Raises:
        ConfigError: There is no such method.
    """
    given: object = name  # out of a file it may be anything
    if not isinstance(given, str):
        name = str(given)
    if name in METHODS:
        return name, dict(METHOD_DEFAULTS.get(name, {}))
    if name in VARIANTS:
        variant = VARIANTS[name]
        return variant.method, dict(METHOD_DEFAULTS.get(variant.method, {})) | dict(variant.options)
    known = [*METHODS, *VARIANTS]
    raise ConfigError(f"unknown method '{name}': the methods are {', '.join(known)}.{nearest(str(name), known)}")


def from_flat(flat: Mapping[str, Any], *, own: type[MethodConfig] | None = None) -> RunConfig:
    """The inverse of `to_flat`; names must exist, missing ones take the method's defaults.

    Args:
        flat: Option names and values.
        own: The configuration of a method that is not one of `METHODS`.

    Raises:
        ConfigError: An unknown method or name.
    """
    rest = dict(flat)
    name = rest.pop("method", DEFAULT_METHOD)
    if own is not None and name == own.method:
        cls = own
    else:
        method, defaults = resolve_method(name)
        cls, rest = METHODS[method], defaults | rest
    groups = {
        "data": DataConfig,
        "objective": cls,
        "training": TrainingConfig,
        "validation": ValidationConfig,
    }
    built = {}
    for group, kind in groups.items():
        names = [f.name for f in dataclasses.fields(kind)]
        given = {name: rest.pop(name) for name in names if name in rest}
        # JSON and YAML have lists alone.
        built[group] = kind(**{name: tuple(one) if isinstance(one, list) else one for name, one in given.items()})
    if rest:
        raise ConfigError(f"unknown options: {', '.join(sorted(map(str, rest)))}.")
    return RunConfig(**built)


def differences(before: RunConfig, after: RunConfig, *, ignore: frozenset[str] = frozenset()) -> list[str]:
    """Say of each option that differs what it was and what it is, leaving out the names in `ignore`.

    Of two methods the options that only one of them has say nothing beside the methods' names, and are left out.
    """
    old, new = to_flat(before), to_flat(after)
    common = sorted(old.keys() & new.keys(), key=lambda name: (name != "method", name))
    return [
        f"{name}: was {old[name]}, is {new[name]}" for name in common if old[name] != new[name] and name not in ignore
    ]
