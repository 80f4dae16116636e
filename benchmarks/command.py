"""What the commands of the benchmarks share: options, messages instead of tracebacks, the output.

Plain argparse, so that they also run on a machine that lacks what the command line of Tandem needs.
"""

import argparse
import functools
import json
import logging
import sys
import typing
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tandem.bench.options import STEP_OPTIONS
from tandem.config.options import options_of
from tandem.config.training import TrainingConfig
from tandem.errors import ConfigError, TandemError

METHODS = ("bicyclegan", "tandem", "cyclegan", "pix2pix")
"""The methods whose step is measured."""


def make_parser(name: str, description: str, *, has_device: bool = True) -> ArgumentParser:
    """A parser with the options that every benchmark has: ``--device``, unless there is no choice, and ``--json``."""
    parser = ArgumentParser(prog=f"python -m benchmarks.{name}", description=description, allow_abbrev=False)
    if has_device:
        parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print JSON to standard output")
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option that takes whole numbers from `least` on."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, not '{text}'") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {value}")
        return value

    return read


def add_training_options(parser: ArgumentParser, names: Sequence[str] = STEP_OPTIONS) -> None:
    """Add options of training that change what a step costs, with their help and their defaults."""
    for one in options_of(TrainingConfig):
        if one.field not in names:
            continue
        choices = typing.get_args(one.hint)
        how: dict[str, Any] = {"choices": choices} if choices else {"type": one.hint}
        if one.hint is bool:
            how = {"action": argparse.BooleanOptionalAction}
        parser.add_argument(one.flag, default=one.default, help=one.declared.help.replace("%", "%%"), **how)


def training_options(args: Namespace, names: Sequence[str] = STEP_OPTIONS) -> dict[str, Any]:
    """What was given for the options that `add_training_options` has added."""
    return {name: getattr(args, name) for name in names}


def write(report: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print a report: its JSON values, or its text."""
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if as_json else text)


def reporting(main: Callable[[Sequence[str]], None]) -> Callable[[Sequence[str]], int]:
    """Give a command an exit status: errors that can be repaired are messages, with status 2 for wrong options."""

    @functools.wraps(main)
    def run(arguments: Sequence[str]) -> int:
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
        try:
            main(arguments)
        except TandemError as error:
            sys.stderr.write(f"{error}\n")
            return 2 if isinstance(error, ConfigError) else 1
        return 0

    return run
