"""Who is silent for too long counts as lost, and nobody else does."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
import torch.distributed as dist

from tandem.errors import PeerError
from tandem.training import heartbeat
from tandem.training.heartbeat import SILENCE_SECONDS, Heartbeat, Watch


def test_the_watch_goes_by_changes() -> None:
    watch = Watch(2, 100.0)
    assert watch.silent([b"1", b"7"], 101.0) == []
    assert watch.silent([b"2", b"7"], 101.0 + SILENCE_SECONDS) == []
    assert watch.silent([b"3", b"7"], 101.5 + SILENCE_SECONDS) == [1]
    assert watch.silent([b"4", b"8"], 102.0 + SILENCE_SECONDS) == []  # it was only slow


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("BEAT_SECONDS", 0.02), ("SILENCE_SECONDS", 0.3), ("GRACE_SECONDS", 0.1)):
        monkeypatch.setattr(heartbeat, name, seconds)


@pytest.fixture
def store() -> dist.Store:
    store = dist.HashStore()
    for rank in range(2):
        store.set(Heartbeat.key(rank), "0")
    return store


def started(store: dist.Store, rank: int, end: Callable[[int], None]) -> Heartbeat:
    beat = Heartbeat(store, rank=rank, size=2, end=end)
    beat.start()
    return beat


def test_the_living_are_left_alone_and_the_dead_are_noticed(quick: None, store: dist.Store) -> None:
    ended = threading.Event()
    first, second = started(store, 0, lambda _: ended.set()), started(store, 1, lambda _: None)
    assert not ended.wait(1.0)
    first.check()
    second.stop()
    assert ended.wait(5.0)
    with pytest.raises(PeerError, match=r"nothing has been heard of process 1 for .* same command continues"):
        first.check()
    first.stop()


def test_a_main_thread_that_ends_by_itself_is_not_ended(quick: None, store: dist.Store) -> None:
    ended = threading.Event()
    beat = started(store, 0, lambda _: ended.set())
    while True:
        try:
            beat.check()
        except PeerError:
            break
    beat.stop()
    assert not ended.wait(0.5)


def test_a_store_that_is_gone(quick: None) -> None:
    ended = threading.Event()
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    client = dist.TCPStore("127.0.0.1", server.port, is_master=False, wait_for_workers=False)
    for rank in range(2):
        client.set(Heartbeat.key(rank), "0")
    first, second = started(client, 0, lambda _: ended.set()), started(server, 1, lambda _: None)
    assert not ended.wait(0.5)
    second.stop()
    del second, server
    assert ended.wait(10.0)
    first.stop()


STORE = """
import sys, torch.distributed as dist
store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
print(store.port, flush=True)
sys.stdin.read()
"""


def test_a_store_that_stalls(quick: None) -> None:
    """Its process is stopped: connections stay open, and nothing comes any more."""
    server = subprocess.Popen([sys.executable, "-c", STORE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        client = dist.TCPStore("127.0.0.1", int(server.stdout.readline()), is_master=False, wait_for_workers=False)
        for rank in range(2):
            client.set(Heartbeat.key(rank), "0")
        ended = threading.Event()
        beat = started(client, 0, lambda _: ended.set())
        server.send_signal(signal.SIGSTOP)
        assert ended.wait(10.0)
        with pytest.raises(PeerError, match="has been silent for"):
            beat.check()
        beat.stop()
    finally:
        server.kill()
        server.wait()
