"""Validation: when a run is measured on held-out images, and by which number its best checkpoint is chosen.

Training does not know of metrics. What measures is a `Validator` that the caller hands in: the command hands in that of
`tandem.evaluation.validation`, so that the numbers are those of ``tandem evaluate``.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol

import torch
from torch import nn

from tandem.checkpoint.manifest import Manifest
from tandem.checkpoint.store import CheckpointStore, Measured
from tandem.config.run import RunConfig
from tandem.data.contrast import LEAST_CONTRAST, LEAST_DETAIL
from tandem.errors import ConfigError
from tandem.prior.distributions import Prior
from tandem.report.records import HealthRecord, ValidationRecord, ValidationSpeed
from tandem.report.text import count, number
from tandem.training.export import manifest_of
from tandem.training.inputs import Inputs
from tandem.training.observer import Observer
from tandem.training.prior import RunPrior
from tandem.training.snapshot import numbers_of, sampling_state
from tandem.training.state import TrainingState

log = logging.getLogger(__name__)

Numbers = Mapping[str, float | None]
"""By name; None where a number is not finite."""

LEAST: Mapping[str, float] = MappingProxyType({"contrast": LEAST_CONTRAST, "detail": LEAST_DETAIL})
"""What a checkpoint must have to compete by the numbers of the fixed inputs."""


@dataclass(frozen=True)
class BestRule:
    """By which number the best checkpoint is chosen.

    Attributes:
        number: Its name; empty where no number says what is good.
        better: Which way is better.
        conditions: What the number depends on beside the model; scores under others do not compete.
        reason: Why there is no such number, or in a few words what it is.
        least: What other numbers must be at least, for a checkpoint to compete: SSIM and L1 may prefer the flat colour
            of the first steps to all that comes later. It does not depend on the length of the run, so that a run that
            is made longer has the same best checkpoint as one that was never meant to be shorter. A number that is not
            known is no reason to leave a checkpoint out.
    """

    number: str
    better: Literal["lower", "higher"] = "lower"
    conditions: str = ""
    reason: str = ""
    least: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Identifies the rule in a checkpoint; that of the snapshots, which never changes in a run, is empty."""
        return f"{self.number} {self.better} {self.conditions} {dict(self.least)}" if self.conditions else ""

    def score(self, numbers: Numbers) -> float | None:
        """What a checkpoint competes with, lower is better; None does not compete."""
        value = self.value(numbers)
        if value is None or self.shortfall(numbers):
            return None
        return value if self.better == "lower" else -value

    def value(self, numbers: Numbers) -> float | None:
        """The number that decides; None if it is not finite or was not measured."""
        value = numbers.get(self.number)
        return value if value is not None and math.isfinite(value) else None

    def shortfall(self, numbers: Numbers) -> str:
        """Which numbers are less than they must be, in a few words; empty if none is."""
        short = [
            f"{name} {number(value)}, less than {bound:g}"
            for name, bound in self.least.items()
            if (value := numbers.get(name)) is not None and value < bound
        ]
        return " and ".join(short)

    def announce(self) -> str:
        """One sentence for the beginning of a run."""
        if not self.number:
            return f"no checkpoint is kept as the best: {self.reason}"
        extreme = {"lower": "lowest", "higher": "highest"}[self.better]
        remark = f" ({self.reason})" if self.reason else ""
        bounds = " and ".join(f"{name} of at least {bound:g}" for name, bound in self.least.items())
        among = f", among those with {bounds} (1 is that of real images)" if bounds else ""
        return f"the best checkpoint is that with the {extreme} {self.number}{remark}{among}; of equals the earliest"

    def outcome(self, step: int, score: float, competitors: int, what: str) -> str:
        """One sentence about the best checkpoint so far."""
        value, extreme = (score, "lowest") if self.better == "lower" else (-score, "highest")
        return f"step {count(step)}, {self.number} {number(value)}, the {extreme} of {competitors} {what}"


@dataclass(frozen=True)
class Standing:
    """How a checkpoint stands beside the others.

    Attributes:
        score: What it competes with for being the best, lower is better; None does not compete.
        measured: What was measured of it, for people; None where nothing was, or no number decides.
    """

    score: float | None = None
    measured: Measured | None = None


@dataclass(frozen=True)
class LiveModel:
    """The model that a run would export now.

    Attributes:
        manifest: What it would say of itself; the steps are those of the beginning.
        networks: By name, on their device; while a validator is called, in the state of sampling.
        device: Where they are.
        prior: What it would draw its latents from now.
    """

    manifest: Manifest
    networks: Mapping[str, nn.Module]
    device: torch.device
    prior: Callable[[], Prior]


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
        prior: What the model draws its latents from.
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
        prior: RunPrior,
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
            self._validator = make_validator(config, inputs, LiveModel(manifest, networks, device, prior.prior))
        self.rule = _snapshot_rule(config, inputs, state) if self._validator is None else self._validator.rule
        self._patience = config.validation.patience
        if self._patience and not self.rule.number:
            raise ConfigError(
                f"--patience {self._patience} waits for a better number, but {self.rule.reason}.", option="--patience"
            )
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

    def run(self) -> dict[str, float | None]:
        """Measure and write the numbers down.

        Returns:
            The numbers.

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
        if self._patience and not self.is_off_turn():
            self._state.waited = self.waited()
        return numbers

    def standing(self, numbers: Numbers | None) -> Standing:
        """How the current step stands with these numbers, which have been written down; None was not measured."""
        if numbers is None or not self.rule.number:
            return Standing()
        rule, score = self.rule, self.rule.score(numbers)
        turn = 0 if score is None else self._counts()[1]
        measured = Measured(
            number=rule.number,
            better=rule.better,
            value=rule.value(numbers),
            turn=turn,
            shortfall=rule.shortfall(numbers),
        )
        return Standing(score, measured)

    def is_off_turn(self) -> bool:
        """Whether a score of this step is one of the end of a run alone: it does not count once that goes on."""
        return self._state.step % self._score_every != 0

    def beats_the_best(self, score: float | None) -> bool:
        """Whether a score is better than all before it; of equals the earlier one stays."""
        best = self._store.best(goes_on=True)
        return score is not None and (best is None or best.rule != self.rule.key or score < best.score)

    def waited(self) -> int:
        """How many validations there have been since the one with the best number, of equals the earliest.

        It follows from the log alone, so it is the same for a run that was continued. Before a first number that can
        compete nothing is waited for.
        """
        scores = [score for _, score in self._scores()]
        return len(scores) - 1 - scores.index(min(scores)) if scores else 0

    def describe_wait(self) -> str:
        """What patience has waited for in vain, in a few words."""
        scores = self._scores()
        step, _ = min(scores, key=lambda pair: pair[1])
        waited = self.waited()
        return (
            f"{count(waited)} validation{'' if waited == 1 else 's'} without a better {self.rule.number} than that of "
            f"step {count(step)} (--patience {self._patience}; a larger one goes on)"
        )

    def _scores(self) -> list[tuple[int, float]]:
        """Step and score of the validations that are on their turn, from the first that competes; lower is better."""
        found: list[tuple[int, float]] = []
        for record in self._validations():
            score = self.rule.score(record.numbers)
            if not record.final and (found or score is not None):
                found.append((record.step, math.inf if score is None else score))
        return found

    def tell(self) -> None:
        """Have the page say which checkpoint is the best."""
        self._observer.best = self.outcome()

    def outcome(self) -> str:
        """What is to be said about the best checkpoint so far."""
        if not self.rule.number:
            return f"No best checkpoint: {self.rule.reason}."
        measured, competing = self._counts()
        what = ("validation" if self.decides else "snapshot") + ("" if competing == 1 else "s")
        left_out = f" {measured - competing} of {measured} did not compete: {self._shortfall()}."
        best = self._store.best()
        if best is None or best.rule != self.rule.key:
            return "No best checkpoint yet." + (left_out if measured > competing else "")
        told = f"Best: {self.rule.outcome(best.step, best.score, competing, what)}."
        doubt = f" {doubt_of_first(self.rule.number)}" if self._first_is_best() else ""
        return told + (left_out if measured > competing else "") + doubt

    def _first_is_best(self) -> bool:
        """Whether the best is the first one that competed, and others came after it."""
        best = self._store.best()
        told = None if best is None else self._store.measured(best.step)
        return told is not None and told.turn == 1 and self._counts()[1] > 1

    def _shortfall(self) -> str:
        """Why the last one that did not compete did not, in a few words."""
        short = [self.rule.shortfall(numbers) for numbers in self._numbers()]
        return f"the last of them has {[one for one in short if one][-1]}" if any(short) else "not finite"

    def conclude(self) -> None:
        """Say at the end of a run how it went, and what it cost."""
        log.log(logging.WARNING if self._first_is_best() else logging.INFO, "%s", self.outcome())
        if self._times:
            share = self._seconds / (time.monotonic() - self._begun)
            each = self._seconds / self._times
            log.info("validation took %.2g s each time, %.1f %% of the time", each, 100 * share)

    def _counts(self) -> tuple[int, int]:
        """How often the number that decides was measured, and how many of these compete."""
        all_numbers = self._numbers()
        return len(all_numbers), sum(self.rule.score(numbers) is not None for numbers in all_numbers)

    def _numbers(self) -> list[Numbers]:
        """The numbers of all measurements so far that the rule can compare."""
        records = self._observer.records
        if self._validator is None:
            return [numbers_of(record.measured) for record in records if isinstance(record, HealthRecord)]
        return [record.numbers for record in self._validations()]

    def _validations(self) -> list[ValidationRecord]:
        """The lines of validations under the conditions that hold now."""
        if self._validator is None:
            return []
        conditions = json.loads(json.dumps(self._validator.conditions))
        return [
            record
            for record in self._observer.records
            if isinstance(record, ValidationRecord) and record.conditions == conditions
        ]


def doubt_of_first(number: str) -> str:
    """What to think of a best checkpoint that is the first one which competed."""
    return (
        f"It is the first that competed, and by {number} none since has been better: look at the samples before you "
        "use it, since such numbers may prefer the blurred outputs of early steps."
    )


def _snapshot_rule(config: RunConfig, inputs: Inputs, state: TrainingState) -> BestRule:
    """What `tandem.training.snapshot` scores a snapshot by."""
    held_out = inputs.previews_split != "train"
    of_what = "the fixed inputs" if held_out else "fixed training images, as the dataset has no held-out split"
    if "gen_ab" in state.objective.networks:
        return BestRule("cycle", reason=f"L1 there and back, of {of_what}", least=LEAST)
    if config.objective.paired:
        return BestRule("fixed_l1", reason=f"L1 to the ground truth, of {of_what}", least=LEAST)
    return BestRule(
        "",
        reason="without pairs and a way back no number of the fixed inputs says what is good; --validate-every "
        "measures some that do",
    )
