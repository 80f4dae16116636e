"""What is measured: the training step, its agreement with plain float32, its cost by size, sampling."""

from typing import Any

import torch

from benchmarks.acceptance.settings import Outcome, Settings, SkippedPart
from benchmarks.cost.table import CostTable
from tandem.bench.options import WAYS, Way
from tandem.bench.sample_report import measure_sampling, sampling_text
from tandem.bench.sampling import fresh_subject
from tandem.bench.train_report import measure_training, training_text
from tandem.bench.train_step import bench_config, make_stepper
from tandem.files import atomic_write_text
from tandem.training.device import configure_backends

FAST: dict[str, Any] = {"precision": "bf16"}
"""The options that are fastest on a GPU, beside captured steps, which are the rule there."""
PLAIN: dict[str, Any] = {"acceleration": "none"}
STEPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("bicyclegan", {"batch_size": 2, **FAST}),
    ("bicyclegan", {"batch_size": 2}),
    ("bicyclegan", {"batch_size": 2, **FAST, **PLAIN}),
    ("bicyclegan", {"batch_size": 2, **PLAIN}),
    ("bicyclegan", {"batch_size": 16, **FAST}),
    ("cyclegan", {"batch_size": 1, **FAST}),
    ("cyclegan", {"batch_size": 1}),
    ("pix2pix", {"batch_size": 1, **FAST}),
)
SPEED_UPS: dict[str, dict[str, Any]] = {
    "graphs": {"acceleration": "graphs"},
    "recomputed activations": {"recompute_activations": True},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "two micro-batches": {"accumulate": 2},
}
"""Options that make a step cheaper or smaller and must not change what it learns."""
TOLERANCES = {"graphs": 0.02, "recomputed activations": 0.02, "bf16": 0.05, "fp16": 0.1, "two micro-batches": 0.02}
"""Largest deviation of the mean of a loss over a window of steps; see `_deviation`."""
WINDOWS = 10
SAMPLING_TARGET = 3.0
SMALL_RATE = 2e-5
"""A tenth of the usual learning rate: with that, adversarial training magnifies any rounding within 200 steps."""


def steps(settings: Settings) -> Outcome:
    """Tandem's step against the published order, for several methods and settings."""
    device, rounds, sizes = torch.device(settings.device), 20, {"size": 256, "filters": 64}
    variants = STEPS
    if settings.smoke:
        rounds, sizes = 2, {"size": 64, "filters": 4}
        variants = (STEPS[1], STEPS[6])
    reports, texts, missed = [], [], []
    for method, options in variants:
        report = measure_training(bench_config(method, **sizes, **options), device, rounds=rounds)
        reports.append(report)
        texts.append(training_text(report))
        missed += [f"{method} {options}: {target}" for target in report["targets"] if not target["met"]]
    text = "```\n" + "\n".join(texts) + "```\n"
    if missed:
        text += "\nTargets that were missed:\n\n" + "\n".join(f"- {target}" for target in missed)
    return Outcome({"steps": reports, "missed": missed}, text)


def agreement(settings: Settings) -> Outcome:
    """Losses over many steps with each speed-up on, beside those in float32 and eager."""
    device = torch.device(settings.device)
    configure_backends(device, deterministic=False)
    number, sizes = (20, {"size": 64, "filters": 4}) if settings.smoke else (200, {"size": 128, "filters": 32})
    plain = _losses(PLAIN, sizes, number, device)
    rows, result, failures = [], {}, []
    for name, options in SPEED_UPS.items():
        found = _losses(options, sizes, number, device)
        first, worst = _deviation(plain[:1], found[:1]), _deviation(plain, found)
        result[name] = {"first_window": first, "worst_window": worst, "tolerance": TOLERANCES[name]}
        rows.append(f"| {name} | {first:.2e} | {worst:.2e} | {TOLERANCES[name]} |")
        if not settings.smoke and not worst <= TOLERANCES[name]:
            failures.append(f"{name}: losses deviate by {worst:.2e}, more than {TOLERANCES[name]}")
    text = [
        f"BicycleGAN, {sizes['size']} px, batch 4, {number} steps on one batch; of the means of every loss over "
        f"{number // WINDOWS} steps each, the largest deviation relative to float32 and eager:",
        "",
        "| Speed-up | First window | Worst of all | Tolerance |",
        "|---|---|---|---|",
        *rows,
    ]
    return Outcome(result, "\n".join(text), failures)


def _losses(
    options: dict[str, Any], sizes: dict[str, int], number: int, device: torch.device
) -> list[dict[str, float]]:
    config = bench_config("bicyclegan", batch_size=4, learning_rate=SMALL_RATE, **sizes, **options)
    stepper, batches, state = make_stepper(config, device)
    means = []
    for step in range(1, number + 1):
        stepper.step(batches)
        if step % (number // WINDOWS) == 0:
            stepper.settle()
            means.append(state.meter.means())
            state.meter.reset()
    return means


def _deviation(plain: list[dict[str, float]], found: list[dict[str, float]]) -> float:
    """The largest one, relative to the loss, or to 1 % of the sum of all where that is more."""
    return max(
        abs(theirs[name] - value) / max(abs(value), 0.01 * sum(map(abs, ours.values())))
        for ours, theirs in zip(plain, found, strict=True)
        for name, value in ours.items()
    )


def costs(settings: Settings) -> Outcome:
    """Cost of a step against image size and batch size."""
    cells: dict[str, Any] = {"sizes": [64, 128, 256, 512], "batches": [2, 4, 8, 16, 32], "rounds": 10}
    options: dict[str, Any] = {"filters": 64, **FAST}
    if settings.smoke:
        cells, options = {"sizes": [64], "batches": [2, 4], "rounds": 2}, {"filters": 4}
    table = CostTable.measure(
        "bicyclegan", **cells, options=options, device=torch.device(settings.device), limit_seconds=4.0
    )
    atomic_write_text(settings.out / "cost.svg", table.as_svg() + "\n")
    text = table.as_markdown().split("\n", 1)[1] + "\n![images a second](cost.svg)\n"
    return Outcome(table.as_json(), text)


def sampling(settings: Settings) -> Outcome:
    """Samples of one input by every way that this machine has."""
    device = torch.device(settings.device)
    configure_backends(device, deterministic=False)
    sizes = {"size": 64, "filters": 4} if settings.smoke else {"size": 256, "filters": 64}
    counts, rounds = ((1, 2), 2) if settings.smoke else ((1, 8, 64), 10)
    ways: list[Way] = [way for way in WAYS if not (settings.smoke and way.startswith("compiled"))]
    report = measure_sampling(
        fresh_subject(bench_config("bicyclegan", **sizes)), device, ways=ways, counts=counts, rounds=rounds
    )
    text = f"```\n{sampling_text(report)}```"
    best = {count: max(way["times_faster"] for way in found.values()) for count, found in report["counts"].items()}
    missed = [f"{count} samples: {ratio:.2f} times" for count, ratio in best.items() if ratio < SAMPLING_TARGET]
    text += f"\n\nTarget: {SAMPLING_TARGET:g} times the baseline. " + (
        "Missed: " + "; ".join(missed) if missed else "Met."
    )
    return Outcome(report | {"best_times_faster": best, "missed": missed}, text)


def compiled(settings: Settings) -> Outcome:
    """The training step with compiled networks, which take a while to compile."""
    if settings.smoke:
        raise SkippedPart("compiling takes minutes on a CPU")
    options = {"batch_size": 2, **FAST, "acceleration": "compile"}
    report = measure_training(
        bench_config("bicyclegan", size=256, filters=64, **options), torch.device(settings.device), rounds=20
    )
    return Outcome(report, f"```\n{training_text(report)}```")
