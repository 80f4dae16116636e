"""Options under their official names, as configurations of ours: by the table that the command line's messages read."""

from collections.abc import Mapping
from typing import Any

from tandem.commands.parser import build
from tandem.commands.train import command
from tandem.commands.unknown import Place
from tandem.config.data import DataConfig
from tandem.config.names.entry import Here, OtherName
from tandem.config.names.table import find_name
from tandem.config.run import METHODS
from tandem.config.values import to_text
from tandem.errors import ConfigError


def translated(method: str, options: Mapping[str, Any], *, size: int) -> tuple[Any, DataConfig]:
    """The configuration of a method and that of its data, from words of the command line.

    Args:
        method: The method.
        options: Values by their official names, all of which the table knows.
        size: Side of the images in pixels.

    Raises:
        ConfigError: A value that Tandem has no counterpart of.
    """
    place = Place(command(method), method)
    words = ["--size", str(size)]
    # What netD says of layers and scales wins: "basic" has three layers, and one without "_multi" one scale.
    for name in sorted(options, key=lambda name: name == "netD"):
        words += _words(place, name, options)
    values = place.command.values(words)
    config, data = build(values, METHODS[method], DataConfig)
    return config, data


def _words(place: Place, name: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    entry = find_name(name)
    assert entry is not None, name
    value = options[name]
    if isinstance(value, bool) and not entry.takes_value:
        way = _first(place, entry, None)
        assert way is not None, name
        words = way.words.split()
        return tuple(words if value else map(_opposite, words))
    text = to_text(value)
    way = _first(place, entry, text) if entry.has_counterpart(text) else None
    if way is None:
        known = [value for value in (*entry.values, *entry.examples) if _first(place, entry, value) is not None]
        raise ConfigError(f"{name} is '{text}', but {name} must be one of {', '.join(known)}, not '{text}'.")
    return way.filled(text, {other: to_text(value) for other, value in options.items()}, entry.defaults)


def _first(place: Place, entry: OtherName, value: str | None) -> Here | None:
    return next((way for way in entry.ways(value) if place.takes(way)), None)


def _opposite(flag: str) -> str:
    """What switches off what `flag` switches on."""
    return f"--{flag[5:]}" if flag.startswith("--no-") else f"--no-{flag[2:]}"
