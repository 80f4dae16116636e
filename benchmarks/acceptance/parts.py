"""The parts of the acceptance run, in their order; what they need is imported only in the process that runs one."""

import importlib
from dataclasses import dataclass

from benchmarks.acceptance.settings import Outcome, Settings


@dataclass(frozen=True)
class Part:
    """A module with a function of the part's name, the seconds that it may take, and whether it runs unasked."""

    module: str
    limit_seconds: float
    unasked: bool = True


PARTS = {
    "environment": Part("checks", 60),
    "tests": Part("checks", 150),
    "reference": Part("checks", 120),
    "resume": Part("runs", 120),
    "processes": Part("processes", 90),
    "steps": Part("measurements", 200),
    "agreement": Part("measurements", 120),
    "sampling": Part("measurements", 120),
    "data": Part("feeding", 120),
    "features": Part("feeding", 120),
    "training": Part("runs", 400),
    "costs": Part("measurements", 300),
    "compiled": Part("measurements", 240, unasked=False),
}


def run_part(name: str, settings: Settings) -> Outcome:
    """Run a part in this process.

    Raises:
        SkippedPart: It cannot run here.
    """
    return getattr(importlib.import_module(f"benchmarks.acceptance.{PARTS[name].module}"), name)(settings)
