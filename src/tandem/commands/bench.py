"""``tandem bench``: a table of benchmarks, each with a module of its own."""

import importlib
import sys
from collections.abc import Sequence

from tandem.errors import ConfigError, nearest

BENCHMARKS = {
    "train": ("tandem.commands.bench_train", "the training step and its memory, against the published order"),
    "sample": ("tandem.commands.bench_sample", "the time that a sample takes"),
}
"""Module (with a function ``main(arguments) -> exit status``) and one line of help of each benchmark."""


def main(arguments: Sequence[str]) -> int:
    """Dispatch to a benchmark, or say which there are."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(_usage())
        return 0 if arguments else 2
    if arguments[0] not in BENCHMARKS:
        raise ConfigError(
            f"there is no 'tandem bench {arguments[0]}'.{nearest(arguments[0], list(BENCHMARKS))} "
            f"The benchmarks are {', '.join(BENCHMARKS)}."
        )
    return importlib.import_module(BENCHMARKS[arguments[0]][0]).main(arguments[1:])


def _usage() -> str:
    width = max(map(len, BENCHMARKS))
    lines = ["Measure this machine: medians with their quartiles, and JSON with --json.", ""]
    lines += ["usage: tandem bench BENCHMARK … (tandem bench BENCHMARK --help says more)", ""]
    lines += [f"  {name:<{width}}  {help_text}" for name, (_, help_text) in BENCHMARKS.items()]
    return "\n".join(lines) + "\n"
