"""Values of options by their type: read from text, checked, named in messages, written as text.

The types are those that fields of option classes have: bool, int, float, str, Path, Literal, None, unions of these, and
tuples or sequences of them. Any other class is checked with ``isinstance`` and cannot be read from text.
"""

import math
import sys
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

MAX_INTEGER = 2**53
MAX_TEXT = 10_000

NULLS = frozenset({"null", "~"})
"""The words for no value, those of YAML."""

_LARGEST_FLOAT = sys.float_info.max
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}


class MisfitError(ValueError):
    """A value is not of the type; whoever knows the option says so."""


def convert(hint: Any, value: Any, *, from_text: bool = False) -> Any:
    """The value in the type `hint`.

    Args:
        hint: One of the types of this file's head.
        value: What was given.
        from_text: Whether text may stand for a number, a truth value or nothing, as in a word of the command line.

    Raises:
        MisfitError: It is of another type, none of the choices, not finite or too large.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return _convert_union(arguments, value, from_text=from_text)
    if origin is Literal:
        for choice in arguments:
            if (type(value) is type(choice) and value == choice) or (from_text and value == str(choice)):
                return choice
        raise MisfitError
    if is_many(hint):
        return _convert_many(arguments, value, from_text=from_text)
    if from_text and isinstance(value, str):
        return _from_text(hint, value)
    return checked(hint, value)


def _convert_union(arguments: tuple[Any, ...], value: Any, *, from_text: bool) -> Any:
    if type(None) in arguments and (value is None or (from_text and isinstance(value, str) and value in NULLS)):
        return None
    for hint in arguments:
        if hint is not type(None):
            try:
                return convert(hint, value, from_text=from_text)
            except MisfitError:
                continue
    raise MisfitError


def _convert_many(arguments: tuple[Any, ...], value: Any, *, from_text: bool) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise MisfitError
    is_fixed = len(arguments) > 1 and arguments[1] is not Ellipsis
    hints = arguments if is_fixed else arguments[:1] * len(value)
    if len(hints) != len(value):
        raise MisfitError
    return tuple(convert(hint, item, from_text=from_text) for hint, item in zip(hints, value, strict=True))


def _from_text(hint: Any, text: str) -> Any:
    try:
        if hint is bool:
            return _BOOLEANS[text.lower()]
        if hint is int:
            return checked(int, _whole(text))
        if hint is float:
            return checked(float, float(text))
    except (KeyError, ValueError) as error:
        raise MisfitError from error
    if hint is Path:
        return Path(text)
    return checked(hint, text)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(text, 0)  # 0x10


def checked(hint: Any, value: Any, *, finite: bool = True) -> Any:
    """One value in its type: a number (an int where a float is wanted, too), a truth value, a text or any other class.

    Args:
        hint: A class.
        value: What was given.
        finite: Whether floats must be finite.

    Raises:
        MisfitError: It is of another type, not finite or too large.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float:
        # An integer may be larger than any float, which no function of floats takes.
        if not is_number or not (_is_finite(value) or (not finite and isinstance(value, float))):
            raise MisfitError
        return float(value)
    if hint is int:
        fits = is_number and isinstance(value, int) and abs(value) <= MAX_INTEGER
    elif hint is str:
        fits = isinstance(value, str) and len(value) <= MAX_TEXT
    else:
        fits = hint is Any or isinstance(value, hint)
    if not fits:
        raise MisfitError
    return value


def _is_finite(value: float) -> bool:
    return abs(value) <= _LARGEST_FLOAT and math.isfinite(value)


def is_many(hint: Any) -> bool:
    """Whether values of this type are several ones."""
    origin = typing.get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def parts(hint: Any) -> tuple[Any, ...]:
    """The types that a union is made of, None left out; of any other type that type alone."""
    union = typing.get_origin(hint) in {typing.Union, types.UnionType}
    return tuple(part for part in typing.get_args(hint) if part is not type(None)) if union else (hint,)


def may_be_none(hint: Any) -> bool:
    """Whether None is a value of this type."""
    return type(None) in typing.get_args(hint)


def how_many(hint: Any) -> int | None:
    """How many values make one of a type of several ones; None where it is any number of at least one."""
    arguments = typing.get_args(hint)
    return None if len(arguments) < 2 or arguments[1] is Ellipsis else len(arguments)


def choices(hint: Any) -> tuple[Any, ...]:
    """The choices of a type that has nothing else (but None); otherwise none."""
    found = parts(hint)
    if is_many(found[0]):
        return choices(typing.get_args(found[0])[0])
    return typing.get_args(found[0]) if len(found) == 1 and typing.get_origin(found[0]) is Literal else ()


def in_words(hint: Any) -> str:
    """What is allowed, for messages: ``a whole number``, ``one of png, jpg``, ``2 of: a path``."""
    return " or ".join(dict.fromkeys(_part_in_words(part) for part in parts(hint)))


def _part_in_words(hint: Any) -> str:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return str(arguments[0]) if len(arguments) == 1 else f"one of {', '.join(map(str, arguments))}"
    if is_many(hint):
        number = how_many(hint)
        one = in_words(arguments[0])
        return f"one or more, each {one}" if number is None else f"{number}, each {one}"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def to_text(value: Any) -> str:
    """A value as `convert` reads it from text; several ones with blanks between."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return " ".join(map(to_text, value))
    return str(value)
