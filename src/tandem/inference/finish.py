"""Outputs as they are written: what their input's file says beside its pixels, and its pixels that hold nothing."""

import logging
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from tandem.data.formats.carried import NOTHING, Carried, empty_pixels, holds, with_nodata
from tandem.data.metadata import read_carried
from tandem.inference.jobs import Job
from tandem.inference.translator import Translator

log = logging.getLogger(__name__)


class Finished(NamedTuple):
    """An output, and what its file says beside its pixels."""

    array: np.ndarray
    carried: Carried


@dataclass(frozen=True)
class Finish:
    """What becomes of the outputs of an input.

    Attributes:
        carried: What the file of the input says.
        empty: Its pixels that hold nothing, ``(H, W)``; None where it has none.
        num_outside: Values of the input that are beyond the value range of its domain, and were cut off.
    """

    carried: Carried = NOTHING
    empty: np.ndarray | None = field(default=None, repr=False)
    num_outside: int = 0

    def __call__(self, array: np.ndarray) -> Finished:
        """An output ``(H, W, C)`` without the pixels of which nothing is known, and what goes with it."""
        nodata = self.carried.nodata_value
        if nodata is None:
            return Finished(array, replace(self.carried, nodata=None))
        carried = self.carried
        if not holds(array.dtype, nodata):
            nodata = 0.0
            carried = replace(carried, nodata="0")
        return Finished(with_nodata(array, self.empty, nodata), carried)


def finish_of(job: Job, translator: Translator) -> Finish:
    """What becomes of the outputs of a job.

    Raises:
        DataError: Its file cannot be read.
    """
    file, is_half = job.input_file(translator)
    carried = read_carried(file)
    if is_half:  # of a file that holds A and B side by side: of its place and sizes only that of a pixel is known
        carried = Carried(resolution=carried.resolution, profile=carried.profile)
    levels, _ = translator.levels(job.direction)
    if carried.nodata_value is None and levels.is_by_type:
        return Finish(carried)
    values = job.input_values(translator)
    empty = empty_pixels(values, carried.nodata_value)
    outside = levels.outside(values if empty is None else values[~empty][:, None])
    return Finish(
        carried, empty, round(outside * values.size if empty is None else outside * (~empty).sum() * values.shape[2])
    )


def say_outside(total: int) -> None:
    """Say how many values of inputs were cut off, if any."""
    if total:
        log.warning(
            "%d values of the inputs are beyond the value range that the model was trained with, and were cut off",
            total,
        )
