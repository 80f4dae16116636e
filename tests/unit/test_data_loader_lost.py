"""Loading when the system takes workers, shared memory or open files away: the same batches, or a reason."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tandem.data import handover, loader
from tandem.data.datasets import Sample
from tandem.data.loader import BatchLoader, make_loader
from tandem.data.micro_batches import MicroBatches
from tandem.errors import LostWorkersError

SETTINGS: dict[str, Any] = {"start": 4, "batch_size": 4, "micro_batches": MicroBatches.of_process(0, 1, per_process=2)}


class Numbers:
    """Samples that follow from their positions."""

    def __len__(self) -> int:
        return 5

    def files_at(self, position: int) -> list[str]:
        return [str(position)]

    def __getitem__(self, position: int) -> Sample:
        value = torch.full((3, 16, 16), float(position))
        return Sample(a=value[:1], b=-value, name=f"n{position}", position=position)


def same(found: list[loader.Batch], expected: list[loader.Batch]) -> bool:
    return all(
        one["positions"] == other["positions"]
        and one["names"] == other["names"]
        and torch.equal(one["a"], other["a"])
        and torch.equal(one["b"], other["b"])
        for one, other in zip(found, expected, strict=True)
    )


def kill_one(batches: BatchLoader, number: int) -> None:
    worker = batches._workers[number % len(batches._workers)]
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()


def test_killed_workers_are_replaced(caplog: pytest.LogCaptureFixture) -> None:
    dataset = Numbers()
    with make_loader(dataset, num_workers=0, **SETTINGS) as plain:
        expected = [next(plain) for _ in range(30)]
    before = signal.getsignal(signal.SIGCHLD)
    with make_loader(dataset, num_workers=2, **SETTINGS) as batches:
        found = []
        for number in range(30):
            if number in {0, 11, 23}:
                kill_one(batches, number)
            found.append(next(batches))
    assert same(found, expected)
    assert "a process that loads images was lost (killed by SIGKILL) and is replaced" in caplog.text
    assert signal.getsignal(signal.SIGCHLD) == before


def test_a_worker_that_closes_its_connections_before_it_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    """As one that is killed does: the error is there a moment before the end can be seen."""
    dataset = Numbers()
    with make_loader(dataset, num_workers=0, **SETTINGS) as plain:
        expected = [next(plain) for _ in range(6)]
    with make_loader(dataset, num_workers=2, **SETTINGS) as batches:
        found = [next(batches) for _ in range(3)]
        worker = batches._workers[0]
        assert worker.pid is not None

        def reset() -> Iterator[loader.Batch]:
            threading.Timer(0.4, os.kill, (worker.pid, signal.SIGKILL)).start()
            raise ConnectionResetError("Connection reset by peer")
            yield

        kept, batches._batches = batches._batches, reset()
        found += [next(batches) for _ in range(3)]
        del kept
    assert same(found, expected)
    assert "a process that loads images was lost (killed by SIGKILL) and is replaced" in caplog.text


def test_an_error_of_the_system_while_all_workers_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "ENDING_SECONDS", 0.2)

    def fail() -> Iterator[loader.Batch]:
        raise OSError(24, "Too many open files")
        yield

    with make_loader(Numbers(), num_workers=1, **SETTINGS) as batches:
        kept, batches._batches = batches._batches, fail()
        with pytest.raises(OSError, match="Too many open files"):
            next(batches)
        assert batches._workers[0].is_alive()
        del kept


def test_workers_that_are_always_killed() -> None:
    with make_loader(Numbers(), num_workers=1, **SETTINGS) as batches:
        for _ in range(3):
            kill_one(batches, 0)
            next(batches)
        kill_one(batches, 0)
        with pytest.raises(LostWorkersError, match=r"killed 4 times within 100 batches .*by SIGKILL"):
            next(batches)
        assert batches._workers == []


def test_closing_ends_workers_that_do_nothing() -> None:
    batches = make_loader(Numbers(), num_workers=2, **SETTINGS)
    next(batches)
    pids = [worker.pid for worker in batches._workers]
    kept = batches._batches  # as the traceback of an error keeps it
    begun = time.monotonic()
    batches.close()
    assert time.monotonic() - begun < 10
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    del kept


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/shm")
def test_a_small_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches go another way, and are the same."""
    dataset = Numbers()
    with make_loader(dataset, num_workers=0, **SETTINGS) as plain:
        expected = [next(plain) for _ in range(8)]
    for module in (loader, handover):
        monkeypatch.setattr(module, "free_shared_memory", lambda: 60_000)
    with make_loader(dataset, num_workers=2, **SETTINGS) as batches:
        assert batches._plainly
        sent = [next(batches) for _ in range(8)]
    assert same(sent, expected)
    monkeypatch.setattr(handover, "free_shared_memory", lambda: 10**8)
    with make_loader(dataset, num_workers=2, **SETTINGS) as batches:
        assert not batches._plainly


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/shm")
def test_no_shared_memory_at_all(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Not even locks have room: the process loads itself."""
    monkeypatch.setattr(handover, "free_shared_memory", lambda: 4096)
    with make_loader(Numbers(), num_workers=0, **SETTINGS) as plain:
        expected = [next(plain) for _ in range(3)]
    with make_loader(Numbers(), num_workers=2, **SETTINGS) as batches:
        assert same([next(batches) for _ in range(3)], expected)
        assert batches._workers == []
    assert "/dev/shm has 4096 bytes free, too few for the locks of 2 processes" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
@pytest.mark.parametrize(
    ("soft", "hard", "workers", "limit"), [(64, 4096, 4, 170), (64, 100, 4, 100), (256, 256, 2, 256)]
)
def test_few_open_files(soft: int, hard: int, workers: int, limit: int) -> None:
    """The own limit is raised as far as it goes, then fewer workers do."""
    code = (
        "import resource\nfrom tandem.data.handover import usable_workers\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "print(usable_workers(4), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    usable, raised = map(int, done.stdout.split())
    assert raised <= hard
    if hard == 4096:
        assert usable == 4
        assert raised > limit - 10
    else:
        assert usable < 4 or raised == hard
        assert (usable < 4) == ("raise the limit" in done.stderr.lower())
