"""Outputs as they are written: what their input's file says beside its pixels, and its pixels that hold nothing."""

import hashlib
import json
import logging
import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from tandem.data.formats.carried import NOTHING, Carried, Derivation, empty_pixels, holds, with_nodata
from tandem.data.levels import BY_TYPE, Levels
from tandem.data.metadata import read_carried
from tandem.errors import DataError
from tandem.inference.jobs import Job
from tandem.inference.sample_record import settings_of
from tandem.inference.sampling import SamplingOptions
from tandem.inference.translator import Translator
from tandem.version import __version__

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
        derivation: How outputs come of the input, for formats that say so.
    """

    carried: Carried = NOTHING
    empty: np.ndarray | None = field(default=None, repr=False)
    num_outside: int = 0
    levels: Levels = BY_TYPE
    nodata: float | None = None
    derivation: Derivation | None = None

    def __call__(self, array: np.ndarray, number: int = 1, name: str = "") -> Finished:
        """An output ``(H, W, C)`` without the pixels of which nothing is known, and what goes with it.

        They get the nodata of the input's file; where it has none, that of ``--nodata``, and in floating point NaN; and
        0 where the type of the output does not hold it.

        Args:
            array: The output.
            number: Which of the outputs of the input it is, from 1.
            name: How these are called, where there are several.
        """
        derivation = self.derivation
        if derivation is not None:
            series, own = f"{derivation.series} {name} {number}", f"{name} {number}" if name else ""
            derivation = replace(derivation, series=series, number=number, name=own)
        return self._without_nothing(array, replace(self.carried, derivation=derivation))

    def _without_nothing(self, array: np.ndarray, carried: Carried) -> Finished:
        if self.levels.classes is not None:
            ignored = self.levels.classes.ignored
            if self.empty is not None and ignored is not None and array.shape[2] == 1:
                array = np.where(self.empty[:, :, None], np.array(ignored, array.dtype), array)
            return Finished(array, replace(carried, nodata=None, profile=None, palette=self.levels.palette))
        nodata = carried.nodata_value
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


def finished(finish: Finish, outputs: np.ndarray, name: str) -> list[Finished]:
    """The outputs ``(M, H, W, C)`` of an input that have a name together, each after `finish`."""
    return [finish(output, number, name if len(outputs) > 1 else "") for number, output in enumerate(outputs, 1)]


def finish_of(job: Job, translator: Translator, options: SamplingOptions) -> Finish:
    """What becomes of the outputs of a job.

    Raises:
        DataError: Its file cannot be read, or is no DICOM file where outputs are to be such.
    """
    file, is_half = job.input_file(translator)
    carried = read_carried(file)
    if is_half:  # of a file that holds A and B side by side: of its place and sizes only that of a pixel is known
        carried = Carried(resolution=carried.resolution, profile=carried.profile)
    finish = _with_pixels(carried, job, translator)
    if options.image_format != "dcm":
        return finish
    if carried.dicom is None:
        raise DataError(
            f"{file} is no DICOM file, so that no DICOM file can be derived from it: take another --format."
        )
    return replace(finish, derivation=_derivation(translator, options, finish.levels))


def _with_pixels(carried: Carried, job: Job, translator: Translator) -> Finish:
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


def _derivation(translator: Translator, options: SamplingOptions, levels: Levels) -> Derivation:
    """What all outputs of a sampling have in common: it follows from the settings, so that a killed one goes on."""
    settings, manifest = json.dumps(settings_of(translator, options), sort_keys=True), translator.manifest
    weights = "" if manifest.weights is None else f", weights {manifest.weights.sha256[:16]}"
    ends = (levels.low[0], levels.high[0]) if levels.low else (0.0, float(np.iinfo(levels.type).max))
    return Derivation(
        hashlib.sha256(settings.encode()).hexdigest(),
        f"Made by a model: Tandem {__version__}, {manifest.method}{weights}",
        window=ends,
        is_synthetic=True,
    )


def say_outside(total: int) -> None:
    """Say how many values of inputs were cut off, if any."""
    if total:
        log.warning(
            "%d values of the inputs are beyond the value range that the model was trained with, and were cut off",
            total,
        )
