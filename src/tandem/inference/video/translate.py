"""Translating a video: frames are read, translated some at a time, and written; only these are in memory."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from tandem.config.data import Direction
from tandem.data.fit import Fit
from tandem.data.pixels import convert_channels
from tandem.errors import ConfigError, DataError
from tandem.inference.runtime import OnTile
from tandem.inference.translator import Translator
from tandem.inference.video.flicker import FlickerMeter, FlickerReport
from tandem.inference.video.frames import VIDEO_SUFFIXES, Frame, Video, VideoWriter
from tandem.inference.video.gif import GifVideo, GifWriter, scan_gif
from tandem.inference.video.latent_walk import VideoLatents
from tandem.inference.video.reading import ContainerVideo
from tandem.inference.video.writing import ContainerWriter

_Key = tuple[np.ndarray, np.ndarray]  # pixels and latent: what an output follows from


def is_video(path: Path) -> bool:
    """Whether a file is translated as a video: a video, or a GIF of more than one frame.

    Raises:
        DataError: A GIF is damaged.
    """
    if not path.is_file():
        return False
    suffix = path.suffix.lower()
    return suffix in VIDEO_SUFFIXES or (suffix == ".gif" and scan_gif(path).num_frames > 1)


def open_video(path: Path, *, target_suffix: str) -> GifVideo | ContainerVideo:
    """Open a video for reading; a GIF's short frames are kept for another GIF only.

    Raises:
        DataError: It cannot be read.
        MissingExtraError: It is a video, and PyAV is not installed.
    """
    if path.suffix.lower() == ".gif":
        return GifVideo(path, as_shown=target_suffix != ".gif")
    return ContainerVideo(path)


def open_writer(path: Path, suffix: str, video: GifVideo | ContainerVideo) -> GifWriter | ContainerWriter:
    """Open a video for writing, of the size and timing of another one.

    Args:
        path: The file, any name.
        suffix: The suffix that it will have.
        video: The source.

    Raises:
        DataError: The format cannot hold such a video.
        MissingExtraError: It is a video, and PyAV is not installed.
    """
    if suffix == ".gif":
        return GifWriter(path, video.info)
    return ContainerWriter(path, suffix, video.info, video.sound_streams if isinstance(video, ContainerVideo) else ())


class VideoTranslator:
    """Translates the frames of one video in their order.

    A frame that equals the one before it, with the same latent, is not translated again: what stands still stands
    still, to the bit.

    Args:
        translator: The model.
        latents: The latent at every time.
        seed: Decides the dropout of models that sample with it, one mask for all frames.
        fit: See `Translator`.
        direction: See `Translator`.
        batch_size: Frames that run through the generator at once.

    Raises:
        ConfigError: The codes are not those of this model, or the batch is empty.
    """

    def __init__(
        self,
        translator: Translator,
        latents: VideoLatents,
        *,
        seed: int = 0,
        fit: Fit = "auto",
        direction: Direction | None = None,
        batch_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"--batch-size must be at least 1, not {batch_size}.")
        if latents.z.shape[1] != translator.latent_dim:
            raise ConfigError(
                f"the latents have {latents.z.shape[1]} numbers, but this model's have {translator.latent_dim}."
            )
        self._translator, self._latents, self._batch_size = translator, latents, batch_size
        self._seed = seed
        self._fit: Fit = fit
        self._direction: Direction | None = direction
        self._start: int | None = None
        self._last: _Key | None = None
        self._output = np.empty(0, np.uint8)

    def run(
        self,
        video: Video,
        writer: VideoWriter,
        *,
        on_progress: Callable[[int, int | None], None] | None = None,
        on_tile: OnTile | None = None,
    ) -> FlickerReport:
        """Read a video to its end and write its translation.

        Args:
            video: The source.
            writer: The target.
            on_progress: Called with the frames done and, if known, those in all.
            on_tile: Called with the tiles done and those in all while a frame is translated in tiles.

        Returns:
            How much it flickers.

        Raises:
            DataError: The video is damaged or has no frames, or the target cannot hold it.
        """
        meter = FlickerMeter()
        waiting: list[Frame] = []
        done = 0

        def finish() -> None:
            nonlocal done
            for frame, output in zip(waiting, self._translated(waiting, video.info.time_base, on_tile), strict=True):
                meter.add(frame.pixels, output)
                writer.add(Frame(_with_transparency(output, frame.pixels), frame.time, frame.duration))
            done += len(waiting)
            waiting.clear()
            if on_progress is not None:
                total = video.info.num_frames
                on_progress(done, None if total is None else max(total, done))

        for part in video.parts():
            if not isinstance(part, Frame):
                writer.add_sound(part)
                continue
            waiting.append(part)
            if len(waiting) == self._batch_size:
                finish()
        if waiting:
            finish()
        if not done:
            raise DataError(f"{video.info.path}: holds no frames")
        return meter.report()

    def _translated(self, frames: list[Frame], time_base: Fraction, on_tile: OnTile | None) -> list[np.ndarray]:
        if self._start is None:
            self._start = frames[0].time
        z = np.stack([self._latents.at((frame.time - self._start) * time_base) for frame in frames])
        keys = [(frame.pixels, latent) for frame, latent in zip(frames, z, strict=True)]
        fresh = {i for i, pair in enumerate(zip([self._last, *keys], keys, strict=False)) if not _same(*pair)}
        made: Iterator[np.ndarray] = iter(())
        if fresh:
            chosen = sorted(fresh)
            pixels = np.stack([frames[index].pixels for index in chosen])
            translated = self._translator.translate_frames(
                pixels, z[chosen], seed=self._seed, fit=self._fit, direction=self._direction, on_tile=on_tile
            )
            made = iter(translated)
        outputs = []
        for index in range(len(frames)):
            self._output = next(made) if index in fresh else self._output
            outputs.append(self._output)
        self._last = keys[-1]
        return outputs


def _same(one: _Key | None, other: _Key) -> bool:
    return one is not None and all(map(np.array_equal, one, other))


def _with_transparency(output: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The output as RGB or RGBA; where it has no alpha of its own, that of a transparent source."""
    if output.shape[2] in {2, 4}:
        return convert_channels(output, 4)
    colour = convert_channels(output, 3)
    return np.concatenate([colour, source[:, :, 3:]], axis=2) if source.shape[2] == 4 else colour
