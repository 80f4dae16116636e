"""``tandem train DATA [DATA_B] --out runs/NAME``: train, or continue, then sample the test split."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tandem.commands.parser import add_fields, make_parser, parse
from tandem.config.data import DataConfig
from tandem.config.presets import find_preset
from tandem.config.run import METHODS, RunConfig, from_flat, resolve_method
from tandem.config.training import TrainingConfig
from tandem.config.validation import ValidationConfig
from tandem.config.variants import VARIANTS
from tandem.config.yaml import method_in_files, to_yaml
from tandem.data.shards.open import as_location
from tandem.errors import ConfigError

DESCRIPTION = (
    "Train a model on image pairs or on two domains, or continue the run in --out where it stopped. Options win over "
    "--config, --config over --preset, --preset over the defaults of the published method."
)
DEFAULT_METHOD = "bicyclegan"
SIGNAL_STATUS = 128

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, train, sample."""
    first, rest = _early(arguments)
    method, defaults = _defaults(first)
    # The parser obeys the last word; an option wins over a file wherever the two stand.
    files = [word for file in first.config for word in ("--config", file)]
    options = _parse([*files, *rest], first, method, defaults)
    print_config, data, out = options.pop("print_config"), options.pop("data"), options.pop("out")
    data_b = options.pop("data_b")
    config = from_flat(options | {"method": method})
    if print_config:
        sys.stdout.write(to_yaml(config))
        return 0
    if data is None or out is None:
        missing = [name for name, value in (("DATA", data), ("--out", out)) if value is None]
        raise ConfigError(
            f"{' and '.join(missing)} missing. Usage: tandem train DATA --out runs/NAME [--preset NAME] [options]."
        )
    return _train(config, as_location(data), Path(out), None if data_b is None else Path(data_b))


def _defaults(first: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The method, and the defaults that it, the preset and the variant set; what is more special wins."""
    in_file = method_in_files(first.config)
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
    if result.already_done:
        log.info("%s is finished already (%d steps); raise --steps or --epochs to go on", out, result.step)
    sample_held_out(config, data, out, data_b)
    log.info("model: %s · page: %s", out / "model", out / "index.html")
    return 0


def _early(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Find what decides about the other options and their defaults; the other arguments are left over."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset")
    parser.add_argument("--method")
    parser.add_argument("--config", action="append", default=[])
    try:
        return parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise ConfigError(f"{error}.") from error


def _parse(
    arguments: Sequence[str], first: argparse.Namespace, method: str, defaults: dict[str, Any]
) -> dict[str, Any]:
    parser = make_parser("train", DESCRIPTION)
    parser.add_argument("data", nargs="?", help="dataset folder, folder or URL of shards, or folder of domain A")
    parser.add_argument("data_b", nargs="?", help="folder of domain B, for methods that train on unpaired images")
    parser.add_argument("--out", help="folder of the run, e.g. runs/shoes")
    parser.add_argument("--config", action="config", help="YAML file with options, e.g. one from --print-config")
    parser.add_argument("--preset", default=first.preset, help="defaults of a recipe; 'tandem presets' lists them")
    parser.add_argument("--print-config", action="store_true", help="print all options as YAML and end")
    parser.add_argument("--method", help=f"the method: {', '.join(METHODS)}; or a variant: {', '.join(VARIANTS)}")
    for cls in (DataConfig, METHODS[method], TrainingConfig, ValidationConfig):
        add_fields(parser, cls, defaults)
    options = dict(vars(parse(parser, arguments)))
    if options["preset"] != first.preset:
        raise ConfigError(
            f"the configuration file sets preset: {options['preset']}, which decides about the defaults of all other "
            f"options: give it as --preset {options['preset']}."
        )
    for name in ("config", "preset", "method"):
        options.pop(name)
    return options
