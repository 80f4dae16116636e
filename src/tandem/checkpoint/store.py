"""The folder of training states: one file per step, the last few and the best kept.

A file takes its name only when it is whole and on the disk, so the newest file is always a state that can be resumed,
whenever the process was killed.
"""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

from torch import Tensor

from tandem.config.parse import parse_dataclass
from tandem.config.values import MAX_INTEGER
from tandem.errors import CheckpointError, DamagedCheckpointError
from tandem.files import remove_leftovers
from tandem.tensors import TensorFile, open_tensors, write_tensors

FORMAT_VERSION = 2
READ_FORMATS = (1, 2)
"""Format 1 is the same without hashes, so that damage to its tensors is not noticed."""
DAMAGED_ENDING = ".damaged"
_NAME = re.compile(r"step-(\d{8,})\.safetensors")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Best:
    """The best checkpoint: its step, its score (lower is better), and the rule that the score goes by."""

    step: int
    score: float
    rule: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of a checkpoint, for people.

    Attributes:
        number: The name of the number that decides.
        better: Which way is better.
        value: It; None where it is not finite.
        turn: Of the checkpoints that compete, the first is 1; 0 does not compete.
        shortfall: Why it does not, in a few words.
    """

    number: str
    better: Literal["lower", "higher"]
    value: float | None
    turn: int
    shortfall: str = ""


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints in `folder`.

    Scores compete with those of the same rule alone, and the newest score says which rule holds; of equal scores the
    earlier one stays the best.

    Attributes:
        folder: Where they are; made when the first one is saved.
        keep_last: How many of the newest stay; the one with the lowest score stays as well. That of step 0, which any
            run can compute again, stays only until there is another.
    """

    folder: Path
    keep_last: int = 2

    def save(
        self,
        step: int,
        tensors: Mapping[str, Tensor],
        metadata: Mapping[str, Any],
        *,
        score: float | None = None,
        rule: str = "",
        final: bool = False,
        measured: Measured | None = None,
    ) -> Path:
        """Write the state of `step`, then remove what retention no longer covers.

        Args:
            step: Optimiser steps done.
            tensors: The state, by name.
            metadata: What else a resumed run needs, as JSON.
            score: Lower is better; None does not compete for the best.
            rule: What the score is.
            final: Whether the score counts only as long as no later step is saved: a run that goes on is the same as
                one that was never meant to end here.
            measured: What the score was made of.
        """
        path = self.path(step)
        envelope = {
            "format": FORMAT_VERSION,
            "step": step,
            "score": score,
            "rule": rule,
            "final": final,
            "measured": None if measured is None else asdict(measured),
            "state": dict(metadata),
        }
        write_tensors(path, tensors, envelope)
        self._prune()
        return path

    @staticmethod
    def step_of(file: Path) -> int | None:
        """The step that a file of a store is named by; None for other names."""
        found = _NAME.fullmatch(file.name)
        return None if found is None else int(found[1])

    def steps(self) -> list[int]:
        """The steps of which there is a checkpoint, ascending."""
        if not self.folder.is_dir():
            return []
        return sorted(int(m[1]) for p in self.folder.iterdir() if (m := _NAME.fullmatch(p.name)))

    def metadata(self, step: int) -> dict[str, Any]:
        """The metadata that was saved with `step`; the tensors are not looked at.

        Raises:
            CheckpointError: The file cannot be read, is damaged or of another format.
        """
        return self._envelope(step)["state"]

    def measured(self, step: int) -> Measured | None:
        """What was measured of the checkpoint of `step`; None where nothing was.

        Raises:
            CheckpointError: The file cannot be read, is damaged or of another format.
        """
        told = self._envelope(step).get("measured")
        try:
            return None if told is None else parse_dataclass(Measured, told, "measured")
        except ValueError as error:
            raise self._damaged(step, error) from error

    def read(self, step: int, prefixes: tuple[str, ...] = ("",)) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The metadata and the tensors that were saved with `step`, of one file and held against their hash.

        Args:
            step: Which.
            prefixes: Only tensors whose names begin with one of them are returned; all are verified.

        Raises:
            DamagedCheckpointError: It is not what was written.
            CheckpointError: The file cannot be read, or has another format.
        """
        with self._opened(step) as file:
            envelope = self._checked(step, file)
            if envelope["format"] > 1:
                file.verify()
            return envelope["state"], file.tensors(prefixes)

    def tensors(self, step: int) -> dict[str, Tensor]:
        """The tensors that were saved with `step`; see `read`."""
        return self.read(step)[1]

    def set_aside(self, step: int) -> Path:
        """Give a damaged checkpoint another name, so that it counts no more; returns that."""
        path = self.path(step)
        return path.replace(path.with_name(path.name + DAMAGED_ENDING))

    def best(self, *, goes_on: bool = False) -> Best | None:
        """The checkpoint with the lowest score, or None when no checkpoint has one.

        Args:
            goes_on: Whether a score of the end of the run has ceased to count, because there is a later step.
        """
        steps = self.steps()
        newest = None if goes_on or not steps else steps[-1]
        scored = [best for step in steps if (best := self._score(step, newest=step == newest)) is not None]
        competing = [best for best in scored if best.rule == scored[-1].rule]
        return min(competing, key=lambda best: (best.score, best.step)) if competing else None

    def best_step(self) -> int | None:
        """The step of the best checkpoint, or None when no checkpoint has a score."""
        best = self.best()
        return None if best is None else best.step

    def clean(self) -> None:
        """Remove what a killed writer left behind."""
        remove_leftovers(self.folder)

    def _prune(self) -> None:
        steps = self.steps()
        trained = [step for step in steps if step > 0] or steps
        for step in set(steps) - set(trained[-self.keep_last :]) - {self.best_step()}:
            self.path(step).unlink(missing_ok=True)

    def _score(self, step: int, *, newest: bool) -> Best | None:
        try:
            envelope = self._envelope(step)
        except CheckpointError as error:
            # An old file must not stop a run that no longer needs it.
            log.warning("%s", error)
            return None
        score, rule = envelope.get("score"), str(envelope.get("rule", ""))
        if not _can_be_compared(score) or (envelope.get("final") and not newest):
            return None
        return Best(step, score, rule)

    def _envelope(self, step: int) -> dict[str, Any]:
        with self._opened(step) as file:
            return self._checked(step, file)

    @contextmanager
    def _opened(self, step: int) -> Iterator[TensorFile]:
        """Open a file; whatever is wrong with it within is said of the checkpoint."""
        try:
            with open_tensors(self.path(step)) as file:
                yield file
        except CheckpointError:
            raise
        except FileNotFoundError as error:
            raise CheckpointError(
                f"the checkpoint {self.path(step)} is gone. A training keeps its last --keep-last and its best one "
                f"and removes the others; kept are the steps {', '.join(map(str, self.steps())) or 'none'}.",
                file=self.path(step),
            ) from error
        except OSError as error:
            raise CheckpointError(
                f"the checkpoint {self.path(step)} cannot be read: {error.strerror or error}.", file=self.path(step)
            ) from error
        except ValueError as error:
            raise self._damaged(step, error) from error

    def _checked(self, step: int, file: TensorFile) -> dict[str, Any]:
        envelope = file.metadata
        if envelope is None:
            raise ValueError(f"{self.path(step)} was not written by Tandem (it has no metadata)")
        given = envelope.get("format")
        if type(given) is int and given not in READ_FORMATS:
            raise CheckpointError(
                f"{self.path(step)} has the checkpoint format {given}, this version of Tandem reads format "
                f"{FORMAT_VERSION}. Continue with the version that wrote it, or start a new run.",
                file=self.path(step),
            )
        if type(given) is not int or not isinstance(envelope.get("state"), dict) or (given > 1 and not file.is_hashed):
            raise ValueError(f"{self.path(step)}: its metadata is not that of a checkpoint")
        if envelope.get("step") != step:
            raise ValueError(
                f"it is called step {step} and holds step {envelope.get('step')!r:.40}: give the file its own name back"
            )
        return envelope

    def _damaged(self, step: int, error: Exception) -> DamagedCheckpointError:
        return DamagedCheckpointError(
            f"the checkpoint {self.path(step)} cannot be used: {error}.", file=self.path(step)
        )

    def path(self, step: int) -> Path:
        """The file of `step`, whether it is there or not."""
        return self.folder / f"step-{step:08d}.safetensors"


def _can_be_compared(score: object) -> TypeGuard[float]:
    """Whether it is a number that is not NaN, and no integer that no float holds."""
    if isinstance(score, int):
        return abs(score) <= MAX_INTEGER
    return isinstance(score, float) and not math.isnan(score)
