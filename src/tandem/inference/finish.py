"""Outputs as they are written: what their input's file says beside its pixels, and its pixels that hold nothing."""

import logging
import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from tandem.data.formats.carried import NOTHING, Carried, empty_pixels, holds, with_nodata
from tandem.data.levels import BY_TYPE, Levels
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
        levels: Those of the outputs: of label maps, a pixel that holds nothing has no class, and no other is changed.
        nodata: What pixels that hold nothing become where the file does not say a value and the model has one.
    """

    carried: Carried = NOTHING
    empty: np.ndarray | None = field(default=None, repr=False)
    num_outside: int = 0
    levels: Levels = BY_TYPE
    nodata: float | None = None

    def __call__(self, array: np.ndarray) -> Finished:
        """An output ``(H, W, C)`` without the pixels of which nothing is known, and what goes with it.

        They get the nodata of the input's file; where it has none, that of ``--nodata``, and in floating point NaN; and
        0 where the type of the output does not hold it.
        """
        if self.levels.classes is not None:
            ignored = self.levels.classes.ignored
            if self.empty is not None and ignored is not None and array.shape[2] == 1:
                array = np.where(self.empty[:, :, None], np.array(ignored, array.dtype), array)
            return Finished(array, replace(self.carried, nodata=None, profile=None, palette=self.levels.palette))
        carried, nodata = self.carried, self.carried.nodata_value
        if nodata is None:
            carried = replace(carried, nodata=None)
            if self.empty is None:
                return Finished(array, carried)
            nodata = math.nan if self.nodata is None else self.nodata
            carried = replace(carried, nodata=f"{nodata:.17g}")
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
    levels, of_outputs = translator.levels(job.direction)
    valid = job.valid_input(translator)
    if valid is not None:
        values = job.input_values(translator)
        outside = levels.outside(values[valid][:, None]) * valid.sum() * values.shape[2] if valid.any() else 0
        return Finish(carried, None if valid.all() else ~valid, round(outside), of_outputs, levels.nodata)
    if carried.nodata_value is None and not levels.low:
        return Finish(carried, levels=of_outputs)
    values = job.input_values(translator)
    empty = empty_pixels(values, carried.nodata_value)
    outside = levels.outside(values if empty is None else values[~empty][:, None])
    counted = values.size if empty is None else (~empty).sum() * values.shape[2]
    return Finish(carried, empty, round(outside * counted), of_outputs)


def say_outside(total: int) -> None:
    """Say how many values of inputs were cut off, if any."""
    if total:
        log.warning(
            "%d values of the inputs are beyond the value range that the model was trained with, and were cut off",
            total,
        )
