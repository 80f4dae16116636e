"""TIFFs that are translated from file to file, window by window, and are nowhere whole in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tandem.config.data import Direction
from tandem.data.formats.carried import Carried, empty_pixels
from tandem.data.formats.stored import StoredImage, UnreadableError
from tandem.data.formats.tiff_carried import tiff_tags
from tandem.data.formats.tiff_large import UnpackedTiff, unpacked_tiff
from tandem.data.formats.tiff_writer import TiffWriter
from tandem.data.images import ImageReadError
from tandem.data.levels import Levels
from tandem.data.metadata import read_carried
from tandem.errors import ConfigError
from tandem.files import atomic_replace, remove_leftovers_of
from tandem.foreign import open_plain
from tandem.inference.finish import Finish, say_outside
from tandem.inference.runtime import OnTile
from tandem.inference.sampling import SamplingOptions
from tandem.inference.streaming.window import Window
from tandem.inference.translator import Translator


def translate_tiff(
    translator: Translator,
    source: Path,
    targets: Sequence[Path],
    options: SamplingOptions,
    *,
    direction: Direction | None = None,
    on_tile: OnTile | None = None,
) -> None:
    """Translate a TIFF into others, each with a latent of its own, as `tandem.inference.sampling` draws them.

    Args:
        translator: The model.
        source: The input, of any size.
        targets: Where the samples go.
        options: How; the mode is ``random``.
        direction: Of the translation; by default the model's own.
        on_tile: Called with the tiles done and those in all, of each sample.

    Raises:
        ImageReadError: The input is damaged, or of a kind that is not read.
        ConfigError: The options, or the model, need the whole image at once.
        DataError: There is no room for a temporary file.
    """
    if options.mode != "random" or options.cycle or options.spread:
        raise ConfigError(f"{source} is translated part by part, for which --mode random alone is there.")
    if options.z is not None:
        latents = options.z
    elif translator.latent_dim:
        latents = translator.sample_z(len(targets), seed=options.seed)
    else:
        latents = np.zeros((len(targets), 0), np.float32)
    carried = read_carried(source)
    try:
        with open_plain(source) as stream, unpacked_tiff(stream) as image:
            levels = translator.levels(direction)[0]
            inputs = _Input(image, levels, _channels(translator, direction), str(source), carried.nodata_value)
            for number, (latent, target) in enumerate(zip(latents, targets, strict=True)):
                output = _Output(image, inputs, carried, translator.levels(direction)[1], counts=number == 0)
                remove_leftovers_of(target)

                def write(temporary: Path, output: _Output = output, latent: np.ndarray = latent) -> None:
                    with temporary.open("w+b") as file:
                        output.begin(file, translator.abilities.generator(direction).spec.out_channels)
                        translator.stream(
                            inputs,
                            latent,
                            output.take,
                            seed=options.seed + number,  # noqa: B023  (is called before the next one)
                            fit=options.fit,
                            direction=direction,
                            on_tile=on_tile,
                        )
                        output.end()

                atomic_replace(target, write)
    except UnreadableError as error:
        raise ImageReadError(str(source), str(error)) from error
    say_outside(inputs.num_outside)


def _channels(translator: Translator, direction: Direction | None) -> int:
    return translator.abilities.generator(direction).spec.in_channels


class _Input:
    """The input as floats, part by part."""

    def __init__(
        self, image: UnpackedTiff, levels: Levels, channels: int, name: str, nodata: float | None = None
    ) -> None:
        self._image, self._levels, self._name, self._nodata = image, levels, name, nodata
        self.shape = (channels, *image.shape[:2])
        self.num_outside = 0

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """See `tandem.inference.streaming.source.Source`."""
        return self._levels.to_floats(self._levels.values_of(self._part(rows, columns), self.shape[0], self._name))

    def empty(self, rows: slice, columns: slice) -> np.ndarray | None:
        """Where a part holds nothing, ``(h, w)``; None if nowhere."""
        part = self._part(rows, columns)
        if self._levels.fill is None:
            return empty_pixels(part.values, self._nodata)
        empty = self._levels.empty(part)
        return np.zeros(part.values.shape[:2], bool) if empty is None and self.may_be_empty else empty

    @property
    def may_be_empty(self) -> bool:
        """Whether pixels may hold nothing though the file names no value of such."""
        levels = self._levels
        return levels.fill is not None and (levels.nodata is not None or self._image.like.values.dtype.kind == "f")

    @property
    def nodata(self) -> float | None:
        """The value of ``--nodata`` that the model was trained with."""
        return self._levels.nodata

    def _part(self, rows: slice, columns: slice) -> StoredImage:
        return replace(self._image.read(rows, columns), nodata=self._nodata)

    def count_outside(self, rows: slice, columns: slice, empty: np.ndarray | None) -> None:
        """Take note of the values of a part, but for its `empty` pixels, that are beyond the range."""
        if self._levels.low:
            values = self._levels.values_of(self._image.read(rows, columns), self.shape[0], self._name)
            values = values if empty is None else values[~empty][:, None]
            self.num_outside += round(self._levels.outside(values) * values.size) if values.size else 0


@dataclass
class _Band:
    """Rows of the output that are not all there yet."""

    rows: tuple[int, int]
    values: np.ndarray


class _Output:
    """Takes the windows of an output, row by row, and writes each row of windows when it is whole."""

    def __init__(self, image: UnpackedTiff, inputs: _Input, carried: Carried, levels: Levels, *, counts: bool) -> None:
        self._image, self._inputs, self._carried, self._levels = image, inputs, carried, levels
        self._counts = counts
        self._band: _Band | None = None
        self._dtype = np.dtype(levels.type)

    def begin(self, file: object, channels: int) -> None:
        """Begin the file of an output with some channels."""
        height, width, _ = self._image.shape
        self._channels = channels = channels if self._levels.classes is None else 1
        empty = np.empty((0, 0, channels), self._dtype)
        none = np.zeros((0, 0), bool) if self._inputs.may_be_empty else None
        kept = self._finish(none)(empty).carried.for_image(empty)
        tags, pages = tiff_tags(kept, (height, width, channels), self._dtype)
        self._writer = TiffWriter(file, (height, width, channels), self._dtype, tags=tags, pages=pages)  # type: ignore[arg-type]

    def take(self, window: Window, values: np.ndarray) -> None:
        """Take a window."""
        if self._band is None or self._band.rows != window.rows:
            self._flush()
            height = window.rows[1] - window.rows[0]
            self._band = _Band(window.rows, np.empty((height, self._image.shape[1], self._channels), self._dtype))
        rows, columns = window.slices()
        empty = self._inputs.empty(rows, columns)
        if self._counts:
            self._inputs.count_outside(rows, columns, empty)
        self._band.values[:, columns] = self._finished(empty, values)

    def _finished(self, empty: np.ndarray | None, values: np.ndarray) -> np.ndarray:
        return self._finish(empty)(self._levels.from_floats(values)).array

    def _finish(self, empty: np.ndarray | None) -> Finish:
        return Finish(self._carried, empty, levels=self._levels, nodata=self._inputs.nodata)

    def end(self) -> None:
        """Write what is left."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._band is not None:
            self._writer.write(self._band.values)
        self._band = None
