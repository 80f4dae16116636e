"""The cost model of several processes, and what is timed of them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.scaling.timing import (
    BackwardClock,
    Link,
    TimedWork,
    all_reduce_seconds,
    make_variants,
    phase_bytes_of,
    step_seconds,
    time_together,
)
from processes import free_port, together
from tandem.config.run import from_flat
from tandem.objectives.build import build_objective
from tandem.training.process_group import ProcessGroup

TINY = {
    "method": "bicyclegan",
    "size": 32,
    "generator_filters": 2,
    "encoder_filters": 2,
    "discriminator_filters": 2,
    "batch_size": 4,
}
ROOT = Path(__file__).parents[2]
LINK = Link(bytes_per_second=1e9, latency_seconds=1e-5)


@pytest.mark.parametrize(
    ("processes", "seconds"),
    [(1, 0.0), (2, 1.0 + 2e-5), (4, 1.5 + 4e-5), (8, 1.75 + 6e-5), (9, 16 / 9 + 8e-5)],
)
def test_an_all_reduce(processes: int, seconds: float) -> None:
    """Every byte but a P-th is sent twice; the messages are those of a tree, up and down."""
    assert all_reduce_seconds(1e9, processes, LINK) == pytest.approx(seconds, rel=1e-12)


def test_a_step() -> None:
    phases = [2e6, 1e6]
    expected = 0.05 + 1.75 * 3e-3 + 2 * 6e-5
    assert step_seconds(0.05, phases, 8, LINK) == pytest.approx(expected, rel=1e-12)
    assert step_seconds(0.05, phases, 8, LINK, loading=0.2) == 0.2
    assert step_seconds(0.05, phases, 1, LINK) == 0.05


def test_gradients_that_are_sent_early_hide_behind_the_backward_but_for_the_last_bucket() -> None:
    size = 32 * 2**20
    link = Link(bytes_per_second=size, latency_seconds=0.0)  # an all-reduce of one bucket between two takes a second
    phases = [4.0 * size, 0.5 * size]
    assert step_seconds(10.0, phases, 2, link) == pytest.approx(14.5)
    assert step_seconds(10.0, phases, 2, link, backwards=[1.5, 5.0]) == pytest.approx(10 + 2.5 + 0.5)
    assert step_seconds(10.0, phases, 2, link, backwards=[3.5, 0.0]) == pytest.approx(10 + 1.0 + 0.5)
    assert step_seconds(10.0, phases, 1, link, backwards=[3.5, 0.0]) == 10.0


def test_the_bytes_of_the_phases_are_those_of_the_networks() -> None:
    config = from_flat(TINY)
    objective = build_objective(config)
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in objective.networks.items()}
    assert phase_bytes_of(config) == {
        "generator": 4 * (counts["generator"] + counts["encoder"]),
        "discriminator": 4 * (counts["disc_encoded"] + counts["disc_random"]),
    }


def test_everything_is_timed_in_every_round() -> None:
    def work(process_group: ProcessGroup) -> tuple[dict[str, list[float]], list[float]]:
        clock = BackwardClock(process_group.device)
        seconds = time_together(make_variants(from_flat(TINY), process_group, clock), process_group, rounds=2, warmup=1)
        return seconds, clock.medians()

    for seconds, backwards in together(work):
        assert set(seconds) == {"whole", "share", "beside", "together", "early", "means", "message"}
        assert all(len(values) == 2 and min(values) > 0 for values in seconds.values())
        assert len(backwards) == 2
        assert 0 < sum(backwards) < max(seconds["beside"])


def test_the_slowest_process_counts_and_the_others_rest() -> None:
    done: list[str] = []

    def work(process_group: ProcessGroup) -> tuple[dict[str, list[float]], list[str]]:
        def slow() -> None:
            if not process_group.is_main:
                time.sleep(0.2)

        variants = {"main": TimedWork(lambda: done.append("main"), by_main=True), "slow": TimedWork(slow)}
        return time_together(variants, process_group, rounds=1, warmup=0), done

    (first, main_did), (_, other_did) = together(work)
    assert first["slow"][0] >= 0.2 > first["main"][0]
    assert (main_did, other_did) == (["main"], [])


@pytest.mark.slow
def test_the_command() -> None:
    options = ["--size", "32", "--filters", "2", "--rounds", "2", "--device", "cpu", "--json"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", str(free_port()), "-m", "benchmarks.scaling", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["processes"] == 2
    assert report["measured_over_predicted"] > 0
    assert report["header"]["threads"] == 1
