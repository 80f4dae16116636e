"""What the benchmarks are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from tandem.config.options import Options, option, same
from tandem.config.training import Acceleration, TrainingConfig, TrainingPrecision

Way = Literal["baseline", "batched", "bf16", "compiled", "compiled-bf16", "graphs", "graphs-bf16", "onnx"]
WAYS: tuple[Way, ...] = get_args(Way)
MAX_SAMPLES = 1024

STEP_OPTIONS = ("precision", "acceleration", "accumulate", "recompute_activations")
"""Options of training that change what a step costs and not what it means."""


@dataclass(frozen=True, kw_only=True)
class BenchOptions(Options):
    """Where is measured and what is printed."""

    device: str = same(TrainingConfig, "device")
    threads: int | None = same(TrainingConfig, "threads")
    json: bool = option(False, "print JSON to standard output", one_way=True)


@dataclass(frozen=True, kw_only=True)
class BenchTrainOptions(BenchOptions):
    """Which training step is measured."""

    method: Literal["bicyclegan", "tandem", "cyclegan", "pix2pix"] = option("bicyclegan", "what is trained")
    size: int = option(256, "side of the images")
    batch_size: int | None = option(None, "images per step; the published number if not given")
    filters: int | None = option(
        None, "width of all networks; by default that of the method: 64, the published one, or 48 (tandem)", at_least=1
    )
    preset: str | None = option(
        None, "measure the training step of this preset instead, and say how long it takes", metavar="NAME"
    )
    rounds: int = option(7, "rounds that count", at_least=1)
    precision: TrainingPrecision = same(TrainingConfig, "precision")
    acceleration: Acceleration = same(TrainingConfig, "acceleration")
    accumulate: int = same(TrainingConfig, "accumulate")
    recompute_activations: bool = same(TrainingConfig, "recompute_activations")

    @property
    def of_step(self) -> dict[str, Any]:
        """The options of training among them, by name."""
        return {name: getattr(self, name) for name in (*STEP_OPTIONS, "threads")}


@dataclass(frozen=True, kw_only=True)
class BenchSampleOptions(BenchOptions):
    """Which generator is measured, and how."""

    model: Path | None = option(None, "folder of a run or bundle; BicycleGAN's generator, untrained, if not given")
    size: int = option(256, "side of the image")
    filters: int | None = option(None, "width of the untrained generator; 64, the published one, if not given")
    counts: tuple[int, ...] = option((1, 8, 64), "numbers of samples", at_least=1, at_most=MAX_SAMPLES)
    ways: tuple[Way, ...] = option((), "only these of the ways; the baseline is always measured")
    rounds: int = option(7, "rounds that count", at_least=1, at_most=MAX_SAMPLES)

    def problems(self) -> Iterator[str]:
        """Say what does not fit together."""
        if self.model is not None and self.filters is not None:
            yield "--filters has no effect with --model, whose generator has a width"

    @property
    def measured(self) -> list[Way]:
        """The ways that are measured, the baseline first."""
        return [way for way in WAYS if way == "baseline" or not self.ways or way in self.ways]
