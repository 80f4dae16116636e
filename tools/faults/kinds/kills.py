"""Kills: inside writes, at random moments, and of the processes that load images."""

import contextlib
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools.faults.ground import Command, Ground, leftovers
from tools.faults.process import until
from tools.faults.trial import Kind, Verdict, not_possible

_TOUCHES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.utime", "os.link"}
_KILLED = {-signal.SIGKILL, -signal.SIGXFSZ}


def killed_at_touch(count: int, folder: Path) -> Callable[[], None]:
    """Makes a process kill itself just before it touches a file in `folder` for the `count`-th time."""

    def install() -> None:
        left, own = count, os.getpid()

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in _TOUCHES and str(arguments[0]).startswith(str(folder)) and os.getpid() == own:
                left -= 1
                if left == 0:
                    os.kill(own, signal.SIGKILL)

        sys.addaudithook(hook)

    return install


def killed_at_byte(size: int) -> Callable[[], None]:
    """Makes a process that writes a file beyond `size` bytes be killed by the system, with so many bytes written."""

    def install() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return install


def _again(ground: Ground, command: Command, did: str) -> Verdict:
    wrong = ground.ends_like_undisturbed(command)
    left = leftovers(ground.out)
    return Verdict(did, wrong or (f"left behind: {', '.join(left[:3])}" if left else ""))


def kill_in_writes(ground: Ground, draws: random.Random) -> Verdict:
    """Kill a command before it touches a file, or in the middle of its bytes, two times or three, then run it again."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    out, moments = ground.fresh(command), []
    for _ in range(draws.randint(1, 3)):
        if draws.random() < 0.6:
            count = draws.randint(1, draws.choice([10, 40, 250]))
            moments.append(f"touch {count}")
            before = killed_at_touch(count, out)
        else:
            size = round(2 ** draws.uniform(0, 18))
            moments.append(f"byte {size}")
            before = killed_at_byte(size)
        ended = ground.call(command.words(out), before=before)
        if ended.status not in {0, *_KILLED} or ended.complaint:
            return Verdict(f"{command.name}, {moments}", f"status {ended.status}: {ended.complaint or ended.last_line}")
    return _again(ground, command, f"{command.name}, killed at {', '.join(moments)}")


def kill_at_random(ground: Ground, draws: random.Random) -> Verdict:
    """Kill a command after random times, then run it again."""
    command = draws.choice(list(ground.commands().values()))
    ground.expected(command)
    out, moments = ground.fresh(command), []
    for _ in range(draws.randint(1, 4)):
        running = ground.start(command.words(out))
        moments.append(draws.uniform(0.02, 1.0) * ground.seconds(command))
        until(running.has_ended, moments[-1])
        running.kill()
        ended = running.wait()
        if ended.status not in {0, -signal.SIGKILL} or ended.complaint:
            return Verdict(f"{command.name}, {moments}", f"status {ended.status}: {ended.complaint or ended.last_line}")
    times = ", ".join(f"{moment:.2f}" for moment in moments)
    return _again(ground, command, f"{command.name}, killed after {times} s")


def kill_workers(ground: Ground, draws: random.Random) -> Verdict:
    """Kill processes that load images while a run trains; it must end by itself, and the run be the same."""
    children = Path("/proc/self/task")
    if not children.exists():
        return not_possible("this system does not list the children of a process")
    command = ground.commands()["train-workers"]
    ground.expected(command)
    out = ground.fresh(command)
    running = ground.start(command.words(out))
    path = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    kills = 0
    for _ in range(draws.randint(1, 6)):
        if not until(lambda: running.has_ended() or bool(_numbers(path)), 60):
            break
        time.sleep(draws.uniform(0, 0.3))
        for pid in _numbers(path)[:1]:
            with_signal = draws.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGBUS])
            _send(pid, with_signal)
            kills += 1
    ended = running.wait()
    did = f"{kills} kills of processes that load"
    if ended.complaint or ended.status not in {0, 1}:
        return Verdict(did, f"status {ended.status}: {ended.complaint or ended.last_line}")
    return _again(ground, command, did)


def _numbers(path: Path) -> list[int]:
    try:
        return [int(word) for word in path.read_text().split()]
    except OSError:
        return []


def _send(pid: int, kind: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, kind)


KINDS = (
    Kind(
        "kill-in-writes",
        "A command that is killed before any touch of a file, or at any byte of one, ends like an undisturbed one when "
        "it is called again",
        kill_in_writes,
    ),
    Kind("kill-at-random", "The same at random moments, several times in a row", kill_at_random),
    Kind(
        "kill-workers",
        "A run whose loading processes are killed ends by itself, with 0 or 1, and gets to the same end, bit for bit",
        kill_workers,
    ),
)
