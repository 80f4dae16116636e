"""From plain JSON to dataclasses, strictly: for files that may be damaged or hostile."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from tandem.config.values import MAX_INTEGER, MisfitError, checked

T = TypeVar("T")

_SCALARS = (bool, int, float, str)


def parse_dataclass(cls: type[T], values: object, where: str, *, finite: bool = True) -> T:
    """Build `cls` from a JSON object with exactly its fields (those with a default may be missing).

    Args:
        cls: A dataclass whose fields are int, float, bool, str, None, Literal, homogeneous or fixed tuples of these,
            Mapping (any JSON object), or dataclasses.
        values: What the JSON parser gave.
        where: Names the place in messages.
        finite: Whether floats must be finite.

    Raises:
        ValueError: A field is missing, unknown or of another type.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where} must be a JSON object, not {type(values).__name__}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, cls)) if field.init}
    unknown = [str(key) for key in values if key not in fields]
    if unknown:
        raise ValueError(f"{where} has unknown entries: {', '.join(unknown[:5])}")
    built = {}
    for name, field in fields.items():
        if name in values:
            built[name] = parse_value(hints[name], values[name], f"{where}.{name}", finite=finite)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}.{name} is missing")
    try:
        return cls(**built)
    except ValueError:
        raise
    except (ArithmeticError, LookupError, TypeError) as error:  # of values that no file of ours has
        raise ValueError(f"{where} holds values that do not go together ({error})") from error


def parse_value(hint: Any, value: Any, where: str, *, finite: bool = True) -> Any:
    """Check `value` against the type `hint` (those of `parse_dataclass`) and return it in that type.

    Raises:
        ValueError: It is of another type, not one of the choices, not finite or too large.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return _parse_union(arguments, value, where, finite=finite)
    if origin is Literal:
        if value not in arguments or isinstance(value, bool):
            raise ValueError(f"{where} must be one of {', '.join(map(str, arguments))}, not {value!r:.60}")
        return value
    if origin is tuple:
        return _parse_tuple(arguments, value, where, finite=finite)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return parse_dataclass(hint, value, where, finite=finite)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} must be a JSON object")
        inner = arguments[1]
        return {
            str(k): v if inner is Any else parse_value(inner, v, f"{where}.{k!s:.40}", finite=finite)
            for k, v in value.items()
        }
    return _parse_scalar(hint, value, where, finite=finite)


def _parse_union(arguments: tuple[Any, ...], value: Any, where: str, *, finite: bool) -> Any:
    if value is None and type(None) in arguments:
        return None
    kinds = {kind: a for a in arguments if dataclasses.is_dataclass(a) for kind in _kind_of(a)}
    if kinds and isinstance(value, Mapping):
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            raise ValueError(f"{where}.kind must be one of {', '.join(kinds)}, not {kind!r:.60}")
        return parse_value(kinds[kind], value, where, finite=finite)
    candidates = [argument for argument in arguments if argument is not type(None)]
    if len(candidates) == 1 and dataclasses.is_dataclass(candidates[0]):
        return parse_value(candidates[0], value, where, finite=finite)  # whose message says what is wrong inside
    for candidate in candidates:
        try:
            return parse_value(candidate, value, where, finite=finite)
        except ValueError:
            continue
    raise ValueError(f"{where} has a value of a wrong type: {value!r:.60}")


def _kind_of(cls: Any) -> list[str]:
    return [str(field.default) for field in dataclasses.fields(cls) if field.name == "kind"]


def _parse_tuple(arguments: tuple[Any, ...], value: Any, where: str, *, finite: bool) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where} must be a list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(value) != len(arguments):
        raise ValueError(f"{where} must have {len(arguments)} entries, not {len(value)}")
    return tuple(
        parse_value(hint, item, f"{where}[{i}]", finite=finite)
        for i, (hint, item) in enumerate(zip(arguments, value, strict=True))
    )


def _parse_scalar(hint: Any, value: Any, where: str, *, finite: bool) -> Any:
    if hint not in _SCALARS:
        raise ValueError(f"{where} must be {getattr(hint, '__name__', hint)}, not {value!r:.60}")
    try:
        return checked(hint, value, finite=finite)
    except MisfitError as error:
        if hint is int and isinstance(value, int) and not isinstance(value, bool):
            raise ValueError(f"{where} must be at most {MAX_INTEGER} in magnitude, not {value!r:.60}") from error
        raise ValueError(f"{where} must be {hint.__name__}, not {value!r:.60}") from error
