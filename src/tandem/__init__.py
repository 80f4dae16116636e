"""Tandem: image-to-image translation in PyTorch, one input image, many plausible outputs.

    import tandem

    translator = tandem.load("runs/shoes")
    images = translator("drawing.png", num_samples=5, seed=0)

The names below are imported when they are first used, so that ``import tandem`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tandem.threads import wait_passively
from tandem.version import __version__

wait_passively()

if TYPE_CHECKING:
    from tandem.api import TrainedRun, train
    from tandem.config.run import RunConfig
    from tandem.data.array_files import read_image, write_image
    from tandem.inference.translator import Translator, load

__all__ = ["RunConfig", "TrainedRun", "Translator", "__version__", "load", "read_image", "train", "write_image"]

_HOMES = {
    "RunConfig": "tandem.config.run",
    "TrainedRun": "tandem.api",
    "Translator": "tandem.inference.translator",
    "load": "tandem.inference.translator",
    "read_image": "tandem.data.array_files",
    "train": "tandem.api",
    "write_image": "tandem.data.array_files",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tandem' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
