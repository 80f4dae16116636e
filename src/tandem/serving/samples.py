"""Samples that somebody waits for, and how parts of several requests go through a network together."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tandem.config.data import Direction
from tandem.data.fit import Fit
from tandem.inference.translator import Translator


@dataclass(frozen=True)
class Progress:
    """How far a request is.

    Attributes:
        samples_done: Of it.
        samples: In all.
        tiles_done: Of the sample that is being translated in tiles.
        tiles: In all; 0 where there are none.
    """

    samples_done: int
    samples: int
    tiles_done: int = 0
    tiles: int = 0


OnProgress = Callable[[Progress], None]
"""Called from the thread that computes."""


@dataclass(eq=False)
class Samples:
    """Outputs that somebody waits for: one input, translated with several latents.

    Attributes:
        translator: The model.
        model: Its name.
        frame: The input, ``(H, W, C)``, of the values and with the channels that the model takes.
        latents: ``(M, latent_dim)``, float32.
        fit: How the input comes to the size that the network takes.
        direction: Of the translation.
        on_progress: Told how far it is.
        at_once: How many samples like these pay and fit.

    Raises:
        DataError: The network takes no input of this size.
    """

    translator: Translator
    model: str
    frame: np.ndarray
    latents: np.ndarray
    fit: Fit
    direction: Direction | None
    on_progress: OnProgress | None = None
    at_once: int = field(init=False)

    def __post_init__(self) -> None:
        # Here, so that what is wrong with a size comes to whoever asks, and not to the thread of the networks.
        height, width, _ = self.frame.shape
        self.at_once = self.translator.frames_at_once(height, width, fit=self.fit, direction=self.direction)
        self._made: list[np.ndarray | None] = [None] * len(self.latents)
        self._taken = self._done = 0
        self._lock = threading.Lock()

    @property
    def key(self) -> tuple[object, ...]:
        """What can be computed at once has the same key."""
        return (id(self.translator), self.frame.shape, self.frame.dtype, self.fit, self.direction)

    @property
    def left(self) -> int:
        """Samples that nobody computes yet."""
        return len(self.latents) - self._taken

    @property
    def outputs(self) -> list[np.ndarray]:
        """What has been computed, ``(H, W, C)`` each, of the model's own values."""
        return [output for output in self._made if output is not None]

    def take(self, at_most: int) -> "Part":
        """The next samples to compute; whoever takes them holds the lock of the line."""
        part = Part(self, self._taken, min(self._taken + at_most, len(self.latents)))
        self._taken = part.end
        return part

    def put(self, part: "Part", outputs: Sequence[np.ndarray]) -> bool:
        """Take in outputs; returns whether all are there."""
        with self._lock:
            self._made[part.start : part.end] = outputs
            self._done += len(part)
            is_complete = self._done == len(self.latents)
        self.tell()
        return is_complete

    def tell(self, tiles_done: int = 0, tiles: int = 0) -> None:
        """Tell whoever waits how far it is."""
        if self.on_progress is not None:
            self.on_progress(Progress(self._done, len(self.latents), tiles_done, tiles))


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples of a request, from `start` to before `end`."""

    samples: Samples
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def translate_parts(parts: Sequence[Part], require_somebody: Callable[[], None]) -> np.ndarray:
    """One forward for samples of several requests of one key, ``(N, H, W, C)``, of the model's own values.

    Args:
        parts: Which samples.
        require_somebody: Raises where nobody waits for them any more; asked after each tile of large images.
    """
    frames = [part.samples.frame for part in parts for _ in range(len(part))]
    latents = np.concatenate([part.samples.latents[part.start : part.end] for part in parts])

    def on_tile(done: int, tiles: int) -> None:
        require_somebody()
        for part in parts:
            part.samples.tell(done, tiles)

    first = parts[0].samples
    return first.translator.translate_frames(
        np.stack(frames), latents, fit=first.fit, direction=first.direction, output="values", on_tile=on_tile
    )
