"""``tandem train DATA [DATA_B] --out runs/NAME``: train, or continue, then sample the test split."""

import dataclasses
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tandem.commands.parser import Command
from tandem.commands.train_seeds import read_seeds, train_seeds
from tandem.commands.unknown import unknown_key
from tandem.config.data import DataConfig, with_changes
from tandem.config.options import Options, names_of, option, refuse
from tandem.config.presets import find_preset
from tandem.config.run import DEFAULT_METHOD, METHODS, RunConfig, from_flat, resolve_method
from tandem.config.training import TrainingConfig
from tandem.config.validation import ValidationConfig
from tandem.config.variants import VARIANTS
from tandem.config.yaml import convert_values, read_file, to_yaml
from tandem.data.shards.open import as_location
from tandem.errors import ConfigError
from tandem.targets import folder_problems
from tandem.training.run_folder import RunFolder
from tandem.training.sources import recall_data

DESCRIPTION = (
    "Train a model on image pairs or on two domains, or continue the run in --out where it stopped. Options win over "
    "--config, --config over --preset, --preset over the defaults of the published method."
)
SIGNAL_STATUS = 128

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RecipeOptions(Options):
    """What decides all other options of a run, and its data."""

    data: str | None = option(None, "dataset folder, folder or URL of shards, or folder of domain A", positional=True)
    data_b: Path | None = option(
        None,
        "folder of domain B; for methods that train on pairs the folder of B, with the names of A's files",
        positional=True,
    )
    config: tuple[Path, ...] = option(
        (), "YAML file with options, e.g. one from --print-config", metavar="FILE", repeated=True
    )
    preset: str | None = option(None, "defaults of a recipe; 'tandem presets' lists them", metavar="NAME")
    method: str | None = option(
        None,
        f"the method, or a variant of one; by default {DEFAULT_METHOD}, or that of --preset",
        metavar=f"{{{','.join([*METHODS, *VARIANTS])}}}",
    )


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RecipeOptions):
    """What a run is made of and where it goes; all else are options of the run itself."""

    out: Path | None = option(None, "folder of the run, e.g. runs/shoes")
    resume: Path | None = option(
        None,
        "folder of a run to go on with, in the place of --out; its data and its options are remembered, and DATA is "
        "needed only where the data has moved",
        metavar="RUN",
    )
    seeds: tuple[int, ...] | None = option(
        None,
        "train a run for each of these seeds, e.g. 0,1,2, in OUT/seed-0 and so on",
        metavar="SEEDS",
        read=read_seeds,
    )
    print_config: bool = option(False, "print all options as YAML and end", one_way=True)


Recipe = TypeVar("Recipe", bound=RecipeOptions)


def command(method: str = DEFAULT_METHOD) -> Command:
    """The command with the options of a method."""
    groups = {
        "": TrainOptions,
        "data": DataConfig,
        f"method ({METHODS[method].__name__.removesuffix('Config')})": METHODS[method],
        "training": TrainingConfig,
        "validation": ValidationConfig,
    }
    others = [name for name in [*METHODS, *VARIANTS] if name != method]
    shown = (
        f"These are the options of {method}. 'tandem train --method NAME --help' shows those of another method or "
        f"variant: {', '.join(others)}."
    )
    return Command("train", f"{shown}\n\n{DESCRIPTION}", groups)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, train, sample."""
    first = _early(arguments)
    run = _resumed(first)
    own, config = resolve(first, lambda taken, defaults: taken.values(arguments, defaults), run=run)
    if own.print_config:
        sys.stdout.write(to_yaml(config))
        return 0
    if run is not None:
        data, data_b = recall_data(run) if own.data is None else (as_location(own.data), own.data_b)
        return _train(config, data, run.root, data_b)
    if own.data is None or own.out is None:
        missing = [name for name, value in (("DATA", own.data), ("--out", own.out)) if value is None]
        raise ConfigError(
            f"{' and '.join(missing)} missing. Usage: tandem train DATA --out runs/NAME [--preset NAME] [options], or "
            "tandem train --resume runs/NAME to go on with a run."
        )
    refuse(folder_problems(own.out, "the run"))
    data, data_b = as_location(own.data), own.data_b
    if own.seeds:
        return train_seeds(config, own.out, own.seeds, lambda one, out: _train(one, data, out, data_b))
    return _train(config, data, own.out, data_b)


def resolve(
    first: Recipe,
    read: Callable[[Command, dict[str, Any]], dict[str, Any]],
    *,
    run: RunFolder | None = None,
) -> tuple[Recipe, RunConfig]:
    """Decide all options of a run.

    Args:
        first: What decides about the other options and their defaults.
        read: Gives the values that were given, by field, for a command and defaults that its help shows.
        run: A run that goes on, whose options come before those of files.

    Returns:
        What the run is made of, and the options of the run itself.

    Raises:
        ConfigError: An option does not exist, is out of range or contradicts another.
    """
    in_files: dict[str, Any] = {}
    for file in (*([run.config] if run else []), *first.config):  # the last one wins
        in_files = with_changes(in_files, read_file(file))
    method, defaults = _defaults(first, in_files)
    taken = command(method)
    given = read(taken, defaults)
    # An option wins over a file wherever the two stand.
    if given.get("seeds") is not None and "seed" in given:
        raise ConfigError("--seed and --seeds both say with which seed a run is trained: give one of them.")
    in_files = convert_values(_own(in_files, first), taken.options, unknown=partial(unknown_key, taken))
    flat = _one_length(with_changes(defaults, in_files), given)
    own = dataclasses.replace(first, **{name: flat.pop(name) for name in names_of(type(first)) if name in flat})
    if flat.get("init_from") is not None:  # the same weights, wherever the command is given again
        flat["init_from"] = os.path.abspath(flat["init_from"])  # noqa: PTH100  (no symlinks)
    return own, from_flat(flat | {"method": method})


def resolve_beside(arguments: Sequence[str], own: Command, cls: type[Recipe]) -> tuple[Recipe, RunConfig]:
    """The options of a command that takes all options of a run beside its own.

    Args:
        arguments: The words after the command's name.
        own: The command with its own options.
        cls: These.

    Raises:
        ConfigError: As for `resolve`.
    """

    def read(taken: Command, defaults: dict[str, Any]) -> dict[str, Any]:
        groups = {title: group for title, group in taken.groups.items() if title}
        return Command(own.name, own.description, {"": cls} | groups).values(arguments, defaults)

    return resolve(cls(**own.values_among_others(arguments)), read)


def _early(arguments: Sequence[str]) -> TrainOptions:
    """Find what decides about the other options and their defaults."""
    return TrainOptions(**Command("train", DESCRIPTION, {"": TrainOptions}).values_among_others(arguments))


def _resumed(first: TrainOptions) -> RunFolder | None:
    """The run that ``--resume`` names.

    Raises:
        ConfigError: There is none, or an option is given that a run has decided already.
    """
    if first.resume is None:
        return None
    run = RunFolder(first.resume)
    if not run.config.is_file():
        reason = f"there is no {run.config.name} in it" if run.root.is_dir() else "there is no such folder"
        raise ConfigError(
            f"--resume {run.root}: no run to go on with: {reason}. Give the folder of a run, e.g. runs/NAME.",
            option="--resume",
        )
    given = {"--out": first.out, "--preset": first.preset, "--seeds": first.seeds}
    if extra := [name for name, value in given.items() if value is not None]:
        raise ConfigError(
            f"{' and '.join(extra)} beside --resume {run.root}: a run that goes on stays in its folder and keeps its "
            "options: leave it out.",
            option=extra[0],
        )
    return run


def _one_length(before: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The options that are given, over those of presets and files.

    A length that is given wins over one in the other unit, since both say how long the run is.
    """
    lengths = given.keys() & {"steps", "epochs"}
    others = {"steps", "epochs"} - lengths if lengths else set()
    return with_changes({name: value for name, value in before.items() if name not in others}, given)


def _own(in_files: dict[str, Any], first: RecipeOptions) -> dict[str, Any]:
    """What the files say of all but the method, which has been decided.

    Raises:
        ConfigError: They name another file, or a preset that isn't that of the command line.
    """
    rest = dict(in_files)
    rest.pop("method", None)
    preset = rest.pop("preset", None)
    if preset is not None and preset != first.preset:
        raise ConfigError(
            f"the configuration file sets preset: {preset}, which decides about the defaults of all other "
            f"options: give it as --preset {preset}."
        )
    if rest.pop("config", None) is not None:
        raise ConfigError("a configuration file names another one: give both with --config.", option="--config")
    return rest


def _defaults(first: RecipeOptions, in_files: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The method, and the defaults that it, the preset and the variant set; what is more special wins."""
    in_file = str(in_files["method"]) if "method" in in_files else None
    named = first.method or in_file
    if in_file and first.method and resolve_method(in_file)[0] != resolve_method(first.method)[0]:
        raise ConfigError(f"the configuration file is for the method {in_file}, but --method is {first.method}.")
    if first.preset is None:
        return resolve_method(named or DEFAULT_METHOD)
    preset = find_preset(first.preset)
    method, defaults = resolve_method(preset.method)
    variant = VARIANTS.get(named or "")
    if named not in {None, preset.method} and (variant is None or variant.method != preset.method):
        raise ConfigError(
            f"--preset {preset.name} is a recipe for {preset.method}, not for {named}: leave out one of them, or "
            "choose another preset ('tandem presets' lists them)."
        )
    return method, defaults | dict(preset.options) | dict(variant.options if variant else {})


def _train(config: RunConfig, data: Path | str, out: Path, data_b: Path | None) -> int:
    from tandem.commands.after_training import sample_held_out  # noqa: PLC0415  (imports torch)
    from tandem.evaluation.validation import make_validator  # noqa: PLC0415
    from tandem.training.trainer import train  # noqa: PLC0415

    result = train(config, data, out, data_b=data_b, make_validator=make_validator)
    if result.stopped_by is not None:
        return SIGNAL_STATUS + result.stopped_by
    if not result.is_main:
        return 0
    if result.already_done and result.ending == "finished":
        log.info("%s is finished already (%d steps); raise --steps or --epochs to go on", out, result.step)
    sample_held_out(config, data, out, data_b)
    log.info("model: %s · page: %s", out / "model", out / "index.html")
    return 0
