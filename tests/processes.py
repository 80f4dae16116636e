"""Processes that train together, as copies of the test's: quick to start, real in all else."""

import multiprocessing
import os
import signal
import socket
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from tandem.training.distributed import join
from tandem.training.process_group import ProcessGroup

SECONDS = 60.0

_fork = multiprocessing.get_context("fork")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def place(rank: int, size: int, port: int) -> dict[str, str]:
    """What torchrun puts into the environment of a process."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


class ProcessGroupRun:
    """Processes that run `work` in a process_group of `size`.

    Args:
        work: What each does; what it returns must be picklable and no tensor.
        size: How many there are.
        launcher: What it puts into the environment: of the rank, the size and a port.
    """

    def __init__(
        self,
        work: Callable[[ProcessGroup], Any],
        *,
        size: int = 2,
        launcher: Callable[[int, int, int], Mapping[str, str]] = place,
    ) -> None:
        port = free_port()
        self._ends: list[Connection] = []
        self.processes = []
        for rank in range(size):
            ours, theirs = _fork.Pipe()
            variables = launcher(rank, size, port)
            process = _fork.Process(target=_run, args=(work, variables, theirs), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(ours)
            self.processes.append(process)

    def results(self) -> list[Any]:
        """What each returned, or the exception that it ended with as ``"Name: text"``; None for one that was killed."""
        found = []
        for end, process in zip(self._ends, self.processes, strict=True):
            try:
                found.append(end.recv() if end.poll(SECONDS) else "nothing in time")
            except EOFError:
                found.append(None)
            process.join(5)
            if process.is_alive():
                process.kill()
                found[-1] = f"does not end, after {found[-1]!r}"
        return found

    def kill(self, rank: int) -> None:
        """End one process at once."""
        pid = self.processes[rank].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)


def together(work: Callable[[ProcessGroup], Any], *, size: int = 2) -> list[Any]:
    """What `work` returns in each process of a process_group; an exception in any of them fails the test."""
    results = ProcessGroupRun(work, size=size).results()
    problems = [str(one) for one in results if isinstance(one, str) and "Traceback" in one]
    assert not problems, "\n".join(problems)
    return results


def _run(work: Callable[[ProcessGroup], Any], variables: Mapping[str, str], end: Connection) -> None:
    os.environ.update(variables)
    try:
        with join("cpu") as process_group:
            result = work(process_group)
    except BaseException as error:
        result = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    end.send(result)
