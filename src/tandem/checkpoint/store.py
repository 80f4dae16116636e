"""The folder of training states: one file per step, the last few and the best kept.

A file takes its name only when it is whole and on the disk, so the newest file is always a state that can be resumed,
whenever the process was killed.
"""

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tandem.checkpoint.tensors import read_metadata, read_tensors, write_tensors
from tandem.errors import CheckpointError
from tandem.files import remove_leftovers

FORMAT_VERSION = 1
_NAME = re.compile(r"step-(\d{8,})\.safetensors")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints in `folder`.

    Attributes:
        folder: Where they are; made when the first one is saved.
        keep_last: How many of the newest stay; the one with the lowest score stays as well.
    """

    folder: Path
    keep_last: int = 3

    def save(
        self, step: int, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], *, score: float | None = None
    ) -> Path:
        """Write the state of `step`, then remove what retention no longer covers.

        Args:
            step: Optimiser steps done.
            tensors: The state, by name.
            metadata: What else a resumed run needs, as JSON.
            score: Lower is better; None does not compete for the best.
        """
        path = self._path(step)
        envelope = {"format": FORMAT_VERSION, "step": step, "score": score, "state": dict(metadata)}
        write_tensors(path, tensors, envelope)
        self._prune()
        return path

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

    def tensors(self, step: int) -> dict[str, Tensor]:
        """The tensors that were saved with `step`.

        Raises:
            CheckpointError: The file is damaged.
        """
        try:
            return read_tensors(self._path(step))
        except (ValueError, OSError) as error:
            raise CheckpointError(self._damaged(step, error)) from error

    def best_step(self) -> int | None:
        """The step with the lowest score, or None when no checkpoint has one."""
        scores = {step: self._score(step) for step in self.steps()}
        scored = {step: score for step, score in scores.items() if score is not None}
        return min(scored, key=lambda step: (scored[step], step)) if scored else None

    def clean(self) -> None:
        """Remove what a killed writer left behind."""
        remove_leftovers(self.folder)

    def _prune(self) -> None:
        steps = self.steps()
        for step in set(steps[: -self.keep_last]) - {self.best_step()}:
            self._path(step).unlink(missing_ok=True)

    def _score(self, step: int) -> float | None:
        try:
            score = self._envelope(step).get("score")
        except CheckpointError as error:
            # An old file must not stop a run that no longer needs it.
            log.warning("%s", error)
            return None
        return score if isinstance(score, int | float) and not math.isnan(score) else None

    def _envelope(self, step: int) -> dict[str, Any]:
        try:
            envelope = read_metadata(self._path(step))
        except (ValueError, OSError) as error:
            raise CheckpointError(self._damaged(step, error)) from error
        if envelope.get("format") != FORMAT_VERSION or not isinstance(envelope.get("state"), dict):
            raise CheckpointError(
                f"{self._path(step)} has the checkpoint format {envelope.get('format')}, this version of Tandem reads "
                f"format {FORMAT_VERSION}. Continue with the version that wrote it, or start a new run."
            )
        return envelope

    def _damaged(self, step: int, error: Exception) -> str:
        older = [other for other in self.steps() if other < step]
        mend = f"Remove it to continue from step {older[-1]}." if older else "Remove it to start this run anew."
        return f"the checkpoint {self._path(step)} cannot be read: {error}. {mend}"

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"
