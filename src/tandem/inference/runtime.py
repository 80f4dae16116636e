"""How a model is run: precision, compilation, how many samples at once, and how much memory."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tandem.errors import ConfigError
from tandem.inference.memory import GIB

InferencePrecision = Literal["fp32", "bf16"]
EngineName = Literal["torch", "onnx"]
Auto = Literal["auto"]
OnTile = Callable[[int, int], None]
"""Called with (tiles done, all tiles) while an image is translated in tiles."""

SMALLEST_TILE = 16


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """How a model is run.

    Attributes:
        engine: What runs the networks: PyTorch, or ONNX Runtime.
        precision: Of convolutions; norms and outputs are float32.
        compile: Whether generators are compiled (`torch.compile`). Where that fails they run as they are, and the
            reason is logged once.
        max_batch: Samples of one input that run through the generator at once; ``auto``: as many as pay and fit. With 1
            a sample follows from its input and its latent alone, bit for bit; with more its last bits depend on how
            many run together.
        tile: Side of the tiles of large images, in pixels of the image; 0: never in tiles; ``auto``: in tiles when the
            whole image would take more than `memory_gb`.
        memory_gb: What the maps of a generator may take, in GiB.

    Raises:
        ConfigError: A value is out of its range, or has no effect.
    """

    engine: EngineName = "torch"
    precision: InferencePrecision = "fp32"
    compile: bool = False
    max_batch: int | Auto = "auto"
    tile: int | Auto = "auto"
    memory_gb: float = 4.0

    def __post_init__(self) -> None:
        problems = []
        if self.precision not in {"fp32", "bf16"}:
            problems.append(f"precision must be fp32 or bf16, not {self.precision!r}")
        if self.engine not in {"torch", "onnx"}:
            problems.append(f"engine must be torch or onnx, not {self.engine!r}")
        if self.max_batch != "auto" and self.max_batch < 1:
            problems.append(f"max_batch must be auto or at least 1, not {self.max_batch}")
        if not (math.isfinite(self.memory_gb) and self.memory_gb > 0):
            problems.append(f"memory_gb must be a number above 0, not {self.memory_gb}")
        if self.engine == "onnx":
            given = {
                "precision bf16": self.precision != "fp32",
                "compile": self.compile,
                f"tile {self.tile}": self.tile not in {"auto", 0},
            }
            problems += [f"{name} has no effect with the engine onnx" for name, is_given in given.items() if is_given]
        if problems:
            raise ConfigError("; ".join(problems) + ".")
        check_tile(self.tile)

    @property
    def budget_bytes(self) -> int:
        """What the maps of a generator may take."""
        return round(self.memory_gb * GIB)


def check_tile(tile: int | Auto) -> None:
    """Refuse tiles that are too small.

    Raises:
        ConfigError: It is neither ``auto`` nor 0 nor large enough.
    """
    if tile not in {"auto", 0} and (isinstance(tile, str) or tile < SMALLEST_TILE):
        raise ConfigError(f"tile must be auto, 0 (never in tiles) or at least {SMALLEST_TILE} px, not {tile!r}.")
