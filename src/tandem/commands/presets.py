"""``tandem presets``: what there is, what it is for, how long it takes, and what each one sets."""

import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tandem.commands.parser import Command
from tandem.config.options import Options, flag, option
from tandem.config.preset_tables import Preset
from tandem.config.presets import PRESETS, find_preset, preset_options
from tandem.config.run import DEFAULT_METHOD, METHODS, from_flat, resolve_method, to_flat
from tandem.config.values import to_text
from tandem.config.variants import VARIANTS
from tandem.data.download.catalogue import find
from tandem.errors import ConfigError
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


METHOD_NAMES = f"{{{','.join([*METHODS, *VARIANTS])}}}"


@dataclass(frozen=True, kw_only=True)
class PresetsOptions(Options):
    """Which presets are shown, and how."""

    name: str | None = option(None, "show this preset in full", positional=True)
    method: str | None = option(None, "only those of a method, or of a variant of one", metavar=METHOD_NAMES)
    search: str | None = option(None, "only those with this text in their name, source or data", metavar="TEXT")
    markdown: bool = option(False, "print the table of docs/presets.md", one_way=True)

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if self.method is not None:
            resolve_method(self.method)
        if self.name is not None and (self.method or self.search):
            yield "a preset's NAME shows this preset alone: leave out --method and --search"

    def shows(self, preset: Preset) -> bool:
        """Whether a preset is among those that are asked for; a method has the presets of its variants."""
        asked = self.method is None or self.method in {preset.method, resolve_method(preset.method)[0]}
        text = " ".join((preset.name, preset.method, preset.source, preset.data, preset.dataset or ""))
        return asked and (self.search is None or self.search.casefold() in text.casefold())


COMMAND = Command(
    "presets",
    "List the presets: paper, data, size, length, expected time on two CPU cores, and what they set; or show one in "
    "full.",
    {"": PresetsOptions},
)


def main(arguments: Sequence[str]) -> int:
    """Print presets with their options, as they are written on the command line, or one of them in full."""
    (options,) = COMMAND.parse(arguments)
    if options.name is not None:
        sys.stdout.write(in_full(find_preset(options.name)))
        return 0
    shown = [preset for preset in PRESETS.values() if options.shows(preset)]
    if options.markdown:
        sys.stdout.write(markdown(shown))
        return 0
    if not shown:
        raise ConfigError(f"none of the presets is of this kind; there are {', '.join(PRESETS)}.")
    width = shutil.get_terminal_size().columns
    for preset in shown:
        sys.stdout.write(f"{preset.name}: {preset.data} ({preset.source}); {length(preset)}\n")
        sys.stdout.write(f"{_wrapped(preset, width)}\n\n")
    sys.stdout.write(
        "Options given beside --preset win over it. 'tandem presets NAME' shows one in full, 'tandem bench train "
        "--preset NAME' says how long it takes here.\n"
    )
    return 0


def in_full(preset: Preset) -> str:
    """All that is known of one preset: what it sets, beside what its method would take, and the commands to copy."""
    method, defaults = resolve_method(preset.method)
    config = to_flat(from_flat({"method": method} | defaults))
    kind = preset.method if preset.method == method else f"{preset.method}, a variant of {method}"
    lines = [
        f"{preset.name}",
        "",
        f"  method    {kind}",
        f"  from      {preset.source}",
        f"  data      {preset.data}",
        f"  length    {length(preset)}",
        "",
        "It sets:",
        "",
    ]
    rows = [("option", "preset", f"{preset.method} without it")]
    rows += [(flag(name), to_text(value), to_text(config[name])) for name, value in preset.options.items()]
    rows = [(*row[:2], f"{row[2]} (the same)" if row[1] == row[2] else row[2]) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines += [f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {default}" for name, value, default in rows]
    lines += ["", "To train with it:", "", *(f"  {line}" for line in _commands(preset))]
    return "\n".join(lines) + "\n"


def _commands(preset: Preset) -> Iterator[str]:
    """What to copy: the download, if there is one, and the training."""
    data = "DATA"
    if preset.dataset is not None:
        entry = find(preset.dataset)
        data = f"datasets/{entry.default_folder}"
        if entry.withheld:
            yield f"# the data is not handed out: put it into {data} ('tandem data download {entry.key}' says more)"
        else:
            yield shlex.join(["tandem", "data", "download", preset.dataset])
    elif preset.name.startswith("demo"):
        data = f"datasets/{preset.name}"
        layout = [] if METHODS[resolve_method(preset.method)[0]].paired else ["--layout", "unpaired"]
        yield shlex.join(["tandem", "data", "demo", data, *layout])
    length = [] if preset.options.get("lr_decay_epochs") else ["--steps", "2000"]
    yield shlex.join(["tandem", "train", data, "--out", f"runs/{preset.name}", "--preset", preset.name, *length])


def markdown(presets: Sequence[Preset] = tuple(PRESETS.values())) -> str:
    """Presets as a Markdown table."""
    lines = ["| Preset | Method | From | Data | Size | Length | Sets |", "|---|---|---|---|---|---|---|"]
    for preset in presets:
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
    method = {} if preset.method == DEFAULT_METHOD else {"method": preset.method}
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
