"""CPU threads: how they wait, how many there are, what is said of the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.threads.worker import make_work, measure
from tandem.threads import SPINS, WAIT_SETTINGS, choose_threads, describe_load, usable_cores, wait_passively


def settings_of_openmp(script: str, *, environment: dict[str, str] | None = None) -> str:
    """What OpenMP itself says of its settings when a fresh process runs `script`."""
    clean = {name: value for name, value in os.environ.items() if name not in WAIT_SETTINGS}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=clean | {"OMP_DISPLAY_ENV": "VERBOSE"} | (environment or {}),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stderr + done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is PyTorch's on Linux")
@pytest.mark.parametrize(
    ("script", "environment", "spins"),
    [
        ("import tandem, torch", {}, SPINS),
        ("import sys; from tandem.cli import main; main(['--help']); import torch", {}, SPINS),
        ("import torch, tandem", {}, "300000"),  # too late, so as OpenMP has it
        ("import tandem, torch", {"GOMP_SPINCOUNT": "7"}, "7"),  # the user's own
    ],
)
def test_openmp_is_told_before_it_is_loaded(script: str, environment: dict[str, str], spins: str) -> None:
    said = settings_of_openmp(script, environment=environment)
    assert "OPENMP DISPLAY ENVIRONMENT BEGIN" in said
    assert f"GOMP_SPINCOUNT = '{spins}'" in said


def test_started_processes_inherit_it() -> None:
    """Loader workers, benchmarks' processes and others are told by the environment."""
    script = (
        "import tandem, subprocess, sys; "
        "subprocess.run([sys.executable, '-c', 'import os; print(os.environ[\"OMP_WAIT_POLICY\"])'], check=True)"
    )
    assert "PASSIVE" in settings_of_openmp(script).splitlines()


def test_what_the_user_has_set_prevails() -> None:
    for name in WAIT_SETTINGS:
        environment = {name: "1"}
        assert not wait_passively(environment)
        assert environment == {name: "1"}
    environment = {}
    assert not wait_passively(environment)  # PyTorch is loaded here
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPINS}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 6),
        ({"cpu.max": "max 100000\n"}, 6),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "900000 100000\n"}, 6),
        ({"cpu.max": "nonsense"}, 6),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 6),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
    ],
)
def test_a_containers_quota_limits_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(6), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cores(tmp_path) == expected


def test_threads_are_those_asked_for_or_as_many_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        assert choose_threads(3) == torch.get_num_threads() == 3
        monkeypatch.setattr("tandem.threads.usable_cores", lambda: 2)
        assert choose_threads(None, environment={"OMP_NUM_THREADS": "3"}) == 3
        assert choose_threads(None, environment={}) == torch.get_num_threads() == 2
        monkeypatch.setattr("tandem.threads.usable_cores", lambda: 8)
        assert choose_threads(None, environment={}) == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("load", "cores", "text"),
    [
        (0.2, 2, "load 0.2 on 2 cores"),
        (1.0, 2, "load 1.0 on 2 cores: other programs may slow this one down"),
        (0.0, 1, "load 0.0 on 1 core"),
    ],
)
def test_the_load_is_said(monkeypatch: pytest.MonkeyPatch, load: float, cores: int, text: str) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert describe_load() == text


@pytest.mark.slow
def test_the_benchmark_compares_both_ways() -> None:
    small = ["--size", "32", "--filters", "2", "--seconds", "1", "--rounds", "1", "--beside", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.threads", *small], capture_output=True, text=True, check=True, timeout=200
    )
    report = json.loads(done.stdout)
    assert list(report["conditions"]) == ["alone", "beside 1 busy processes"]
    for ways in report["conditions"].values():
        assert list(ways) == ["spinning", "asleep"]
        assert all(found["median"] > 0 for found in ways.values())
        assert ways["spinning"]["ratio"] == 1
        assert ways["asleep"]["ratio"] == pytest.approx(ways["asleep"]["median"] / ways["spinning"]["median"])


def test_the_benchmark_samples_too() -> None:
    before = torch.get_num_threads()
    try:
        work = make_work(work="sample", size=32, filters=2, threads=1)
        assert np.asarray(work()).shape == (1, 3, 32, 32)
        assert measure(work, 0.01) > 0
    finally:
        torch.set_num_threads(before)
