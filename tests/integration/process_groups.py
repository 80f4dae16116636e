"""Several processes of one training, as copies of the test's process or under torchrun."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from support import ENVIRONMENT, Finished, fork, wait_for

from processes import free_port, place

SECONDS = 60


def forked(*arguments: str | Path, logs: Path, size: int = 2) -> list[int]:
    """Start the command line in `size` copies of this process, which write to ``logs/RANK.txt``; their numbers."""
    port = free_port()
    logs.mkdir(parents=True, exist_ok=True)

    def before(rank: int) -> None:
        os.environ.update(place(rank, size, port))
        sys.stderr = (logs / f"{rank}.txt").open("w", buffering=1)
        os.dup2(sys.stderr.fileno(), 2)

    return [fork(*arguments, before=lambda rank=rank: before(rank)) for rank in range(size)]


def run_forked(*arguments: str | Path, logs: Path, size: int = 2) -> None:
    """Run the command line in `size` processes; all must succeed."""
    for rank, pid in enumerate(forked(*arguments, logs=logs, size=size)):
        assert wait_for(pid) == 0, (logs / f"{rank}.txt").read_text()


class Torchrun:
    """torchrun with two processes of the command line, ended with all its processes if a test leaves it running."""

    def __init__(self, *arguments: str | Path, log: Path, options: Sequence[str] = ()) -> None:
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *options, "-m", "tandem"]
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [*command, *map(str, arguments)], env=ENVIRONMENT, stdout=file, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> "Torchrun":
        return self

    def __exit__(self, *_: object) -> None:
        for pid in [self.process.pid, *self.workers().values()] if self.process.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def finish(self, seconds: float = SECONDS) -> Finished:
        """Wait for its end."""
        status = self.process.wait(seconds)
        return Finished(status, self.log.read_text(), "")

    def workers(self) -> dict[int, int]:
        """The numbers of the processes that train now, by rank."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            if parent == str(self.process.pid):
                found |= {int(v.removeprefix(b"RANK=")): int(folder.name) for v in variables if v.startswith(b"RANK=")}
        return found


def processes_with(word: str) -> list[int]:
    """The numbers of all running processes that have `word` in their command."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if word.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def gone(word: str, seconds: float) -> bool:
    """Whether all processes with `word` in their command end in time."""
    deadline = time.monotonic() + seconds
    while processes_with(word):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
