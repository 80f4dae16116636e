"""``tandem train DATA --out runs/NAME``: train, or continue, then sample the test split."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tandem.commands.parser import add_fields, make_parser, parse
from tandem.config.data import DataConfig
from tandem.config.presets import PRESETS, preset_options
from tandem.config.run import METHODS, RunConfig, from_flat
from tandem.config.training import TrainingConfig
from tandem.config.yaml import to_yaml
from tandem.data.shards.open import as_location
from tandem.errors import ConfigError

DESCRIPTION = (
    "Train a model on a folder of image pairs, or continue the run in --out where it stopped. Options win over "
    "--config, --config over --preset, --preset over the defaults of the published method."
)
SIGNAL_STATUS = 128

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Parse the options, train, sample."""
    first, rest = _early(arguments)
    preset = preset_options(first.preset) if first.preset else {}
    if first.method not in METHODS:
        raise ConfigError(f"--method must be one of {', '.join(METHODS)}, not '{first.method}'.")
    # The parser obeys the last word; an option wins over a file wherever the two stand.
    files = [word for file in first.config for word in ("--config", file)]
    options = _parse([*files, *rest], first, preset)
    print_config, data, out = options.pop("print_config"), options.pop("data"), options.pop("out")
    config = from_flat(options)
    if print_config:
        sys.stdout.write(to_yaml(config))
        return 0
    if data is None or out is None:
        missing = [name for name, value in (("DATA", data), ("--out", out)) if value is None]
        raise ConfigError(
            f"{' and '.join(missing)} missing. Usage: tandem train DATA --out runs/NAME [--preset NAME] [options]."
        )
    return _train(config, as_location(data), Path(out))


def _train(config: RunConfig, data: Path | str, out: Path) -> int:
    from tandem.commands.after_training import sample_held_out  # noqa: PLC0415  (imports torch)
    from tandem.training.trainer import train  # noqa: PLC0415  (imports torch)

    result = train(config, data, out)
    if result.stopped_by is not None:
        return SIGNAL_STATUS + result.stopped_by
    if result.already_done:
        log.info("%s is finished already (%d steps); raise --steps or --epochs to go on", out, result.step)
    sample_held_out(config, data, out)
    log.info("model: %s · page: %s", out / "model", out / "index.html")
    return 0


def _early(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Find what decides about the other options and their defaults; the other arguments are left over."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset")
    parser.add_argument("--method", default="bicyclegan")
    parser.add_argument("--config", action="append", default=[])
    try:
        return parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise ConfigError(f"{error}.") from error


def _parse(arguments: Sequence[str], first: argparse.Namespace, preset: dict[str, Any]) -> dict[str, Any]:
    parser = make_parser("train", DESCRIPTION)
    parser.add_argument("data", nargs="?", help="dataset folder, or folder or URL of record files")
    parser.add_argument("--out", help="folder of the run, e.g. runs/shoes")
    parser.add_argument("--config", action="config", help="YAML file with options, e.g. one from --print-config")
    parser.add_argument("--preset", default=first.preset, help=f"defaults of a recipe: {', '.join(PRESETS)}")
    parser.add_argument("--print-config", action="store_true", help="print all options as YAML and end")
    parser.add_argument("--method", default=first.method, help=f"the method: {', '.join(METHODS)}")
    for cls in (DataConfig, METHODS[first.method], TrainingConfig):
        add_fields(parser, cls, preset)
    options = dict(vars(parse(parser, arguments)))
    for name in ("preset", "method"):
        if options[name] != getattr(first, name):
            raise ConfigError(
                f"the configuration file sets {name}: {options[name]}, which decides about the defaults of all other "
                f"options: give it as --{name} {options[name]}."
            )
    for name in ("config", "preset"):
        options.pop(name)
    return options
