"""What processes do together: means, rows, words, waiting, agreeing; and what they say when one is gone."""

import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from processes import ProcessGroupRun, place, together
from tandem.errors import ConfigError, DataError
from tandem.training import all_reduce, distributed, heartbeat
from tandem.training.distributed import join
from tandem.training.process_group import Agreement, ProcessGroup


def own_tensors(rank: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(rank)
    shapes = [(3, 2), (4, 3, 2, 2), (), (0,), (5,)]
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    tensors[1] = tensors[1].to(memory_format=torch.channels_last)
    return [*tensors, torch.randn(7, generator=generator), torch.randn((2, 2), generator=generator)]


@pytest.mark.parametrize("bucket_bytes", [1, 100, 1 << 20])
def test_average(monkeypatch: pytest.MonkeyPatch, bucket_bytes: int) -> None:
    """Of several types and layouts, in buckets of any size, also where a tensor is larger than one."""
    monkeypatch.setattr(all_reduce, "BUCKET_BYTES", bucket_bytes)

    def work(process_group: ProcessGroup) -> list[Any]:
        tensors = own_tensors(process_group.rank)
        strides = [tensor.stride() for tensor in tensors]
        process_group.all_reduce(tensors)
        assert [tensor.stride() for tensor in tensors] == strides
        return [tensor.numpy() for tensor in tensors]

    first, second = together(work)
    expected = [(a + b) / 2 for a, b in zip(own_tensors(0), own_tensors(1), strict=True)]
    for one, other, mean in zip(first, second, expected, strict=True):
        assert one.tobytes() == other.tobytes()
        torch.testing.assert_close(torch.from_numpy(one), mean, rtol=1e-7, atol=1e-12)


def test_gradients_of_parameters_are_averaged_in_place() -> None:
    def work(process_group: ProcessGroup) -> list[float]:
        parameter = torch.nn.Parameter(torch.zeros(2))
        (parameter * torch.tensor([1.0, process_group.rank])).sum().backward()
        gradient = parameter.grad
        assert gradient is not None
        process_group.all_reduce([gradient])
        assert parameter.grad is gradient
        return gradient.tolist()

    assert together(work, size=3) == [[1.0, 1.0]] * 3


def test_rows_words_and_tensors() -> None:
    def work(process_group: ProcessGroup) -> dict[str, Any]:
        rows = torch.full((2, 3), float(process_group.rank)).t().contiguous().t()
        state = {"a": torch.arange(6).view(2, 3), "b": torch.tensor(1.5, dtype=torch.float64), "c": torch.zeros(0, 2)}
        shared = process_group.broadcast_tensors(state if process_group.is_main else None)
        return {
            "rows": process_group.gather_rows(rows)[:, 0].tolist(),
            "told": process_group.broadcast({"rank": process_group.rank, "text": "ä"}),
            "gathered": process_group.gather([process_group.rank]),
            "main": process_group.on_main(lambda: process_group.rank + 5),
            "shared": {name: (str(t.dtype), t.tolist()) for name, t in shared.items()},
        }

    results = together(work, size=3)
    shared = {
        "a": ("torch.int64", [[0, 1, 2], [3, 4, 5]]),
        "b": ("torch.float64", 1.5),
        "c": ("torch.float32", []),
    }
    for rank, result in enumerate(results):
        assert result["rows"] == [0, 0, 1, 1, 2, 2]
        assert result["told"] == {"rank": 0, "text": "ä"}
        assert result["gathered"] == [[0], [1], [2]]
        assert result["main"] == (None if rank else 5)
        assert result["shared"] == shared


def test_main_first(tmp_path: Path) -> None:
    """The others begin when the main process has finished."""

    def work(process_group: ProcessGroup) -> bool:
        def prepare() -> bool:
            found = (tmp_path / "cache").exists()
            if not found:
                time.sleep(0.5)
                (tmp_path / "cache").write_text("")
            return found

        return process_group.main_first(prepare)

    assert together(work, size=3) == [False, True, True]


def test_agreement() -> None:
    """The largest, one call late and in all processes alike; settled at once, with what is under way."""

    def work(process_group: ProcessGroup) -> list[int]:
        agreement = Agreement(process_group)
        asked = [agreement.ask(15 if (process_group.rank, call) == (1, 2) else 0) for call in range(5)]
        agreement.ask(2 if process_group.rank == 0 else 0)
        settled = [agreement.settle(0), agreement.settle(3 * process_group.rank), agreement.settle(0)]
        return asked + settled

    assert together(work) == [[0, 0, 0, 15, 0, 2, 3, 0]] * 2


def test_alone_everything_is_the_identity() -> None:
    with join("cpu") as process_group:
        assert not torch.distributed.is_initialized()
        tensor = torch.arange(3.0)
        process_group.all_reduce([tensor])
        assert tensor.tolist() == process_group.gather_rows(tensor).tolist() == [0, 1, 2]
        assert (
            process_group.broadcast(4) == process_group.on_main(lambda: 4) == process_group.main_first(lambda: 4) == 4
        )
        assert process_group.gather(4) == [4]
        agreement = Agreement(process_group)
        assert [agreement.ask(2), agreement.ask(0), agreement.settle(15)] == [2, 0, 15]


@pytest.mark.parametrize("slow", [0, 1, 2])
def test_processes_that_differ_are_refused(slow: int) -> None:
    """All of them for the same reason, also one that reads the others' values when these have long known."""

    def work(process_group: ProcessGroup) -> None:
        get = process_group._get

        def get_late(key: str) -> Any:
            time.sleep(0.5)
            return get(key)

        if process_group.rank == slow:
            object.__setattr__(process_group, "_get", get_late)
        process_group.require_same("the options", f"v{process_group.rank % 2}")

    for result in ProcessGroupRun(work, size=3).results():
        assert result.startswith(ConfigError.__name__)
        assert "differ in the options: process 0 has v0, process 1 has v1" in result


@pytest.mark.parametrize("waiting", ["for words", "in a collective"])
@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_one_is_told_to_the_others(waiting: str, failing: int) -> None:
    def work(process_group: ProcessGroup) -> None:
        if process_group.rank == failing:
            time.sleep(0.3)
            raise DataError("cat.png is broken")
        if waiting == "for words":
            process_group.gather(1)
        process_group.all_reduce([torch.zeros(3)])

    begun = time.monotonic()
    results = ProcessGroupRun(work).results()
    assert results[failing].startswith("DataError: cat.png")
    told = results[1 - failing]
    assert told.startswith("PeerError: ")
    if failing == 1:  # process 0 holds the words: when it is gone there may be none
        assert "process 1 of 2 has ended: DataError: cat.png is broken" in told
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("waiting", ["for words", "in a collective"])
def test_a_killed_process_ends_the_others(waiting: str) -> None:
    def work(process_group: ProcessGroup) -> None:
        if process_group.rank == 0:
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
        if waiting == "for words":
            process_group.broadcast(None)
        process_group.all_reduce([torch.zeros(3)])

    begun = time.monotonic()
    results = ProcessGroupRun(work).results()
    assert results[0] is None
    assert results[1].startswith("PeerError: lost contact with another process")
    assert "The same command continues where it was stopped" in results[1]
    assert time.monotonic() - begun < 20


def test_processes_that_have_come_apart_are_noticed() -> None:
    """By a single bit, in any layout."""

    def work(process_group: ProcessGroup) -> bool:
        network = torch.nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        torch.nn.init.constant_(network.weight, 0.5)
        torch.nn.init.constant_(network.bias, -1.0) if network.bias is not None else None
        process_group.require_same_weights(network)
        if not process_group.is_main:
            with torch.no_grad():
                network.weight[1, 1, 2, 2] = torch.nextafter(torch.tensor(0.5), torch.tensor(1.0))
        process_group.require_same_weights(network)
        return True

    for result in ProcessGroupRun(work).results():
        assert result.startswith("PeerError: the weights of process 1 differ from those of process 0")


def test_a_process_that_falls_silent_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps its connections, as a machine without power does, and the other one hangs in a collective."""
    for name, seconds in (("BEAT_SECONDS", 0.1), ("SILENCE_SECONDS", 1.0), ("GRACE_SECONDS", 0.3)):
        monkeypatch.setattr(heartbeat, name, seconds)

    def work(process_group: ProcessGroup) -> None:
        if process_group.rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        process_group.all_reduce([torch.zeros(3)])

    process_group_run = ProcessGroupRun(work)
    try:
        process_group_run.processes[0].join(20)
        assert process_group_run.processes[0].exitcode == heartbeat.LOST_STATUS
    finally:
        process_group_run.kill(1)


def test_slow_work_of_the_main_process_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("BEAT_SECONDS", 0.1), ("SILENCE_SECONDS", 1.0), ("GRACE_SECONDS", 0.3)):
        monkeypatch.setattr(heartbeat, name, seconds)
    assert together(lambda process_group: process_group.on_main(lambda: time.sleep(3))) == [None, None]


def test_who_does_not_come_is_waited_for_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(distributed, "START_PATIENCE_SECONDS", 0.3)
    for name in ("START_TIMEOUT", "COLLECTIVE_TIMEOUT"):
        monkeypatch.setattr(distributed, name, timedelta(seconds=4))
    monkeypatch.setattr(distributed.log, "info", lambda text, *values: sys.stderr.write(text % values + "\n"))
    alone = ProcessGroupRun(lambda _: None, size=1, launcher=lambda rank, _, port: place(rank, 2, port))
    (ended,) = alone.results()
    assert str(ended).startswith("PeerError"), ended
    assert "waiting for all 2 processes to start" in capfd.readouterr().err


def srun(rank: int, size: int, port: int) -> dict[str, str]:
    """What SLURM puts into the environment of a task; the port would follow from the number of the job."""
    return {
        "SLURM_PROCID": str(rank),
        "SLURM_STEP_NUM_TASKS": str(size),
        "SLURM_LOCALID": str(rank),
        "SLURM_STEP_NODELIST": "localhost",
        "MASTER_PORT": str(port),
    }


def test_srun_starts_a_world_too() -> None:
    results = ProcessGroupRun(
        lambda process_group: [process_group.rank, process_group.gather(process_group.rank)], size=3, launcher=srun
    ).results()
    assert results == [[rank, [0, 1, 2]] for rank in range(3)]
