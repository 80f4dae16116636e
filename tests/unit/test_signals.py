"""The first signal asks, the second insists, and afterwards everything is as before."""

import os
import signal
import threading
import time

import pytest

from tandem.training.signals import GracefulStop

KINDS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_signal_asks(kind: signal.Signals) -> None:
    with GracefulStop() as stop:
        assert stop.signal is None
        os.kill(os.getpid(), kind)
        assert stop.signal is kind


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_the_second_insists(first: signal.Signals, second: signal.Signals) -> None:
    stop = GracefulStop()
    with stop:
        os.kill(os.getpid(), first)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), second)
    assert stop.signal is first


def test_handlers_come_back() -> None:
    before = [signal.getsignal(kind) for kind in KINDS]
    with GracefulStop():
        assert [signal.getsignal(kind) for kind in KINDS] != before
    assert [signal.getsignal(kind) for kind in KINDS] == before
    with pytest.raises(ValueError, match="inside"), GracefulStop():
        raise ValueError("inside")
    assert [signal.getsignal(kind) for kind in KINDS] == before


def test_elsewhere_it_does_nothing() -> None:
    """Python lets only the main thread handle signals."""
    found: list[object] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGINT)
        with GracefulStop() as stop:
            found.extend([stop.signal, signal.getsignal(signal.SIGINT) is before])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None, True]


def test_what_a_launcher_repeats_does_not_insist() -> None:
    """The terminal, torchrun and the cluster may each send the same signal."""
    with GracefulStop(deaf_seconds=0.3) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal is signal.SIGTERM
        time.sleep(0.35)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("own", "agreed"), [(None, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM), (None, None)])
def test_processes_settle_on_a_signal(own: signal.Signals | None, agreed: signal.Signals | None) -> None:
    stop, asked = GracefulStop(), []
    stop.signal = own

    def agree(number: int) -> int:
        asked.append(number)
        return int(agreed or 0)

    stop.settle(agree)
    assert asked == [int(own or 0)]
    assert stop.signal is agreed
