"""The folder of training states: one file per step, the last few and the best kept.

A file takes its name only when it is whole and on the disk, so the newest file is always a state that can be resumed,
whenever the process was killed.
"""

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from tandem.config.parse import parse_dataclass
from tandem.errors import CheckpointError
from tandem.files import remove_leftovers
from tandem.tensors import read_metadata, read_tensors, write_tensors

FORMAT_VERSION = 1
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
        """The metadata that was saved with `step`.

        Raises:
            CheckpointError: The file is damaged or of another format.
        """
        return self._envelope(step)["state"]

    def measured(self, step: int) -> Measured | None:
        """What was measured of the checkpoint of `step`; None where nothing was.

        Raises:
            CheckpointError: The file is damaged or of another format.
        """
        told = self._envelope(step).get("measured")
        try:
            return None if told is None else parse_dataclass(Measured, told, "measured")
        except ValueError as error:
            raise CheckpointError(self._damaged(step, error)) from error

    def tensors(self, step: int, prefixes: tuple[str, ...] = ("",)) -> dict[str, Tensor]:
        """The tensors that were saved with `step`, those whose names begin with one of `prefixes`.

        Raises:
            CheckpointError: The file is damaged.
        """
        try:
            return read_tensors(self.path(step), prefixes)
        except (ValueError, OSError) as error:
            raise CheckpointError(self._damaged(step, error)) from error

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
        if not isinstance(score, int | float) or math.isnan(score) or (envelope.get("final") and not newest):
            return None
        return Best(step, score, rule)

    def _envelope(self, step: int) -> dict[str, Any]:
        try:
            envelope = read_metadata(self.path(step))
        except (ValueError, OSError) as error:
            raise CheckpointError(self._damaged(step, error)) from error
        if envelope.get("format") != FORMAT_VERSION or not isinstance(envelope.get("state"), dict):
            raise CheckpointError(
                f"{self.path(step)} has the checkpoint format {envelope.get('format')}, this version of Tandem reads "
                f"format {FORMAT_VERSION}. Continue with the version that wrote it, or start a new run."
            )
        return envelope

    def _damaged(self, step: int, error: Exception) -> str:
        older = [other for other in self.steps() if other < step]
        advice = f"Remove it to continue from step {older[-1]}." if older else "It is the only one: begin a new run."
        return f"the checkpoint {self.path(step)} cannot be read: {error}. {advice}"

    def path(self, step: int) -> Path:
        """The file of `step`, whether it is there or not."""
        return self.folder / f"step-{step:08d}.safetensors"
