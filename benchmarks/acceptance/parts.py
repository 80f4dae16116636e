"""The parts of the acceptance run, in their order."""

from collections.abc import Callable
from dataclasses import dataclass

from acceptance import checks, measurements, runs
from acceptance.settings import Outcome, Settings


@dataclass(frozen=True)
class Part:
    """A function, and the seconds that it may take."""

    run: Callable[[Settings], Outcome]
    limit_seconds: float


PARTS = {
    "environment": Part(checks.environment, 60),
    "tests": Part(checks.gpu_tests, 150),
    "reference": Part(checks.reference, 120),
    "resume": Part(runs.resume, 120),
    "steps": Part(measurements.training_steps, 200),
    "agreement": Part(measurements.agreement, 120),
    "sampling": Part(measurements.sampling, 60),
    "training": Part(runs.training, 400),
    "costs": Part(measurements.costs, 300),
}
