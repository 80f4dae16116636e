"""Count the files of the package that a command enters, and the calls from one file into another.

    python tools/trace_files.py evaluate --images REAL GENERATED --metrics l1 --out OUT

The rest of the line is a command of ``tandem``, which runs in this process. A file is entered when one of its
functions, methods or comprehensions runs in any thread, also while something is imported; the code of a module itself,
which runs once when it is imported, does not count, nor do the bodies of its classes. A call goes across files when
caller and callee lie in different files of the package; calls through a library (a callback, a thread, a context
manager) have no caller in the package and do not count. ``--list`` prints every file with the number of calls into it,
the most frequented first.

The number says how many files somebody has to open to follow one path through the program, and how often they turn a
page.
"""

import argparse
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "tandem"


@dataclass
class Trace:
    """What was entered.

    Attributes:
        entered: By file, how many functions of it were called from anywhere.
        across: By file, how many of these calls came from another file of the package.
    """

    entered: Counter[str] = field(default_factory=Counter)
    across: Counter[str] = field(default_factory=Counter)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Take note of an event; see `sys.setprofile`."""
        del argument
        if event != "call" or not _is_function(frame.f_code):
            return
        file = _file_of(frame)
        if file is None:
            return
        self.entered[file] += 1
        caller = None if frame.f_back is None else _file_of(frame.f_back)
        if caller is not None and caller != file:
            self.across[file] += 1


def trace(arguments: Sequence[str]) -> tuple[int, Trace]:
    """Run a command of ``tandem`` in this process: its exit status, and what it entered."""
    from tandem.cli import main as run  # noqa: PLC0415  (its import is no part of the command)

    found = Trace()
    threading.setprofile(found)
    sys.setprofile(found)
    try:
        status = run(list(arguments))
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  (as its documentation says)
    return status, found


def _is_function(code: CodeType) -> bool:
    """Whether code is no module's or class's own: these have no fast locals."""
    return bool(code.co_flags & 0x1)


def _file_of(frame: FrameType) -> str | None:
    return _in_package(frame.f_code.co_filename)


@cache
def _in_package(name: str) -> str | None:
    path = Path(name)
    return str(path.relative_to(PACKAGE)) if path.is_relative_to(PACKAGE) else None


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="print every file")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a command of tandem with its options")
    arguments = parser.parse_args()
    status, found = trace(arguments.command)
    if arguments.list:
        for file, calls in found.entered.most_common():
            print(f"{calls:7,}  {found.across[file]:7,} across  {file}")
    print(f"{len(found.entered)} files entered, {sum(found.across.values()):,} calls across files")
    return status


if __name__ == "__main__":
    sys.exit(main())
