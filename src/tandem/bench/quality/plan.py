"""The plan of a bench: how long each setting trains, written down before anything is trained.

With a budget in minutes each setting gets as many steps as fit. How long its steps take is measured on a short run of
it (`tandem.bench.quality.worker`); from then on the number of steps is what counts, so that a bench that goes on, and
one on another machine, train the same.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tandem.config.parse import parse_dataclass
from tandem.config.run import RunConfig, differences, from_flat, to_flat
from tandem.config.tandem import TandemConfig
from tandem.errors import ConfigError, DataError
from tandem.files import atomic_write_text
from tandem.foreign import load_json

PLAN_NAME = "plan.json"
FORMAT = 1
MAX_PLAN_BYTES = 4 * 2**20
OF_THE_MACHINE = ("seed", "device", "threads")
"""Options that a plan leaves out: each run has its own seed, each machine its own devices."""
NEVER = 0.999
"""A share of a short run that no step of it reaches."""

BudgetKind = Literal["own", "steps", "cpu-minutes", "gpu-minutes"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long every setting trains.

    Attributes:
        kind: Steps, or minutes of what computes; ``own``: each as long as its options say.
        amount: How many.
    """

    kind: BudgetKind = "own"
    amount: float = 0.0

    @property
    def in_words(self) -> str:
        """As people read it."""
        if self.kind == "own":
            return "each setting as long as its options say"
        if self.kind == "steps":
            return f"{self.amount:,.0f} steps of each setting"
        return f"{self.amount:g} {self.kind[:3].upper()} minutes of each setting"


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """What a setting takes on the machine that planned, in seconds of the CPU or of the GPU.

    Attributes:
        start: Until the first step: imports, a look at all images, the first checkpoint.
        step: A step.
        snapshot: A snapshot, such as the one at the end of a run.
    """

    start: float
    step: float
    snapshot: float


@dataclass(frozen=True, kw_only=True)
class PlannedSetting:
    """One setting.

    Attributes:
        name: As it was given.
        steps: How long each of its runs is.
        num_train: Images of an epoch, on which a schedule in epochs depends.
        options: All options of its runs but those of `OF_THE_MACHINE`.
        times: What the steps were computed from; None where the budget is no time.
    """

    name: str
    steps: int
    num_train: int
    options: Mapping[str, Any]
    times: StepTimes | None = None

    def config(self, **of_the_machine: Any) -> RunConfig:
        """The options of a run."""
        return from_flat(dict(self.options) | of_the_machine)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All settings.

    Attributes:
        budget: How long they train.
        settings: In the order of the page.
        format: Version of this format.
    """

    budget: Budget
    settings: tuple[PlannedSetting, ...]
    format: int = FORMAT

    def find(self, name: str) -> PlannedSetting | None:
        """The setting of a name."""
        return next((one for one in self.settings if one.name == name), None)


def steps_within(seconds: float, times: StepTimes, *, snapshot_every: int) -> int:
    """The most steps n with start + n · step + ⌈n / snapshot_every⌉ · snapshot ≤ seconds; 0 where not one fits."""
    left = seconds - times.start
    whole = snapshot_every * times.step + times.snapshot
    rounds = max(0, math.floor(left / whole))
    rest = left - rounds * whole - times.snapshot
    return rounds * snapshot_every + max(0, min(snapshot_every - 1, math.floor(rest / times.step)))


def with_length(config: RunConfig, steps: int, *, num_train: int) -> RunConfig:
    """The same run with another length; a schedule in epochs is brought to it, in its own proportions.

    Args:
        config: The run.
        steps: Its new length.
        num_train: Images of an epoch.
    """
    training = dataclasses.replace(config.training, steps=steps, epochs=None)
    if training.lr_schedule in {"linear", "cosine"}:
        epochs = -(-steps * training.batch_size // num_train)
        share = training.lr_decay_epochs / (training.lr_constant_epochs + training.lr_decay_epochs)
        decay = min(epochs, max(1, round(epochs * share)))
        training = dataclasses.replace(training, lr_constant_epochs=epochs - decay, lr_decay_epochs=decay)
    return dataclasses.replace(config, training=training)


def says_length(config: RunConfig) -> bool:
    """Whether the options of a run say how long it is."""
    return config.training.steps is not None or config.training.epochs is not None


def has_length(config: RunConfig) -> bool:
    """Whether the length of a run follows from its options: they say it, or have a schedule that ends."""
    return says_length(config) or config.training.lr_decay_epochs > 0


def timed_variants(config: RunConfig) -> list[tuple[float, RunConfig]]:
    """What is timed of a setting: variants of its run, each with its share of the steps.

    Discriminators that join late are timed as if they were there from the beginning unless the options say when they
    join: it is not known before, and a run must not take more than its time.
    """
    objective = config.objective
    if not isinstance(objective, TandemConfig) or objective.lambda_gan == 0:
        return [(1.0, config)]
    joined = dataclasses.replace(config, objective=dataclasses.replace(objective, gan_from=0.0))
    if not objective.gan_from:
        return [(1.0, joined)]
    alone = dataclasses.replace(config, objective=dataclasses.replace(objective, gan_from=NEVER))
    return [(1 - objective.gan_from, joined), (objective.gan_from, alone)]


def together(parts: Sequence[tuple[float, StepTimes]]) -> StepTimes:
    """The times of a whole run from those of its variants, by their shares of the steps; start and snapshot once."""
    return StepTimes(
        start=max(one.start for _, one in parts),
        step=sum(share * one.step for share, one in parts),
        snapshot=max(one.snapshot for _, one in parts),
    )


def planned(
    name: str, config: RunConfig, steps: int, *, num_train: int, times: StepTimes | None = None
) -> PlannedSetting:
    """A setting with its length; see `PlannedSetting`."""
    flat = to_flat(with_length(config, steps, num_train=num_train))
    options = {key: value for key, value in flat.items() if key not in OF_THE_MACHINE}
    return PlannedSetting(name=name, steps=steps, num_train=num_train, options=options, times=times)


def require_same(known: PlannedSetting, config: RunConfig, *, num_train: int, out: Path) -> None:
    """Refuse a setting that is planned with other options or for other data.

    Args:
        known: As it is planned.
        config: As it is asked for; its length is that of the plan.
        num_train: Images of an epoch.
        out: The folder of the bench, for the message.

    Raises:
        ConfigError: They differ.
    """
    found = [] if num_train == known.num_train else [f"training images: was {known.num_train}, is {num_train}"]
    asked = with_length(config, known.steps, num_train=known.num_train)
    found += differences(known.config(), asked, ignore=frozenset(OF_THE_MACHINE))
    if found:
        raise ConfigError(
            f"{known.name} is planned otherwise in {out / PLAN_NAME} ({'; '.join(found)}): give a new --out, or what "
            "the plan was made for.",
            option="--out",
        )


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan."""
    atomic_write_text(path, json.dumps(dataclasses.asdict(plan), indent=1, allow_nan=False) + "\n")


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        DataError: There is none, or it is damaged or of another format.
        ConfigError: It has options that there are not, or that are out of range.
    """
    try:
        plan = parse_dataclass(Plan, load_json(path, MAX_PLAN_BYTES), path.name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{path} is no plan of tandem bench quality: {reason}.", file=path) from error
    if plan.format != FORMAT:
        raise DataError(
            f"{path} has the format {plan.format}; this version of Tandem reads format {FORMAT}.", file=path
        )
    for one in plan.settings:
        if one.config().training.steps != one.steps or one.steps < 1:
            raise DataError(f"{path}: the options of {one.name} do not have its {one.steps} steps.", file=path)
    return plan
