"""From one input and its latents to outputs: how many at once, and whether in tiles."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tandem.errors import ConfigError
from tandem.inference.abilities import Generator
from tandem.inference.engine import Engine, TilingEngine
from tandem.inference.memory import batch_within, forward_bytes
from tandem.inference.runtime import Auto, OnTile, Runtime, check_tile
from tandem.inference.streaming.source import Source
from tandem.inference.streaming.window import Window
from tandem.rng import derive_seed


class Runner:
    """Runs generators within the limits of a runtime.

    Args:
        engine: What runs the networks.
        runtime: The limits.
        one_by_one: Whether samples of one forward would influence each other: batch norm with the batch's own
            statistics, or one dropout mask for all.
        has_dropout_noise: Whether dropout makes samples differ.
    """

    def __init__(self, engine: Engine, runtime: Runtime, *, one_by_one: bool, has_dropout_noise: bool) -> None:
        self._engine, self._runtime = engine, runtime
        self._one_by_one, self._has_dropout_noise = one_by_one, has_dropout_noise

    def samples(
        self,
        generator: Generator,
        values: np.ndarray,
        latents: np.ndarray,
        *,
        seed: int,
        tile: int | Auto | None = None,
        on_tile: OnTile | None = None,
    ) -> Iterator[np.ndarray]:
        """Translate one input with several latents.

        Args:
            generator: Which one.
            values: The input, ``(C, H, W)``, of a size that the generator takes.
            latents: ``(M, latent_dim)``.
            seed: Decides the dropout, differently for every sample.
            tile: See `Runtime`; None: as the runtime says.
            on_tile: Called with the tiles done and those in all while an image is translated in tiles.

        Yields:
            Some outputs at a time, ``(m, C, H, W)``.

        Raises:
            ConfigError: `tile` is too small, or nothing that this engine does.
        """
        tiled = self._tiled(generator, values, tile)
        together = 1 if tiled else self.together(generator, *values.shape[1:])
        for start in range(0, len(latents), together):
            part = latents[start : start + together]
            noise = derive_seed(seed, "dropout", position=start) if self._has_dropout_noise else None
            if tiled:
                yield self._in_tiles(generator, values, part[0], noise=noise, tile=tile, on_tile=on_tile)
            else:
                repeated = np.broadcast_to(values, (len(part), *values.shape))
                yield self._engine.generate(generator.name, repeated, part, noise)

    def frames(
        self,
        generator: Generator,
        values: Sequence[np.ndarray],
        latents: np.ndarray,
        *,
        seed: int,
        on_tile: OnTile | None = None,
    ) -> np.ndarray:
        """Translate inputs of one size at once, each with its latent, all with the dropout that the seed decides.

        Args:
            generator: Which one.
            values: The inputs, each ``(C, H, W)``.
            latents: ``(N, latent_dim)``.
            seed: Decides the dropout.
            on_tile: As for `samples`.

        Returns:
            ``(N, C, H, W)``.
        """
        noise = derive_seed(seed, "dropout") if self._has_dropout_noise else None
        if self._tiled(generator, values[0], None):
            made = [
                self._in_tiles(generator, *pair, noise=noise, tile=None, on_tile=on_tile)
                for pair in zip(values, latents, strict=True)
            ]
            return np.concatenate(made)
        together = 1 if self._one_by_one else len(values)
        parts = [slice(start, start + together) for start in range(0, len(values), together)]
        return np.concatenate(
            [self._engine.generate(generator.name, np.stack(values[part]), latents[part], noise) for part in parts]
        )

    def stream(
        self,
        generator: Generator,
        image: Source,
        latent: np.ndarray,
        take: Callable[[Window, np.ndarray], None],
        *,
        seed: int,
        on_tile: OnTile | None = None,
    ) -> None:
        """Translate an image that is nowhere whole, in tiles; see `tandem.inference.engine.TilingEngine`.

        Raises:
            ConfigError: The engine, or this generator, does not translate in tiles.
            DataError: There is no room for a temporary file.
        """
        if not isinstance(self._engine, TilingEngine):
            raise ConfigError(f"the engine {self._runtime.engine} does not translate in tiles, as this image needs.")
        tile = self._runtime.tile
        self._engine.stream(
            generator.name,
            image,
            latent,
            derive_seed(seed, "dropout") if self._has_dropout_noise else None,
            take,
            tile=None if tile in ("auto", 0) else tile,  # type: ignore[arg-type]
            budget_bytes=self._runtime.budget_bytes,
            on_tile=on_tile,
        )

    def _tiled(self, generator: Generator, values: np.ndarray, tile: int | Auto | None) -> bool:
        _, height, width = values.shape
        tile = self._runtime.tile if tile is None else tile
        check_tile(tile)
        if tile != "auto":
            return tile != 0
        large = forward_bytes(generator.spec, height, width) > self._runtime.budget_bytes
        return large and isinstance(self._engine, TilingEngine)

    def together(self, generator: Generator, height: int, width: int) -> int:
        """How many samples of a size, in pixels of the generator's input, run at once."""
        if self._one_by_one:
            return 1
        if self._runtime.max_batch != "auto":
            return self._runtime.max_batch
        budget, limit = self._runtime.budget_bytes, self._engine.batch_limit(height * width)
        return batch_within(generator.spec, height, width, budget_bytes=budget, limit=limit)

    def _in_tiles(
        self,
        generator: Generator,
        values: np.ndarray,
        latent: np.ndarray,
        *,
        noise: int | None,
        tile: int | Auto | None,
        on_tile: OnTile | None,
    ) -> np.ndarray:
        tile = self._runtime.tile if tile is None else tile
        if not isinstance(self._engine, TilingEngine):
            raise ConfigError(f"tile is {tile}, but the engine {self._runtime.engine} does not translate in tiles.")
        return self._engine.generate_tiled(
            generator.name,
            values,
            latent,
            noise,
            tile=None if tile == "auto" else tile,
            budget_bytes=self._runtime.budget_bytes,
            on_tile=on_tile,
        )[None]
