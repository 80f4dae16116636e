"""How a model is run: precision, compilation, how many samples at once, and how much memory."""

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tandem.config.options import Options, option, refuse, same
from tandem.config.training import TrainingConfig
from tandem.errors import ConfigError, Problem
from tandem.inference.memory import GIB

InferencePrecision = Literal["fp32", "bf16"]
EngineName = Literal["auto", "torch", "onnx"]
Auto = Literal["auto"]
OnTile = Callable[[int, int], None]
"""Called with (tiles done, all tiles) while an image is translated in tiles."""

SMALLEST_TILE = 16


@dataclass(frozen=True, kw_only=True)
class Runtime(Options):
    """How a model is run."""

    engine: EngineName = option(
        "auto",
        "what runs the networks: PyTorch, or ONNX Runtime; auto: ONNX Runtime for ONNX files, and where PyTorch is not "
        "installed, else PyTorch",
    )
    precision: InferencePrecision = option(
        "fp32", "of convolutions; norms and outputs are float32. bf16: faster on most machines, less exact"
    )
    compile: bool = option(
        False,
        "compile the generators first: pays for many images of one size; where it fails they run as they are",
        one_way=True,
    )
    max_batch: Auto | int = option(
        "auto",
        "samples of one input that are computed at once; with 1 they are the same bit for bit, however many; auto: as "
        "many as pay and fit",
        at_least=1,
    )
    tile: Auto | int = option(
        "auto",
        "side in pixels of the tiles of large images, 0 for none; auto: where --memory-gb does not hold the image",
    )
    memory_gb: float = option(4.0, "GiB that the layers of a generator may take", above=0)
    threads: int | None = same(TrainingConfig, "threads")

    def problems(self) -> Iterator[Problem | str]:
        """Say what does not fit together."""
        yield from tile_problems(self.tile)
        if self.engine == "onnx":
            given = {
                f"--precision {self.precision}": self.precision != "fp32",
                "--compile": self.compile,
                f"--tile {self.tile}": self.tile not in {"auto", 0},
            }
            yield from (f"{name} has no effect with --engine onnx" for name, is_given in given.items() if is_given)

    def decided(self, *, is_onnx_file: bool) -> "Runtime":
        """The same with the engine that is meant.

        Args:
            is_onnx_file: Whether the model is an ONNX file.

        Raises:
            ConfigError: The engine does not run it, or an option has no effect with the engine.
        """
        if self.engine == "torch" and is_onnx_file:
            raise ConfigError(
                "--engine torch: the model is an ONNX file, which ONNX Runtime runs (--engine onnx or auto). For "
                "PyTorch give the run or the bundle that it was exported from.",
                option="--engine",
            )
        if self.engine == "auto":
            has_torch = not is_onnx_file and importlib.util.find_spec("torch") is not None
            engine: EngineName = "torch" if has_torch else "onnx"
            return dataclasses.replace(self, engine=engine)
        return self

    @property
    def budget_bytes(self) -> int:
        """What the maps of a generator may take."""
        return round(self.memory_gb * GIB)


def tile_problems(tile: Auto | int) -> Iterator[Problem]:
    """Say why tiles are too small."""
    if tile not in {"auto", 0} and (isinstance(tile, str) or tile < SMALLEST_TILE):
        text = f"--tile must be auto, 0 (never in tiles) or at least {SMALLEST_TILE} px, not {tile}"
        yield Problem(text, "--tile", tile)


def check_tile(tile: Auto | int) -> None:
    """Refuse tiles that are too small.

    Raises:
        ConfigError: It is neither ``auto`` nor 0 nor large enough.
    """
    refuse(tile_problems(tile))
