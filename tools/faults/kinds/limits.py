"""Limits of the system: memory, open files, shared memory; and clocks that jump."""

import os
import random
import resource
import signal
import time
from pathlib import Path

from tools.faults.ground import Ground
from tools.faults.kinds.disks import broken
from tools.faults.system import allows_small_shared_memory, memory_group, see_small_shared_memory
from tools.faults.trial import Kind, Verdict, not_possible

_YEAR = 365 * 86_400.0


def limit_memory(ground: Ground, draws: random.Random) -> Verdict:
    """Let a command have little more address space than it begins with."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    more = round(2 ** draws.uniform(16, 28))

    def limit() -> None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        size = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    if not Path("/proc/self/statm").exists():
        return not_possible("this system does not say how much memory a process has")
    ended = ground.call(command.words(ground.fresh(command)), before=limit)
    did = f"{command.name} with {more:,} bytes of address space more: status {ended.status}"
    return Verdict(did, broken(ended) or ground.ends_like_undisturbed(command))


def kill_for_memory(ground: Ground, draws: random.Random) -> Verdict:
    """Put a command into a group with a limit of memory, where the system kills what goes beyond it."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    room = round(2 ** draws.uniform(20, 25))
    with memory_group(room) as entrance:
        if entrance is None:
            return not_possible("groups of processes with a limit of memory cannot be made here")
        path = entrance

        def enter() -> None:
            path.write_text(str(os.getpid()))

        ended = ground.call(command.words(ground.fresh(command)), before=enter)
    did = f"{command.name} in a group of {room:,} bytes: status {ended.status}"
    wrong = "" if ended.status == -signal.SIGKILL else broken(ended)
    return Verdict(did, wrong or ground.ends_like_undisturbed(command))


def limit_files(ground: Ground, draws: random.Random) -> Verdict:
    """Let a command have few open files."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    most = draws.randint(4, 60)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    ended = ground.call(command.words(ground.fresh(command)), before=limit)
    did = f"{command.name} with {most} open files: status {ended.status}"
    return Verdict(did, broken(ended) or ground.ends_like_undisturbed(command))


def shrink_shared_memory(ground: Ground, draws: random.Random) -> Verdict:
    """Let a training with processes that load images see a small ``/dev/shm``."""
    if not allows_small_shared_memory():
        return not_possible("this system allows no /dev/shm of a process's own")
    if str(ground.folder).startswith("/dev/shm"):
        return not_possible("the campaign itself lies in /dev/shm")
    command = ground.commands()["train-workers"]
    ground.expected(command)
    size = 4096 * draws.randint(1, 64)
    ended = ground.call(command.words(ground.fresh(command)), before=lambda: see_small_shared_memory(size))
    did = f"{command.name} with {size:,} bytes of /dev/shm: status {ended.status}"
    if ended.complaint or ended.status:
        return Verdict(did, f"status {ended.status}: {ended.complaint or ended.last_line}")
    return Verdict(did, ground.difference(command))


def jump_clocks(ground: Ground, draws: random.Random) -> Verdict:
    """Let the clock jump by years at random readings."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    jumps = random.Random(draws.random())

    def install() -> None:
        real, offset = time.time, 0.0

        def jumping() -> float:
            nonlocal offset
            if jumps.random() < 0.2:
                offset = jumps.uniform(-20, 20) * _YEAR
            return real() + offset

        time.time = jumping
        time.time_ns = lambda: int(jumping() * 1e9)

    ended = ground.call(command.words(ground.fresh(command)), before=install)
    did = f"{command.name} with a clock that jumps"
    if ended.complaint or ended.status:
        return Verdict(did, f"status {ended.status}: {ended.complaint or ended.last_line}")
    return Verdict(did, ground.difference(command))


KINDS = (
    Kind(
        "little-memory",
        "With little address space a command ends with a message; the same command then goes on",
        limit_memory,
    ),
    Kind("killed-for-memory", "A command that the system kills for its memory can be called again", kill_for_memory),
    Kind("few-files", "With few open files a command does its work or ends with a message", limit_files),
    Kind(
        "small-shm",
        "With a small `/dev/shm` a training with loading processes comes to the same end",
        shrink_shared_memory,
    ),
    Kind("clocks", "A clock that jumps by years changes nothing of what is written", jump_clocks),
)
