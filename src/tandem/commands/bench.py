"""``tandem bench``: a table of benchmarks, each with a module of its own."""

from collections.abc import Sequence

from tandem.commands.dispatch import dispatch

BENCHMARKS = {
    "train": ("tandem.commands.bench_train", "the training step and its memory, against the published order"),
    "quality": ("tandem.commands.bench_quality", "what several settings make of the same data in the same time"),
    "sample": ("tandem.commands.bench_sample", "the time that a sample takes"),
}
"""Module (with a function ``main(arguments) -> exit status``) and one line of help of each benchmark."""


def main(arguments: Sequence[str]) -> int:
    """Dispatch to a benchmark, or say which there are."""
    description = "Measure speed, medians with their quartiles, or quality; and JSON with --json."
    return dispatch("bench", description, BENCHMARKS, arguments)
