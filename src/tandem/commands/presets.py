"""``tandem presets``: what there is and what each one sets."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from tandem.commands.parser import make_parser, parse
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.options import flag
from tandem.config.preset_tables import Preset
from tandem.config.presets import PRESETS

INDENT = "    "
NO_BREAK = "\0"


def main(arguments: Sequence[str]) -> int:
    """Print every preset with its options, as they are written on the command line."""
    parse(make_parser("presets", "List the presets and what they set."), arguments)
    width = shutil.get_terminal_size().columns
    for preset in PRESETS.values():
        sys.stdout.write(f"{preset.name}: {preset.data} ({preset.source})\n{_wrapped(preset, width)}\n\n")
    sys.stdout.write("Options given beside --preset win over it.\n")
    return 0


def _wrapped(preset: Preset, width: int) -> str:
    method = {} if preset.method == BicycleGANConfig.method else {"method": preset.method}
    options = method | dict(preset.options)
    words = " ".join(_written(name, value).replace(" ", NO_BREAK) for name, value in options.items())
    lines = textwrap.wrap(
        words,
        width,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace(NO_BREAK, " ")


def _written(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return flag(name) if value else flag(f"no-{name}")
    return f"{flag(name)} {value}"
