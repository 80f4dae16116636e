"""Few tiny runs that together try every allowed value of every option: what `test_every_value.py` runs."""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from support import flags

from tandem.config.data import DataConfig
from tandem.config.options import Option, options_of
from tandem.config.run import METHODS, from_flat
from tandem.config.training import TrainingConfig
from tandem.config.validation import ValidationConfig
from tandem.config.values import choices, is_many
from tandem.errors import ConfigError
from tandem.inference.runtime import Runtime
from tandem.inference.sampling import SamplingOptions

Value = tuple[str, Any]

CHANNELS = {"input_channels": (1, 2, 3, 4), "output_channels": (4, 3, 2, 1)}
ELSEWHERE = {
    "acceleration": {"compile"},  # minutes of compiling
    "shuffle": {"shards"},  # shards
    "mask": {"files"},  # masks
    "decoded_place": {"device"},  # a GPU
    "validate_trust_torchscript": {True},  # a TorchScript file
    "engine": {"onnx"},  # an extra, with tests of its own
    "compile": {True},
    "image_format": {"exr", "dcm"},  # models of floating point; inputs of DICOM
    "log": {"tensorboard", "wandb", "csv"},  # several at once, two of them extras
}
"""Values that need what a bare machine lacks or long minutes, each with tests of its own."""
NUMBERS: dict[str, tuple[Any, ...]] = {
    "latent_dim": (1,),
    "generator_filters": (1,),
    "encoder_filters": (1,),
    "discriminator_filters": (1,),
    "discriminator_scales": (1, 3),
    "discriminator_detail": (1.0,),
    "num_previews": (1,),
    "num_preview_samples": (2,),
    "keep_last": (1,),
    "batch_size": (1,),
    "accumulate": (2,),
    "pool_size": (0,),
    "lambda_gan": (0.0,),
    "lambda_gan2": (0.0,),
    "lambda_l1": (0.0,),
    "lambda_l1_random": (1.0,),
    "lambda_z": (0.0,),
    "lambda_kl": (0.0,),
    "lambda_fm": (0.0,),
    "lambda_ms": (1.0,),
    "free_bits": (0.1,),
    "input_dropout": (0.0, 1.0),
    "gan_from": (0.0,),
    "lambda_identity": (0.0,),
    "lambda_cycle_a": (0.0,),
    "lambda_cycle_b": (0.0,),
    "ema_halflife_images": (0,),
    "clip_grad_norm": (1.0,),
    "decoded_gb": (0.0,),
    "num_workers": (1,),
    "size": ("32x64", "64x32"),
    "load_size": ("64x80",),
    "validate_images": (2, 0),
    "validate_samples": (1,),
}
"""Numbers at the edge of what is allowed, or that switch something on or off."""

SAMPLING = (SamplingOptions, Runtime)

NEEDED: dict[Value, dict[str, Any]] = {
    ("lr_schedule", "linear"): {"lr_decay_epochs": 3},
    ("lr_schedule", "cosine"): {"lr_decay_epochs": 3},
    ("preprocess", "none"): {"batch_size": 1, "load_size": None},
    ("preprocess", "scale_width"): {"load_size": None},
    ("preprocess", "crop"): {"load_size": None},
    ("preprocess", "scale_width_and_crop"): {"load_size": None},
    ("generator", "unet"): {"generator_blocks": None, "generator_depth": 3},
    ("generator", "resnet"): {"generator_depth": None},
    ("generator", "residual_unet"): {"generator_blocks": None, "generator_depth": 2, "dropout": False},
    ("discriminator", "pixel"): {"discriminator_layers": None},
    ("gan_loss", "wgangp"): {"discriminator_norm": "none"},
    ("dropout", True): {"size": 64, "generator_depth": 6},
    ("lambda_z", 0.0): {"latent_trains_encoder": False},
    ("accumulate", 2): {"batch_size": 4},
}
"""What a value goes with."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of a method and a sampling of its model, with the values that they try."""

    method: str
    training: Mapping[str, Any]
    sampling: Mapping[str, Any]

    @property
    def words(self) -> list[str]:
        """The options of the sampling that are not as by default, as on the command line."""
        known = {one.field: one for cls in SAMPLING for one in options_of(cls)}
        given = {known[name]: value for name, value in self.sampling.items() if value != known[name].default}
        return flags(**{one.flag.removeprefix("--"): value for one, value in given.items()})


def values_of(one: Option) -> tuple[Any, ...]:
    """The values of an option that are tried: each of its choices, or some numbers."""
    found: tuple[Any, ...] = CHANNELS.get(one.field, ()) or NUMBERS.get(one.field, ())
    if one.hint is bool:
        found = (False, True)
    left_out = ELSEWHERE.get(one.field, set())
    if is_many(one.hint):  # each choice by itself
        return tuple((choice,) for choice in choices(one.hint) if choice not in left_out)
    found += tuple(choices(one.hint))
    if type(None) in typing.get_args(one.hint) and choices(one.hint):
        found += (None,)
    return tuple(value for value in found if value not in left_out and not one.out_of_bounds(value))


def to_try(cls: Any, *, besides: Sequence[str] = ()) -> list[Value]:
    """All values of the options of a class, the first of each option first."""
    known = [(one.field, values_of(one)) for one in options_of(cls) if one.field not in besides]
    most = max(len(values) for _, values in known)
    return [(name, values[index]) for index in range(most) for name, values in known if index < len(values)]


def covering_runs(base: Mapping[str, Mapping[str, Any]]) -> Iterator[Run]:
    """Runs that try every value of the options of each method, and of data, training, validation and sampling once.

    Args:
        base: By method, what all of its runs have in common.
    """
    shared = [value for cls in (DataConfig, TrainingConfig, ValidationConfig) for value in to_try(cls)]
    rest = [value for value in shared if value[0] not in CHANNELS]
    sampling = [value for cls in SAMPLING for value in to_try(cls)]
    for method, cls in METHODS.items():
        own = to_try(cls) + [value for value in shared if value[0] in CHANNELS]
        while own:
            training = _packed(base[method] | {"method": method}, own, _is_run, fresh=True)
            training |= _packed(training, rest, _is_run)
            modes = (
                ("random", "interpolate", "encode", "reference")
                if cls.paired and "encoder_filters" in {one.field for one in options_of(cls)}
                else ("random",)
            )
            usable = [value for value in sampling if value[0] != "mode" or value[1] in modes]
            usable = [value for value in usable if value != ("cycle", True) or method == "cyclegan"]
            before = list(usable)
            taken = _packed({}, usable, _is_sampling)
            for value in before:
                if value not in usable:
                    sampling.remove(value)
            yield Run(method, training, taken)
    left = [*rest, *sampling]
    if left:
        raise AssertionError(f"no run tries {left}")


def _packed(
    base: Mapping[str, Any], left: list[Value], is_valid: Callable[[Mapping[str, Any]], bool], *, fresh: bool = False
) -> dict[str, Any]:
    """Take as many of the values as go together with `base`, and remove them from `left`."""
    options, taken = dict(base), set()
    for name, value in list(left):
        if name in taken or (name, value) not in left:
            continue
        for needed in _needed(name, value):
            clashes = any(other in taken and options[other] != wanted for other, wanted in needed.items())
            tried = options | needed | {name: value}
            if not clashes and is_valid(tried):
                options = tried
                taken |= {name, *needed}
                for covered in ((name, value), *needed.items()):
                    if covered in left:
                        left.remove(covered)
                break
    if fresh and not taken:
        raise AssertionError(f"no run of {base['method']} can have any of {left}")
    return options


def _needed(name: str, value: Any) -> list[dict[str, Any]]:
    """What may have to go with a value, in the order in which it is tried."""
    if name in CHANNELS:
        other = "output_channels" if name == "input_channels" else "input_channels"
        return [{}, {"lambda_identity": 0.0}, {other: value}]
    if (name, value) == ("lambda_gan", 0.0):  # what another method needs is no option of this one
        return [{"shared_discriminator": False}, {"gan_from": None}, {}]
    return [NEEDED.get((name, value), {}), {}]


def _is_run(options: Mapping[str, Any]) -> bool:
    try:
        from_flat(options).total_steps(4)
    except ConfigError:
        return False
    return True


def _is_sampling(options: Mapping[str, Any]) -> bool:
    needed = {"references": (Path("reference.png"),)} if options.get("mode") == "reference" else {}
    own = {field.name for field in dataclasses.fields(Runtime)}
    try:
        SamplingOptions(**{name: value for name, value in (options | needed).items() if name not in own})
        Runtime(**{name: value for name, value in options.items() if name in own})
    except ConfigError:
        return False
    return True
