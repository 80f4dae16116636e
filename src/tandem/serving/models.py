"""The models of the service: found at the start, loaded when asked for, renewed when their bundle is."""

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tandem.checkpoint.manifest import MANIFEST_NAME, bundle_folder
from tandem.config.data import Direction
from tandem.errors import BundleError, TandemError
from tandem.evaluation.options import Palette
from tandem.inference.translator import Translator
from tandem.prior.distributions import MixturePrior, Prior
from tandem.serving.metrics import Metrics
from tandem.serving.refused import RefusedError

Stamp = tuple[int, int, int]
"""Of a bundle's manifest, which is replaced last: inode, size, time."""
LOOK_SECONDS = 1.0
"""So often at most the disk is asked whether a bundle has changed."""

_UNUSUAL = re.compile(r"[^\w.+-]", re.ASCII)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    Attributes:
        name: How clients call it.
        translator: It.
        stamp: Of its manifest when it was read.
    """

    name: str
    translator: Translator
    stamp: Stamp

    @property
    def version(self) -> str:
        """The beginning of the SHA-256 of its weights."""
        weights = self.translator.manifest.weights
        return "" if weights is None else weights.sha256[:16]

    def describe(self) -> dict[str, Any]:
        """What a client can ask of it."""
        translator = self.translator
        manifest, abilities = translator.manifest, translator.abilities
        steps = manifest.training.get("steps")
        return {
            "name": self.name,
            "version": self.version,
            "method": manifest.method,
            "steps": steps if isinstance(steps, int) else None,
            "directions": list(translator.directions),
            "size": list(manifest.preprocessing.size),
            "channels": {
                direction: [generator.spec.in_channels, generator.spec.out_channels]
                for direction, generator in abilities.generators.items()
            },
            "input_mean": {direction: _input_mean(translator, direction) for direction in translator.directions},
            "multiple": translator.multiple,
            "latent_dim": translator.latent_dim,
            "stochastic": translator.is_stochastic,
            "encoder": abilities.has_encoder,
            "calibrated": manifest.calibration is not None,
            "prior": prior_as_json(translator.prior),
        }


def _input_mean(translator: Translator, direction: Direction) -> float | None:
    """The mean of training inputs in [-1, 1], if the manifest says it: near 1 for line drawings on white."""
    turned = len(translator.directions) == 2 and direction == "BtoA"
    side = translator.manifest.statistics.get("b" if turned else "a")
    values = side.get("mean") if isinstance(side, Mapping) else None
    if not isinstance(values, Sequence) or not values or not all(isinstance(value, float) for value in values):
        return None
    mean = float(np.mean(values))
    return mean if -1 <= mean <= 1 else None


def prior_as_json(prior: Prior) -> dict[str, Any] | None:
    """The prior's mean and its principal axes, each as long as one standard deviation, the longest first."""
    dim = prior.latent_dim
    if not dim:
        return None
    if not isinstance(prior, MixturePrior):
        return {"kind": prior.describe(), "mean": [0.0] * dim, "axes": np.eye(dim).tolist()}
    mean, covariance = prior.moments
    variances, vectors = np.linalg.eigh(covariance)
    axes = (vectors * np.sqrt(np.maximum(variances, 0))).T[::-1]
    return {"kind": prior.describe(), "mean": mean.tolist(), "axes": axes.tolist()}


class ModelStore:
    """Models by name, the least recently used ones out of memory. All methods run in the thread of the event loop.

    Args:
        paths: Bundles or runs by name.
        load: Reads a model.
        metrics: Where loading is counted.
        max_loaded: Most models in memory.
    """

    def __init__(
        self, paths: Mapping[str, Path], load: Callable[[Path], Translator], metrics: Metrics, *, max_loaded: int
    ) -> None:
        self._paths, self._load, self._metrics, self._max_loaded = dict(paths), load, metrics, max_loaded
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._locks = {name: asyncio.Lock() for name in paths}
        self._looked: dict[str, float] = {}
        self._refused: dict[str, Stamp] = {}
        self._renewals: set[asyncio.Task[None]] = set()

    @property
    def names(self) -> Sequence[str]:
        """All models; the first one is the default."""
        return list(self._paths)

    @property
    def default(self) -> str:
        """The model of requests that name none."""
        return next(iter(self._paths))

    async def get(self, name: str | None) -> Loaded:
        """A model, read from the disk if need be, and renewed in the background where its bundle has changed.

        Raises:
            RefusedError: There is none of that name (404), or it cannot be read (503).
        """
        name = name or self.default
        if name not in self._paths:
            raise RefusedError(404, "no-model", f"there is no model '{name:.80}': there are {', '.join(self._paths)}.")
        found = self._loaded.get(name)
        if found is None:
            async with self._locks[name]:
                found = self._loaded.get(name)
                if found is None:
                    found = await self._read(name)
        elif time.monotonic() - self._looked.get(name, 0) >= LOOK_SECONDS:
            self._looked[name] = time.monotonic()
            task = asyncio.create_task(self._renew(name, found))
            self._renewals.add(task)
            task.add_done_callback(self._renewals.discard)
        if name in self._loaded:
            self._loaded.move_to_end(name)
        return found

    def load_first(self) -> None:
        """Load as many models as stay in memory, before there are requests.

        Raises:
            TandemError: One cannot be loaded.
        """
        for name in self.names[: self._max_loaded]:
            self._keep(self._load_now(name))

    def _load_now(self, name: str) -> Loaded:
        stamp = stamp_of(self._paths[name])
        loaded = Loaded(name, self._load(self._paths[name]), stamp)
        self._metrics.loads.add(1, name, "loaded")
        return loaded

    async def _read(self, name: str) -> Loaded:
        try:
            loaded = await asyncio.to_thread(self._load_now, name)
        except (TandemError, OSError) as error:
            self._metrics.loads.add(1, name, "failed")
            log.error("model %s cannot be loaded: %s", name, error)
            raise RefusedError(503, "model-unavailable", f"the model '{name}' cannot be loaded now.") from error
        self._keep(loaded)
        return loaded

    def _keep(self, loaded: Loaded) -> None:
        self._loaded[loaded.name] = loaded
        self._loaded.move_to_end(loaded.name)
        while len(self._loaded) > self._max_loaded:
            gone, _ = self._loaded.popitem(last=False)
            log.info("model %s leaves the memory: others were asked for since", gone)
        self._metrics.loaded.set(len(self._loaded))

    async def _renew(self, name: str, old: Loaded) -> None:
        """Read a bundle that has changed; requests get the old model until then, and if the new one is damaged."""
        try:
            stamp = stamp_of(self._paths[name])
        except (BundleError, OSError):
            return
        if stamp in (old.stamp, self._refused.get(name)) or self._locks[name].locked():
            return
        async with self._locks[name]:
            try:
                await self._read(name)
            except RefusedError:
                self._refused[name] = stamp
                log.warning("model %s: its bundle has changed and cannot be read; the old one goes on", name)
            else:
                log.info("model %s has been renewed", name)


def stamp_of(path: Path) -> Stamp:
    """What changes when a bundle is replaced.

    Raises:
        OSError: It is not there.
    """
    status = (bundle_folder(path) / MANIFEST_NAME).stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def name_models(paths: Sequence[Path]) -> dict[str, Path]:
    """Names of models: that of the run or folder, with a number where several have the same.

    Raises:
        BundleError: There is no model at a path.
    """
    named: dict[str, Path] = {}
    for path in paths:
        folder = bundle_folder(path).resolve()
        folder = folder.parent if folder.name == "model" else folder
        first = name = _UNUSUAL.sub("-", folder.name) or "model"
        number = 2
        while name in named:
            name, number = f"{first}-{number}", number + 1
        named[name] = path
    return named


def palette_as_json(palette: Palette | None) -> list[str]:
    """Colours as a page writes them."""
    return [] if palette is None else [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in palette]
