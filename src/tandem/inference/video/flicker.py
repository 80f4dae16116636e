"""How much a translated video flickers, measured while it is made."""

from dataclasses import dataclass

import numpy as np

from tandem.data.pixels import convert_channels


@dataclass(frozen=True)
class FlickerReport:
    """Changes from frame to frame, in levels of 0 to 255.

    With x_t the input's frames and y_t the output's as the model gives them (before they are compressed), RGB over
    white, and over T frames of P pixels p,

        c(v, t, p) = mean over the 3 channels of |v_t(p) − v_{t−1}(p)|
        flicker    = 1 / ((T − 1) P) · sum over t = 2 … T and p of max(0, c(y, t, p) − c(x, t, p))

    so it is 0 where the output changes no more than the input does at the same place, and what stands still in the
    input must stand still in the output. Changes that a walk of the latent makes count as well.

    Attributes:
        flicker: As above; None for fewer than two frames.
        output_change: Mean of c(y, t, p).
        input_change: Mean of c(x, t, p).
        num_frames: T.
    """

    flicker: float | None
    output_change: float | None
    input_change: float | None
    num_frames: int

    def describe(self) -> str:
        """One line for people."""
        if self.flicker is None:
            return "flicker: needs two frames"
        return (
            f"flicker {self.flicker:.2f} of 255 a frame: what the output changes beyond the input's own changes "
            f"(output {self.output_change:.2f}, input {self.input_change:.2f})"
        )


class FlickerMeter:
    """Measures a video frame by frame; holds one frame of input and output."""

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._sums = np.zeros(3)
        self._frames = 0

    def add(self, source: np.ndarray, output: np.ndarray) -> None:
        """Take the next frame and its translation, both ``(H, W, 1 to 4)`` uint8."""
        frames = (convert_channels(source, 3), convert_channels(output, 3))
        if self._last is not None:
            before, after = (_change(last, now) for last, now in zip(self._last, frames, strict=True))
            self._sums += [
                np.maximum(after - before, 0).mean(dtype=float),
                after.mean(dtype=float),
                before.mean(dtype=float),
            ]
        self._last = frames
        self._frames += 1

    def report(self) -> FlickerReport:
        """What has been measured so far."""
        if self._frames < 2:
            return FlickerReport(None, None, None, self._frames)
        flicker, output, source = (float(value) for value in self._sums / (self._frames - 1))
        return FlickerReport(flicker, output, source, self._frames)


def _change(last: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Per pixel, the mean over the channels: ``(H, W)`` float32."""
    return (np.maximum(last, now) - np.minimum(last, now)).mean(axis=2, dtype=np.float32)
