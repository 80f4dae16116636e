"""Commands that consist of several: ``tandem data`` and ``tandem bench``."""

import importlib
import sys
from collections.abc import Mapping, Sequence

from tandem.errors import ConfigError, nearest


def dispatch(name: str, description: str, parts: Mapping[str, tuple[str, str]], arguments: Sequence[str]) -> int:
    """Run the part of a command that the first argument names, or say which there are.

    Args:
        name: The command's.
        description: A sentence for its help.
        parts: Module (with a function ``main(arguments) -> exit status``) and one line of help of each part.
        arguments: The words after the command's name.

    Returns:
        The exit status.

    Raises:
        ConfigError: There is no such part.
    """
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(_usage(name, description, parts))
        return 0 if arguments else 2
    if arguments[0] not in parts:
        raise ConfigError(
            f"there is no 'tandem {name} {arguments[0]}'.{nearest(arguments[0], parts)} There are {', '.join(parts)}."
        )
    return importlib.import_module(parts[arguments[0]][0]).main(arguments[1:])


def _usage(name: str, description: str, parts: Mapping[str, tuple[str, str]]) -> str:
    lines = [f"usage: tandem {name} {' | '.join(parts)} …", "", description]
    for module, help_text in parts.values():
        lines += ["", f"  {importlib.import_module(module).COMMAND.usage}", f"      {help_text}"]
    lines += ["", f"'tandem {name} {next(iter(parts))} --help' says more, and so does --help of the others."]
    return "\n".join(lines) + "\n"
