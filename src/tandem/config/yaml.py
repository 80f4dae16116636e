"""A run's options as a YAML text that a person reads and `--config` takes back."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tandem.config.options import Option, options_of, refuse
from tandem.config.plain_yaml import load_yaml
from tandem.config.run import RunConfig
from tandem.config.values import MisfitError, convert
from tandem.errors import ConfigError, Problem
from tandem.foreign import read_bounded

MAX_BYTES = 2**20
_KEYS_OF_PEOPLE = str.maketrans("-", "_")


def read_file(file: Path) -> dict[str, Any]:
    """What a configuration file says, by the names of the fields and as YAML gives it.

    Raises:
        ConfigError: There is no such file, or it is too large, no text, no YAML, or no lines of ``option: value``.
    """
    text = _text_of(file)
    values = _loaded(file, text)
    if not isinstance(values, dict):
        raise _no_config(
            f"--config {file}: the file must hold lines such as 'steps: 1000', not '{text.strip():.60}'", file
        )
    if wrong := [key for key in values if not isinstance(key, str)]:
        raise _no_config(f"--config {file}: '{wrong[0]}' is no name of an option", file)
    return {key.translate(_KEYS_OF_PEOPLE): value for key, value in values.items()}


def _text_of(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise _no_config(f"--config {file}: the file is larger than {MAX_BYTES} bytes", file)
        return read_bounded(file, MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _no_config(f"--config {file}: the file is no text in UTF-8", file) from error
    except ConfigError:
        raise
    except ValueError as error:
        raise _no_config(f"--config {file}: {error}", file) from error
    except OSError as error:
        raise _no_config(f"--config {file}: the file cannot be read ({error.strerror})", file) from error


def _loaded(file: Path, text: str) -> Any:
    import yaml  # noqa: PLC0415  (start-up time)

    try:
        return load_yaml(text)
    except yaml.MarkedYAMLError as error:
        where = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        raise _no_config(f"--config {file}: the file is no YAML{where}: {error.problem}", file) from error
    except MemoryError:
        raise
    except Exception as error:  # e.g. the 45th of a month, thousands of digits
        raise _no_config(f"--config {file}: the file is no YAML with values that can be read", file) from error


def _no_config(text: str, file: Path) -> ConfigError:
    return ConfigError(problems=[Problem(text, "--config", file)])


def convert_values(
    values: dict[str, Any], options: Iterable[Option], *, unknown: Callable[[dict[str, Any], str], Problem]
) -> dict[str, Any]:
    """The values of a file in the types of their options; text may stand for a number there too.

    Args:
        values: What the file says, by the names of the fields.
        options: The options that there are.
        unknown: Says of one of the names that it does not exist.

    Raises:
        ConfigError: A name does not exist, or a value is not of its option's type; all of them are named.
    """
    known = {one.field: one for one in options}
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in values.items():
        if name not in known:
            problems.append(unknown(values, name))
            continue
        try:
            read = known[name].declared.read
            if isinstance(value, str) and read is not None:
                found[name] = read(value)
            else:
                found[name] = convert(known[name].hint, value, from_text=True)
        except MisfitError:
            problems.append(known[name].misfit(value))
        except ConfigError as error:
            problems += error.problems
    refuse(problems)
    return found


def to_yaml(config: RunConfig) -> str:
    """Every option of `config` with its help as a comment, in groups."""
    lines = ["# Options of a Tandem run: tandem train DATA --out RUN --config THIS_FILE", ""]
    lines += [f"method: {config.objective.method}"]
    for title, group in zip(("data", "method", "training", "validation"), config.groups, strict=True):
        lines += ["", f"# --- {title} ---"]
        for one in options_of(type(group)):
            lines.append(f"{one.field}: {_scalar(getattr(group, one.field))}  # {one.declared.help}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    # To YAML 1.1 a number with an exponent is text unless it has a point as well.
    return re.sub(r"^(-?\d+)e", r"\1.0e", json.dumps(value, ensure_ascii=False))
