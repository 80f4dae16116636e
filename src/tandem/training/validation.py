"""Validation: when a run is measured on held-out images, and by which number its best checkpoint is chosen.

Training does not know of metrics. What measures is a `Validator` that the caller hands in: the command hands in that of
`tandem.evaluation.validation`, so that the numbers are those of ``tandem evaluate``.
"""

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import nn

from tandem.checkpoint.manifest import Manifest
from tandem.checkpoint.store import CheckpointStore
from tandem.config.run import RunConfig
from tandem.errors import ConfigError
from tandem.report.records import HealthRecord, ValidationRecord, ValidationSpeed
from tandem.report.text import count, number
from tandem.training.export import manifest_of
from tandem.training.inputs import Inputs
from tandem.training.observer import Observer
from tandem.training.snapshot import sampling_state
from tandem.training.state import TrainingState

log = logging.getLogger(__name__)

Numbers = Mapping[str, float | None]
"""By name; None where a number is not finite."""


@dataclass(frozen=True)
class BestRule:
    """By which number the best checkpoint is chosen.

    Attributes:
        number: Its name; empty where no number says what is good.
        better: Which way is better.
        conditions: What the number depends on beside the model; scores under others do not compete.
        reason: Why there is no such number, or in a few words what it is.
    """

    number: str
    better: Literal["lower", "higher"] = "lower"
    conditions: str = ""
    reason: str = ""

    @property
    def key(self) -> str:
        """Identifies the rule in a checkpoint; that of the snapshots, which never changes in a run, is empty."""
        return f"{self.number} {self.better} {self.conditions}" if self.conditions else ""

    def score(self, numbers: Numbers) -> float | None:
        """What a checkpoint competes with, lower is better; None does not compete."""
        value = numbers.get(self.number)
        if value is None or not math.isfinite(value):
            return None
        return value if self.better == "lower" else -value

    def announce(self) -> str:
        """One sentence for the beginning of a run."""
        if not self.number:
            return f"no checkpoint is kept as the best: {self.reason}"
        extreme = {"lower": "lowest", "higher": "highest"}[self.better]
        remark = f" ({self.reason})" if self.reason else ""
        return f"the best checkpoint is that with the {extreme} {self.number}{remark}; of equals the earliest"

    def outcome(self, step: int, score: float, competitors: int, what: str) -> str:
        """One sentence about the best checkpoint so far."""
        value, extreme = (score, "lowest") if self.better == "lower" else (-score, "highest")
        return f"step {count(step)}, {self.number} {number(value)}, the {extreme} of {competitors} {what}"


@dataclass(frozen=True)
class LiveModel:
    """The model that a run would export now.

    Attributes:
        manifest: What it would say of itself; the steps are those of the beginning.
        networks: By name, on their device; while a validator is called, in the state of sampling.
        device: Where they are.
    """

    manifest: Manifest
    networks: Mapping[str, nn.Module]
    device: torch.device


class Validator(Protocol):
    """Measures a model on held-out images; the same weights give the same numbers."""

    @property
    def rule(self) -> BestRule:
        """By which of the numbers the best checkpoint is chosen."""
        ...

    @property
    def conditions(self) -> Mapping[str, Any]:
        """What the numbers depend on beside the model, as JSON."""
        ...

    def describe(self) -> str:
        """What is measured on what, in a few words."""
        ...

    def __call__(self) -> dict[str, float | None]:
        """Measure.

        Raises:
            NonFiniteError: The model gives values that are not finite.
        """
        ...


class MakeValidator(Protocol):
    """Makes the validator of a run."""

    def __call__(self, config: RunConfig, inputs: Inputs, model: LiveModel) -> Validator:
        """Raise `ConfigError`, `DataError` or `WeightsError` if something does not go together."""
        ...


class Validation:
    """The validations of one run, and its best checkpoint.

    Args:
        config: All options.
        inputs: The data.
        state: What trains.
        store: The checkpoints.
        observer: Writes the numbers down.
        device: Where the networks are.
        make_validator: Makes what measures.

    Raises:
        ConfigError: Validation is asked for, but nothing measures, or the options do not go with the method.
    """

    def __init__(
        self,
        config: RunConfig,
        inputs: Inputs,
        state: TrainingState,
        store: CheckpointStore,
        observer: Observer,
        *,
        device: torch.device,
        make_validator: MakeValidator | None,
    ) -> None:
        self._state, self._store, self._observer = state, store, observer
        self._every = config.validation.validate_every
        self._score_every = self._every or config.training.snapshot_every
        self._validator: Validator | None = None
        if self._every:
            if make_validator is None:
                raise ConfigError(
                    "validate_every needs somebody who measures: give train() make_validator, e.g. that of "
                    "tandem.evaluation.validation."
                )
            source = state.ema.networks if state.ema is not None else state.objective.networks
            networks = {name: source[name] for name in state.objective.inference_networks}
            manifest = manifest_of(state=state, config=config, inputs=inputs)
            self._networks = nn.ModuleDict(networks)
            self._validator = make_validator(config, inputs, LiveModel(manifest, networks, device))
        self.rule = _snapshot_rule(config, inputs, state) if self._validator is None else self._validator.rule
        self._begun, self._seconds, self._times = time.monotonic(), 0.0, 0
        self.tell()

    @property
    def decides(self) -> bool:
        """Whether validations choose the best checkpoint; otherwise the snapshots' measurements do."""
        return self._validator is not None

    def announce(self) -> None:
        """Say at the beginning of a run what is measured, and which checkpoint is kept."""
        if self._validator is not None:
            log.info("validating every %d steps: %s", self._every, self._validator.describe())
        log.info("%s", self.rule.announce())
        best = self._store.best()
        if best is not None and best.rule != self.rule.key and self.rule.number:
            log.info("the best checkpoint so far went by another rule, or other data: it is chosen anew")

    def is_due_at_the_end(self) -> bool:
        """Whether the run's last step has yet to be validated."""
        return self._validator is not None and not self._observer.has(ValidationRecord)

    def run(self) -> float | None:
        """Measure and write the numbers down.

        Returns:
            The score that the best checkpoint is chosen by, lower is better; None if it does not compete.

        Raises:
            NonFiniteError: The model gives values that are not finite; nothing has been written.
        """
        validator, objective = self._validator, self._state.objective
        assert validator is not None
        begun = time.monotonic()
        with sampling_state(self._networks, objective.inference_networks, noise=objective.samples_with_noise):
            numbers = validator()
        now = time.monotonic()
        self._times, self._seconds = self._times + 1, self._seconds + now - begun
        speed = ValidationSpeed(seconds=now - begun, share=self._seconds / (now - self._begun))
        conditions = json.loads(json.dumps(validator.conditions))
        self._observer.write_validation(numbers, conditions=conditions, speed=speed, every=self._every)
        return self.rule.score(numbers)

    def is_off_turn(self) -> bool:
        """Whether a score of this step is one of the end of a run alone: it does not count once that goes on."""
        return self._state.step % self._score_every != 0

    def beats_the_best(self, score: float | None) -> bool:
        """Whether a score is better than all before it; of equals the earlier one stays."""
        best = self._store.best()
        return score is not None and (best is None or best.rule != self.rule.key or score < best.score)

    def tell(self) -> None:
        """Have the page say which checkpoint is the best."""
        self._observer.best = self.outcome()

    def outcome(self) -> str:
        """One sentence about the best checkpoint so far."""
        if not self.rule.number:
            return f"No best checkpoint: {self.rule.reason}."
        best = self._store.best()
        if best is None or best.rule != self.rule.key:
            return "No best checkpoint yet."
        what = ("validation" if self.decides else "snapshot") + ("" if self._competitors() == 1 else "s")
        return f"Best: {self.rule.outcome(best.step, best.score, self._competitors(), what)}."

    def conclude(self) -> None:
        """Say at the end of a run how it went, and what it cost."""
        log.info("%s", self.outcome())
        if self._times:
            share = self._seconds / (time.monotonic() - self._begun)
            each = self._seconds / self._times
            log.info("validation took %.2g s each time, %.1f %% of the time", each, 100 * share)

    def _competitors(self) -> int:
        if self._validator is None:
            return sum(isinstance(record, HealthRecord) for record in self._observer.records)
        conditions = json.loads(json.dumps(self._validator.conditions))
        return sum(
            isinstance(record, ValidationRecord)
            and record.conditions == conditions
            and self.rule.score(record.numbers) is not None
            for record in self._observer.records
        )


def _snapshot_rule(config: RunConfig, inputs: Inputs, state: TrainingState) -> BestRule:
    """What `tandem.training.snapshot` scores a snapshot by."""
    held_out = inputs.previews_split != "train"
    of_what = "the fixed inputs" if held_out else "fixed training images, as the dataset has no held-out split"
    if "gen_ab" in state.objective.networks:
        return BestRule("cycle", reason=f"L1 there and back, of {of_what}")
    if config.objective.paired:
        return BestRule("fixed_l1", reason=f"L1 to the ground truth, of {of_what}")
    return BestRule(
        "",
        reason="without pairs and a way back no number of the fixed inputs says what is good; --validate-every "
        "measures some that do",
    )
