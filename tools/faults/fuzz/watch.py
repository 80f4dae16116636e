"""Inputs one after the other in processes of their own, and what no input may do."""

import contextlib
import logging
import mmap
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tandem.errors import NoMemoryError, TandemError
from tools.faults.fuzz import mutate
from tools.faults.fuzz.readers import Reader
from tools.faults.ground import Ground

SECONDS = 10.0
"""Of CPU time."""
WAITING_SECONDS = 60.0
MEMORY_BYTES = 1 << 30
IN_MEMORY = Path("/dev/shm")
"""Files are twice as quick to write there; any other place for temporary files does."""
_WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate"}

_OF_TWO = {"os.rename", "os.link"}
_WITHIN = {"os.remove", "os.rmdir"}


class HangError(BaseException):
    """An input has taken too long; nothing that is read catches it."""


@dataclass(frozen=True)
class Found:
    """What an input has done that none may do."""

    number: int
    wrong: str


@dataclass(frozen=True)
class Batch:
    """What came of some inputs: how many were tried, and how many of these were taken for good ones."""

    tried: int
    taken: int
    found: tuple[Found, ...]


def make_input(reader: Reader, seeds: list[bytes], number: int, seed: int) -> bytes:
    """An input; it follows from reader, number and seed."""
    draws = random.Random(f"{seed} {reader.name} {number}")
    content = draws.choice(seeds)
    try:
        return reader.change(content, draws)
    except Exception:  # what the format cannot carry, as a name of a member without end
        return mutate.of_bytes(content, draws)


def try_inputs(ground: Ground, reader: Reader, numbers: range, seed: int) -> Batch:
    """Try inputs in a copy of this process; one that ends it is found, and the others follow in another copy."""
    reader.seeds(ground)  # some are made by commands, once
    tried, taken, found = 0, 0, []
    in_memory = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    while tried < len(numbers):
        rest = numbers[tried:]
        shared = mmap.mmap(-1, 16)
        notes = ground.folder / "found.txt"
        notes.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix="tandem-fuzz-", dir=in_memory, ignore_cleanup_errors=True) as folder:
            pid = os.fork()
            if not pid:
                try:
                    _try_here(ground, reader, rest, seed, folder=Path(folder), shared=shared, notes=notes)
                except BaseException:
                    notes.open("a").write(f"{rest[0]} the trial itself failed: {traceback.format_exc()[-600:]!r}\n")
                    os._exit(7)
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        done, good = int.from_bytes(shared[:8], "little"), int.from_bytes(shared[8:], "little")
        if notes.exists():
            for line in notes.read_text(errors="backslashreplace").splitlines():
                number, _, wrong = line.partition(" ")
                found.append(Found(int(number), wrong))
        if status == 7:
            raise RuntimeError(f"{reader.name}: {found[-1].wrong}")
        if status:
            found.append(Found(rest[min(done, len(rest) - 1)], f"the process ended with {status}"))
            done += 1
        tried, taken = tried + done, taken + good
    return Batch(tried, taken, tuple(found))


def _try_here(
    ground: Ground, reader: Reader, numbers: range, seed: int, *, folder: Path, shared: mmap.mmap, notes: Path
) -> None:
    seeds = reader.seeds(ground)
    place, temporary = folder / "place", folder / "temporary"
    for one in (place, temporary):
        one.mkdir()
    tempfile.tempdir = str(temporary)  # what a library can read from a file alone goes there, and nowhere else
    os.sync = lambda: None  # the disks are not what is tried, and everybody on the machine would wait for them
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    for output in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    read = reader.prepare(ground, place)
    _limit_memory()
    outside: list[str] = []
    _watch_writes((place, temporary), notes, outside)
    for kind in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(kind, _hang)
    taken = 0
    for done, number in enumerate(numbers):
        shared[:16] = done.to_bytes(8, "little") + taken.to_bytes(8, "little")
        content = make_input(reader, seeds, number, seed)
        wrong, is_taken = "", False
        begun = time.monotonic()
        try:
            with _alarm():
                read(content)
            is_taken = True
        except NoMemoryError as error:
            wrong = f"it asks for too much memory: {error}"
        except TandemError:
            pass
        except HangError:
            wrong = f"it takes more than {SECONDS:.0f} s of CPU time, or {WAITING_SECONDS:.0f} s"
        except OSError as error:  # as when it is a matter of the system: the command line has a message for it
            wrong = "" if error.errno is not None and error.filename is not None else repr(error)
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            wrong = f"{type(error).__name__}: {str(error)[:150]!r} ({Path(last.filename).name}:{last.lineno})"
        if outside:
            wrong, outside[:] = f"it writes outside: {outside[0]}", []
        if wrong:
            with notes.open("a") as file:
                file.write(f"{number} {wrong} after {time.monotonic() - begun:.1f} s\n")
            outside.clear()
        taken += is_taken and not wrong
    shared[:16] = len(numbers).to_bytes(8, "little") + taken.to_bytes(8, "little")


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    size = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _watch_writes(folders: Sequence[Path], notes: Path, outside: list[str]) -> None:
    """Note every touch of a path beyond some folders by what changes files."""
    roots = tuple(os.path.realpath(folder) for folder in folders)
    allowed = (*(root + os.sep for root in roots), os.path.realpath(notes), "/dev/null")

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            paths = [path] if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else []
        elif event in _WRITES:
            paths = arguments[: 2 if event in _OF_TWO else 1]
        else:
            return
        # What removes whole trees gives names within a folder that it has open.
        inner = [one for one in arguments[1:] if isinstance(one, int) and one > 2] if event in _WITHIN else []
        base = Path(f"/proc/self/fd/{inner[-1]}") if inner else Path()
        for one in paths:
            if isinstance(one, str | bytes):
                place = os.path.realpath(base / os.fsdecode(one))
                if place not in roots and not place.startswith(allowed):
                    outside.append(f"{event} {place[:200]}")

    sys.addaudithook(hook)


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    limits = {signal.ITIMER_PROF: SECONDS, signal.ITIMER_REAL: WAITING_SECONDS}
    for timer, seconds in limits.items():
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer in limits:
            signal.setitimer(timer, 0)


def _hang(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise HangError
