"""The lines of ``metrics.jsonl``, the log of a run: what each kind of line holds, and how it is written and read.

A line is a JSON object. Training writes the kinds that are defined here, and the pages read them. A line of another
kind, or of another version, is kept as it is when a run goes on, and not shown.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tandem.config.parse import parse_dataclass
from tandem.errors import DataError
from tandem.foreign import read_bounded

MAX_LOG_BYTES = 2**30
"""Of the log of a run; a line has a few hundred."""

Level = Literal["good", "warning", "info"]
"""How worrying a verdict is."""


@dataclass(frozen=True, kw_only=True)
class TrainSpeed:
    """How fast a run trains.

    Attributes:
        images_per_second: None before there is anything to measure.
        memory_mb: The most memory that was held, in MiB; None where it is not known.
        world_size: The processes that train together.
        waiting: The share of the time for which steps waited for data, in [0, 1]; None where it is not known.
    """

    images_per_second: float | None
    memory_mb: float | None
    world_size: int
    waiting: float | None


@dataclass(frozen=True, kw_only=True)
class TrainRecord:
    """A line of kind ``train``.

    Attributes:
        step: Optimiser steps done.
        images: Training images done.
        epoch: Passes through the data done.
        losses: The mean of each term over the steps since the line before.
        learning_rate: That of the next step.
        speed: How fast it goes.
    """

    kind: Literal["train"] = "train"
    step: int
    images: int
    epoch: float
    losses: Mapping[str, float]
    learning_rate: float
    speed: TrainSpeed

    @property
    def final(self) -> bool:
        """Never: whether the line belongs to the end of a run, and goes when the run goes on."""
        return False

    def as_json(self) -> dict[str, Any]:
        """The object of the line."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class LatentFacts:
    """How the latents of training images stand to what the model draws its latents from.

    Attributes:
        prior: What that is, in words.
        distance: KL(aggregate posterior ‖ prior) in nats, estimated from below (`tandem.prior.fitting.Choice`); None
            for too few images.
        active: Dimensions in which mu varies over the images (`tandem.prior.posteriors.ACTIVE_ABOVE`).
        images: How many images.
    """

    prior: str
    distance: float | None
    active: int
    images: int


@dataclass(frozen=True, kw_only=True)
class LatentHealth:
    """What was measured on fixed pairs and latents.

    Attributes:
        diversity: Mean absolute distance between two samples of one input, images in [-1, 1] at 64×64 px.
        real_spread: The same between two random real images of the output domain.
        diversity_ratio: `diversity` / `real_spread`; inputs differ in shape too, so even a perfect model stays below 1.
        kl_per_dimension: KL(E(B) ‖ N(0, 1)) of each latent dimension, mean over the images; empty without an encoder.
        recovered_z_error: Mean |mu(E(G(A, z))) − z|; None without an encoder.
        recovered_z_chance: The same error for a guess of 0.
        fixed_l1: Mean |G(A, mu(E(B))) − B|, images in [-1, 1]; without an encoder |G(A, z) − B|.
        verdict: One plain sentence.
        level: How worrying the verdict is.
        contrast: Contrast of the samples divided by that of the real images; None where these have none.
        detail: The same of their detail; see `tandem.data.contrast`.
        latents: What is known of the latents of training images; None without an encoder.
    """

    diversity: float
    real_spread: float
    diversity_ratio: float
    kl_per_dimension: tuple[float, ...]
    recovered_z_error: float | None
    recovered_z_chance: float
    fixed_l1: float
    verdict: str
    level: Level
    contrast: float | None = None
    detail: float | None = None
    latents: LatentFacts | None = None

    def as_json(self) -> dict[str, Any]:
        """Its part of the line; what is None is null, but for the last three, which are left out then."""
        unknown = {name for name in ("contrast", "detail", "latents") if getattr(self, name) is None}
        values = asdict(self) | {"kl_per_dimension": list(self.kl_per_dimension)}
        return {name: value for name, value in values.items() if name not in unknown}


@dataclass(frozen=True, kw_only=True)
class TranslationHealth:
    """What was measured on fixed images without pairs, each a mean |difference| of images in [-1, 1].

    Attributes:
        cycle_a: Between A and the way there and back; None where there is no way back, as `cycle_b`.
        cycle_b: The same from B.
        change_a: Between A and its translation; None where they differ in channels, or there is none, as `change_b`.
        change_b: The same from B.
        identity_b: Between B and what the generator to B makes of it; None where it is not measured.
        verdict: One plain sentence.
        level: How worrying the verdict is.
        contrast: Contrast of the translations divided by that of real images, of two directions the smaller one; None
            where the real images have none.
        detail: The same of their detail; see `tandem.data.contrast`.
    """

    cycle_a: float | None = None
    cycle_b: float | None = None
    change_a: float | None = None
    change_b: float | None = None
    identity_b: float | None = None
    verdict: str
    level: Level
    contrast: float | None = None
    detail: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Its part of the line; what is None is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class HealthRecord:
    """A line of kind ``health``: what was measured on the fixed inputs at a snapshot.

    Attributes:
        step: Optimiser steps done.
        images: Training images done.
        split: The split of the fixed inputs; ``train`` where there is no held-out one.
        measured: The numbers, which stand in the line itself.
        final: Whether the line belongs to the end of a run, and goes when the run goes on.
    """

    kind: Literal["health"] = "health"
    step: int
    images: int
    split: str
    measured: LatentHealth | TranslationHealth
    final: bool = False

    def as_json(self) -> dict[str, Any]:
        """The object of the line."""
        place = {"kind": self.kind, "step": self.step, "images": self.images, "split": self.split}
        return place | self.measured.as_json() | _mark(final=self.final)


@dataclass(frozen=True, kw_only=True)
class ValidationSpeed:
    """What validations cost: the seconds of this one, and the share of the run's time that all took, in [0, 1]."""

    seconds: float
    share: float


@dataclass(frozen=True, kw_only=True)
class ValidationRecord:
    """A line of kind ``validation``.

    Attributes:
        step: Optimiser steps done.
        images: Training images done.
        numbers: By name; None where a number is not finite.
        conditions: What they depend on beside the model: the split, the numbers of inputs and samples, and so on.
        speed: What it cost.
        final: Whether the line belongs to the end of a run, and goes when the run goes on.
    """

    kind: Literal["validation"] = "validation"
    step: int
    images: int
    numbers: Mapping[str, float | None]
    conditions: Mapping[str, Any]
    speed: ValidationSpeed
    final: bool = False

    def as_json(self) -> dict[str, Any]:
        """The object of the line."""
        content = asdict(self)
        del content["final"]
        return content | _mark(final=self.final)


@dataclass(frozen=True)
class ForeignRecord:
    """A line of no kind that is known here, or not as this version writes it."""

    content: Mapping[str, Any]

    @property
    def step(self) -> int:
        """Optimiser steps done; 0 where the line does not say it."""
        step = self.content.get("step")
        return step if type(step) is int else 0

    @property
    def final(self) -> bool:
        """Whether the line belongs to the end of a run, and goes when the run goes on."""
        return bool(self.content.get("final"))

    def as_json(self) -> dict[str, Any]:
        """The object of the line."""
        return dict(self.content)


Record = TrainRecord | HealthRecord | ValidationRecord | ForeignRecord


def parse_record(content: Mapping[str, Any]) -> Record:
    """The record that the object of a line is."""
    kind = content.get("kind")
    try:
        if kind == "train":
            return parse_dataclass(TrainRecord, content, "record", finite=False)
        if kind == "validation":
            return parse_dataclass(ValidationRecord, content, "record", finite=False)
        if kind == "health":
            return _parse_health(content)
    except ValueError:
        pass
    return ForeignRecord(content)


def _parse_health(content: Mapping[str, Any]) -> HealthRecord:
    own = {"kind", "step", "images", "split", "final"}
    values: dict[str, Any] = {name: value for name, value in content.items() if name in own}
    values["measured"] = {name: value for name, value in content.items() if name not in own}
    return parse_dataclass(HealthRecord, values, "record", finite=False)


def read_metrics(path: Path) -> list[Record]:
    """Read the records of a ``metrics.jsonl``.

    A last line without a line end that is no whole object was cut off by a crash and is left out. A file that
    does not exist yet holds no records.

    Raises:
        DataError: Any other line is not a JSON object; it is named by its number.
    """
    if not path.exists():
        return []
    try:
        lines = read_bounded(path, MAX_LOG_BYTES).split(b"\n")
    except ValueError as error:
        raise DataError(f"{path} cannot be read: {error}.", file=path) from error
    records = []
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            if index == len(lines) - 1:
                break
            raise DataError(f"{path}, line {index + 1} is not JSON ({error}). Repair or remove the line.") from error
        if not isinstance(content, dict):
            raise DataError(
                f"{path}, line {index + 1} is not a JSON object but {line[:60]!r}. Repair or remove the line."
            )
        records.append(parse_record(content))
    return records


def _mark(*, final: bool) -> dict[str, bool]:
    return {"final": True} if final else {}
