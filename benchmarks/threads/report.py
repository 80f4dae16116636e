"""The measurement as JSON values and as text."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from tandem.bench.header import header_line, make_header
from tandem.errors import ConfigError
from tandem.report.progress import TaskProgress
from tandem.threads import WAIT_SETTINGS, choose_threads

BASELINE = "spinning"


def measure_waiting(
    *,
    work: str,
    size: int,
    filters: int,
    threads: int | None,
    beside: int,
    seconds: int,
    rounds: int,
    settings: Sequence[str],
) -> dict[str, Any]:
    """Measure how often a second some work is done, by how threads wait.

    Args:
        work: ``train`` or ``sample``.
        size: Side of the images in pixels.
        filters: Width of the networks.
        threads: Threads of each process; PyTorch's choice if None.
        beside: Busy processes beside which it is measured too; 0 leaves that out.
        seconds: Of each way in each round.
        rounds: Rounds.
        settings: Further ways: ``NAME=VALUE`` in the environment.

    Returns:
        JSON values: the header, the settings, for each condition and way the rates of all rounds, their median and how
        many times the baseline that is, as the median of the rounds' ratios.
    """
    options = json.dumps({"work": work, "size": size, "filters": filters, "threads": threads})
    ways: dict[str, dict[str, str]] = {BASELINE: {}, "asleep": {}} | {text: _setting(text) for text in settings}
    conditions = {"alone": 0} | ({f"beside {beside} busy processes": beside} if beside else {})
    choose_threads(threads)
    report: dict[str, Any] = {
        "header": make_header(torch.device("cpu")),
        "settings": {"work": work, "size": size, "filters": filters, "seconds": seconds, "rounds": rounds},
        "conditions": {},
    }
    with ExitStack() as stack, TaskProgress("measuring", len(conditions) * rounds, "rounds") as progress:
        workers = {name: stack.enter_context(_worker(name, options, extra)) for name, extra in ways.items()}
        for index, (condition, busy) in enumerate(conditions.items()):
            with _busy_processes(busy):
                rates: dict[str, list[float]] = {name: [] for name in ways}
                for done in range(rounds):
                    for name, worker in workers.items():
                        rates[name].append(_ask(worker, seconds))
                    progress.callback(index * rounds + done + 1, len(conditions) * rounds)
            report["conditions"][condition] = {name: _summary(rates[name], rates[BASELINE]) for name in ways}
    return report


def waiting_text(report: Mapping[str, Any]) -> str:
    """The report in words."""
    settings = report["settings"]
    unit = {"train": "steps", "sample": "samples"}[settings["work"]]
    lines = [header_line(report["header"]), f"{settings['size']} px, {settings['filters']} filters, {unit} a second"]
    for condition, ways in report["conditions"].items():
        lines += ["", condition]
        width = max(map(len, ways))
        for name, found in ways.items():
            low, high = found["ratio_quartiles"]
            ratio = "" if name == BASELINE else f"{found['ratio']:6.2f} times ({low:.2f} to {high:.2f})"
            lines.append(f"  {name:<{width}} {found['median']:8.2f} {ratio}".rstrip())
    return "\n".join(lines) + "\n"


def _setting(text: str) -> dict[str, str]:
    name, sign, value = text.partition("=")
    if not sign or name not in WAIT_SETTINGS:
        raise ConfigError(f"--settings {text} is not NAME=VALUE with one of {', '.join(WAIT_SETTINGS)}.")
    return {name: value}


@contextmanager
def _worker(name: str, options: str, extra: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    environment = {key: value for key, value in os.environ.items() if key not in WAIT_SETTINGS} | dict(extra)
    way = BASELINE if name == BASELINE else "asleep"
    command = [sys.executable, "-m", "benchmarks.threads.worker", way, options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process
    finally:
        process.stdin.close()
        process.wait()


@contextmanager
def _busy_processes(number: int) -> Iterator[None]:
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _ask(worker: "subprocess.Popen[str]", seconds: int) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{seconds}\n")
    worker.stdin.flush()
    return float(worker.stdout.readline())


def _summary(rates: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    ratios = [rate / base for rate, base in zip(rates, baseline, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else (ratios * 3)
    return {
        "all": list(rates),
        "median": statistics.median(rates),
        "ratio": statistics.median(ratios),
        "ratio_quartiles": [low, high],
    }
