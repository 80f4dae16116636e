"""The classes of a label map: which values or colours of files they are, and what of a file counts as no class.

They are written as a number, ``12`` for the values 0 to 11, or as a YAML or JSON file::

    classes:
      - {name: road, value: 0, colour: "#804080"}
      - {name: car, values: [26, 27], colour: [0, 0, 142]}
    ignore: [255, "#000000"]  # values and colours of pixels without a class; other: whatever is none of the above
    tolerance: 60             # how far a colour may be off, where JPEG has blurred it

A list alone are the classes; a class may be its name alone. Without values the classes count from 0. A run keeps them
as one line of JSON, so that it does not depend on the file.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.config.plain_yaml import load_yaml
from tandem.config.values import MAX_TEXT
from tandem.errors import ConfigError
from tandem.foreign import read_bounded

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

MAX_CLASSES = 1000
MAX_VALUE = 65535
"""Of an index."""
MAX_DISTANCE = 442.0
"""Between two colours: black and white are some 441.7 apart."""
MAX_FILE_BYTES = 2**20
_MOST_VALUES = 4096
_MOST_NAME = 100
_OTHERS = "other"
_ENTRIES = ("classes", "ignore", "tolerance")
_OF_A_CLASS = ("name", "value", "values", "colour", "color")
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class LabelClass:
    """One class.

    Attributes:
        name: For people.
        values: The indices of files that are this class; outputs get the first one.
        colour: In colour maps; None where classes have none.
    """

    name: str
    values: tuple[int, ...]
    colour: Colour | None = None


@dataclass(frozen=True)
class LabelClasses:
    """The classes of a domain, in the order of the planes that networks see.

    Attributes:
        classes: They.
        by_value: Whether grey and palette files are read by their indices; by their colours otherwise.
        ignored_values: Indices of pixels without a class.
        ignored_colours: Colours of such pixels.
        ignores_others: Whether every other value and colour is a pixel without a class, and no mistake.
        tolerance: How far (Euclidean, 0 to 442) a colour may be from that of its class.

    Raises:
        ValueError: They contradict each other, or a number is out of bounds.
    """

    classes: tuple[LabelClass, ...]
    by_value: bool = True
    ignored_values: tuple[int, ...] = ()
    ignored_colours: tuple[Colour, ...] = ()
    ignores_others: bool = False
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        # They may come from a stranger's file or model.
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(f"there are {len(self.classes)} classes, expected 1 to {MAX_CLASSES}")
        values = [value for one in self.classes for value in one.values] + list(self.ignored_values)
        if len(values) > _MOST_VALUES or not all(0 <= value <= MAX_VALUE for value in values):
            raise ValueError(f"values must be from 0 to {MAX_VALUE}, and at most {_MOST_VALUES} in all")
        if not all(one.values for one in self.classes):
            raise ValueError("a class has no value")
        if twice := _repeated(values):
            raise ValueError(f"the value {twice[0]} stands for two classes")
        coloured = [one for one in self.classes if one.colour is not None]
        if coloured and len(coloured) < len(self.classes):
            (first, *_) = [one.name for one in self.classes if one.colour is None]
            raise ValueError(f"'{first}' has no colour, and others have one: give all of them a colour, or none")
        colours = [one.colour for one in coloured if one.colour is not None] + list(self.ignored_colours)
        if not all(0 <= part <= 255 for colour in colours for part in colour):
            raise ValueError("colours must have numbers from 0 to 255")
        if twice := _repeated(colours):
            raise ValueError(f"the colour {hex_of(twice[0])} stands for two classes")
        if not coloured and (self.ignored_colours or self.tolerance or not self.by_value):
            raise ValueError("colours to ignore and a tolerance go with classes that have colours")
        if not 0 <= self.tolerance < MAX_DISTANCE:
            raise ValueError(f"the tolerance must be from 0 to {MAX_DISTANCE:g}, not {self.tolerance:g}")
        names = [one.name for one in self.classes]
        if wrong := [name for name in names if not 1 <= len(name) <= _MOST_NAME or not name.isprintable()]:
            raise ValueError(f"{wrong[0]!r:.40} is no name of a class: 1 to {_MOST_NAME} characters that print")
        if twice := _repeated(names):
            raise ValueError(f"two classes are called '{twice[0]}'")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def has_colours(self) -> bool:
        """Whether classes have colours, so that colour maps can be read."""
        return self.classes[0].colour is not None

    @property
    def ignores(self) -> bool:
        """Whether a file may hold pixels without a class."""
        return bool(self.ignored_values or self.ignored_colours or self.ignores_others)

    @property
    def ignored(self) -> int | None:
        """The index of pixels without a class in what is kept and written; None where there are none."""
        if not self.ignores:
            return None
        if self.ignored_values:
            return self.ignored_values[0]
        taken = {value for one in self.classes for value in one.values}
        ends = (255, MAX_VALUE) if max(taken) <= 255 else (MAX_VALUE,)
        return next(value for end in ends for value in range(end, -1, -1) if value not in taken)

    @property
    def indices(self) -> tuple[int, ...]:
        """The index of each class in what is kept and written."""
        return tuple(one.values[0] for one in self.classes)

    @property
    def highest(self) -> int:
        """The largest index in what is kept and written."""
        return max((*self.indices, -1 if self.ignored is None else self.ignored))

    def describe(self) -> str:
        """In words, short."""
        names = [one.name for one in self.classes]
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        return f"{len(names)} classes ({shown})" if len(names) > 1 else f"one class ({shown})"

    def as_text(self) -> str:
        """What `read_classes` makes the same of: a number, or one line of JSON."""
        if self == counted(len(self)):
            return str(len(self))
        counts = self.indices == tuple(range(len(self))) and all(len(one.values) == 1 for one in self.classes)
        plain = counts and self.by_value == (not self.has_colours)
        classes = []
        for one in self.classes:
            parts: list[Any] = [one.name, None if plain else list(one.values)]
            classes.append([*parts, hex_of(one.colour)] if one.colour is not None else parts)
        values: dict[str, Any] = {"classes": classes}
        ignored = [*self.ignored_values, *map(hex_of, self.ignored_colours), *[_OTHERS][: self.ignores_others]]
        values |= {"ignore": ignored} if ignored else {}
        values |= {"tolerance": self.tolerance} if self.tolerance else {}
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def counted(number: int) -> LabelClasses:
    """Classes that are the values from 0 on, and have no names."""
    return LabelClasses(tuple(LabelClass(str(value), (value,)) for value in range(number)))


def hex_of(colour: Iterable[int]) -> str:
    """A colour as ``#rrggbb``."""
    return "#" + "".join(f"{part:02x}" for part in colour)


def read_classes(text: str | int, flag: str) -> LabelClasses:
    """The classes that an option says: how many, the path of a file, or what `LabelClasses.as_text` gives.

    Raises:
        ConfigError: There is no such file, or it says something else.
    """
    text = str(text).strip()
    if re.fullmatch(r"-?\d{1,9}", text):
        if not 1 <= int(text) <= MAX_CLASSES:
            raise ConfigError(f"{flag} must be from 1 to {MAX_CLASSES} classes, not {text}.", option=flag)
        return counted(int(text))
    is_inline = text.startswith(("{", "["))
    where = f"{flag}" if is_inline else f"{flag} {text}"
    values = _inline(text, flag) if is_inline else _from_file(Path(text), flag)
    try:
        found = _parsed(values)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{where}: {error}. Expected are classes with a name, a value or values, and a colour, e.g. "
            '{classes: [{name: road, value: 0, colour: "#804080"}, …], ignore: 255}.',
            option=flag,
        ) from error
    if len(found.as_text()) > MAX_TEXT:
        raise ConfigError(
            f"{where}: the classes take {len(found.as_text())} characters, at most {MAX_TEXT} are kept with a run: "
            "shorten their names.",
            option=flag,
        )
    return found


def _inline(text: str, flag: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{flag}: '{text:.60}' is no JSON: {error}.", option=flag) from error


def _from_file(file: Path, flag: str) -> Any:
    try:
        text = read_bounded(file, MAX_FILE_BYTES).decode("utf-8")
    except OSError as error:
        raise ConfigError(
            f"{flag} {file} cannot be read ({error.strerror}): give a number of classes, or a YAML or JSON file that "
            "lists them.",
            option=flag,
        ) from error
    except ValueError as error:
        raise ConfigError(f"{flag} {file} is no text in UTF-8 of up to {MAX_FILE_BYTES} bytes.", option=flag) from error
    try:
        return load_yaml(text)
    except MemoryError:
        raise
    except Exception as error:  # the parser's, of whatever kind
        why = str(getattr(error, "problem", None) or error) or type(error).__name__
        raise ConfigError(f"{flag} {file} is no YAML: {why:.200}.", option=flag) from error


def _parsed(values: Any) -> LabelClasses:
    """The classes of what a file holds, raising `ValueError`."""
    if isinstance(values, list):
        values = {"classes": values}
    if not isinstance(values, Mapping) or not isinstance(values.get("classes"), list):
        raise ValueError("it holds no list of classes")
    if unknown := [str(name) for name in values if name not in _ENTRIES]:
        raise ValueError(f"it has the unknown entry '{unknown[0]:.40}'; there are {', '.join(_ENTRIES)}")
    entries = [_entry(one) for one in values["classes"][: MAX_CLASSES + 1]]
    has_values = [bool(found) for _, found, _ in entries]
    if any(has_values) and not all(has_values):
        raise ValueError(f"'{entries[has_values.index(False)][0]}' has no value, and others have one")
    classes = tuple(LabelClass(name, found or (place,), colour) for place, (name, found, colour) in enumerate(entries))
    ignored = values.get("ignore")
    items = ignored if isinstance(ignored, list) else [] if ignored is None else [ignored]
    tolerance = values.get("tolerance", 0.0)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not math.isfinite(tolerance):
        raise ValueError(f"the tolerance must be a number, not {tolerance!r:.40}")
    return LabelClasses(
        classes,
        by_value=any(has_values) or not classes or classes[0].colour is None,
        ignored_values=tuple(one for one in items if _is_value(one)),
        ignored_colours=tuple(_colour(one) for one in items if not _is_value(one) and one != _OTHERS),
        ignores_others=_OTHERS in items,
        tolerance=float(tolerance),
    )


def _entry(one: Any) -> tuple[str, tuple[int, ...], Colour | None]:
    """Name, values and colour of a class."""
    if isinstance(one, list) and 1 <= len(one) <= 3:  # as_text
        one = dict(zip(("name", "values", "colour"), one, strict=False))
    if isinstance(one, str | int) and not isinstance(one, bool):
        one = {"name": str(one)}
    if not isinstance(one, Mapping) or "name" not in one:
        raise ValueError(f"{one!r:.60} is no class with a name")
    name = str(one["name"])
    if unknown := [str(key) for key in one if key not in _OF_A_CLASS]:
        raise ValueError(f"'{name:.40}' has the unknown entry '{unknown[0]:.40}'; there are {', '.join(_OF_A_CLASS)}")
    values = one.get("values", one.get("value"))
    found = [] if values is None else values if isinstance(values, list) else [values]
    if wrong := [value for value in found if not _is_value(value)]:
        raise ValueError(f"'{name:.40}' has the value {wrong[0]!r:.40}, expected whole numbers from 0 to {MAX_VALUE}")
    colour = one.get("colour", one.get("color"))
    return name, tuple(found), None if colour is None else _colour(colour)


def _is_value(one: Any) -> bool:
    return isinstance(one, int) and not isinstance(one, bool)


def _colour(one: Any) -> Colour:
    if isinstance(one, str) and (match := _HEX.fullmatch(one)):
        red, green, blue = bytes.fromhex(match[1])
        return red, green, blue
    if isinstance(one, list) and len(one) == 3 and all(map(_is_value, one)):
        return one[0], one[1], one[2]
    raise ValueError(f"{one!r:.40} is no colour: '#rrggbb' in quotes, or [red, green, blue] from 0 to 255")


def _repeated(items: Iterable[Any]) -> list[Any]:
    seen: set[Any] = set()
    return [one for one in items if one in seen or seen.add(one)]
