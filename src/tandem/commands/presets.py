"""``tandem presets``: what there is, what it is for, how long it takes, and what each one sets."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tandem.commands.parser import Command
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.options import Options, flag, option
from tandem.config.preset_tables import Preset
from tandem.config.presets import PRESETS, preset_options
from tandem.config.run import from_flat, to_flat
from tandem.data.download.catalogue import find
from tandem.report.text import count, duration

INDENT = "    "
NO_BREAK = "\0"

CPU_SECONDS = {
    ("bicyclegan", 128, 64): 0.25,
    ("bicyclegan", 256, 64): 0.79,
    ("pix2pix", 256, 64): 0.68,
    ("cyclegan", 256, 64): 12.0,
    ("cyclegan", 256, 32): 3.7,
    ("cut", 256, 64): 10.7,
    ("fastcut", 256, 64): 5.5,
}
"""Seconds of a training step per image of its batch on two CPU cores, by method or variant, size and width.

Measured with ``tandem bench train --preset``; see docs/experiments.md."""


@dataclass(frozen=True, kw_only=True)
class PresetsOptions(Options):
    """How the presets are listed."""

    markdown: bool = option(False, "print the table of docs/presets.md")


COMMAND = Command(
    "presets", "List the presets: paper, data, size, length, expected time, and what they set.", {"": PresetsOptions}
)


def main(arguments: Sequence[str]) -> int:
    """Print every preset with its options, as they are written on the command line."""
    (options,) = COMMAND.parse(arguments)
    if options.markdown:
        sys.stdout.write(markdown())
        return 0
    width = shutil.get_terminal_size().columns
    for preset in PRESETS.values():
        sys.stdout.write(f"{preset.name}: {preset.data} ({preset.source}); {length(preset)}\n")
        sys.stdout.write(f"{_wrapped(preset, width)}\n\n")
    sys.stdout.write(
        "Options given beside --preset win over it. 'tandem bench train --preset NAME' says how long one takes here.\n"
    )
    return 0


def markdown() -> str:
    """The presets as a Markdown table."""
    lines = ["| Preset | Method | From | Data | Size | Length | Sets |", "|---|---|---|---|---|---|---|"]
    for preset in PRESETS.values():
        sets = " ".join(_written(name, value) for name, value in preset.options.items() if name != "size")
        cells = [f"`{preset.name}`", preset.method, preset.source, preset.data, str(preset.options["size"])]
        lines.append(f"| {' | '.join([*cells, length(preset), f'`{sets}`'])} |")
    return "\n".join(lines) + "\n"


def length(preset: Preset) -> str:
    """Epochs, and where the number of images is known steps and time; for the published data, not for other data."""
    config = from_flat(preset_options(preset.name))
    images = num_images(preset)
    epochs = config.training.lr_constant_epochs + config.training.lr_decay_epochs
    if not epochs:
        return "as long as --steps says"
    if images is None:
        return f"{epochs} epochs"
    steps = config.total_steps(images)
    seconds = CPU_SECONDS[preset.method, config.data.crop_size[0], to_flat(config)["generator_filters"]]
    time = duration(steps * config.training.batch_size * seconds)
    return f"{epochs} epochs of {count(images)} images, {count(steps)} steps, about {time} on two CPU cores"


def num_images(preset: Preset) -> int | None:
    """Images of an epoch of the published data; None where there is none or its number is not known."""
    if preset.dataset is None:
        return None
    folders = find(preset.dataset).folders
    known = [number for name, number in folders.items() if name.startswith("train") and number is not None]
    return max(known, default=None)


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
