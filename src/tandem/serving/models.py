"""The models of the service: found at the start, loaded when asked for, renewed when their bundle is."""

import asyncio
import gc
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tandem.checkpoint.manifest import RENEWALS
from tandem.config.classes import hex_of
from tandem.config.data import Direction
from tandem.data.label_maps import palette_of
from tandem.data.levels import Levels
from tandem.errors import BundleError, TandemError
from tandem.evaluation.options import Palette
from tandem.inference.onnx.engine import give_back_memory
from tandem.inference.translator import Translator
from tandem.prior.distributions import MixturePrior, Prior
from tandem.serving.metrics import Metrics
from tandem.serving.refused import RefusedError
from tandem.serving.sources import Stamp, stamp_of, telling_files, weight_bytes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    Attributes:
        name: How clients call it.
        translator: It.
        files: Those that are others when it is replaced.
        stamp: Of these when they were read.
        num_bytes: Of its weights.
    """

    name: str
    translator: Translator
    files: Sequence[Path]
    stamp: Stamp
    num_bytes: int

    @property
    def version(self) -> str:
        """The beginning of the SHA-256 of its weights."""
        return version_of(self.translator)

    def describe(self) -> dict[str, Any]:
        """What a client can ask of it."""
        return describe_model(self.name, self.translator)


def version_of(translator: Translator) -> str:
    """The beginning of the SHA-256 of a model's weights."""
    weights = translator.manifest.weights
    return "" if weights is None else weights.sha256[:16]


def describe_model(name: str, translator: Translator) -> dict[str, Any]:
    """What a client, or a page without a server, can ask of the model with this name."""
    manifest, abilities = translator.manifest, translator.abilities
    steps = manifest.training.get("steps")
    return {
        "name": name,
        "version": version_of(translator),
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
        "values": {
            direction: [levels_as_json(levels) for levels in translator.levels(direction)]
            for direction in translator.directions
        },
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


def levels_as_json(levels: Levels) -> dict[str, Any]:
    """Which type the samples of files have, and which values are black and white; None: the ends of the type.

    Of label maps their classes, each with its name, its index and a colour, and what is no class.
    """
    if levels.classes is not None:
        colours = palette_of(levels.classes)
        classes = [
            {"name": one.name, "value": one.values[0], "colour": hex_of(colours[one.values[0]])}
            for one in levels.classes.classes
        ]
        ignored = levels.classes.ignored
        others = None if ignored is None else {"value": ignored, "colour": hex_of(colours[ignored])}
        return {"type": levels.type, "black": None, "white": None, "classes": classes, "ignored": others}
    if levels.is_by_type:
        return {"type": levels.type, "black": None, "white": None}
    return {"type": levels.type, "black": list(levels.low), "white": list(levels.high)}


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
        paths: Bundles, runs or ONNX files by name.
        load: Reads a model.
        metrics: Where loading is counted.
        max_bytes: What the weights of models in memory may take; the one that is asked for always finds room.
    """

    def __init__(
        self, paths: Mapping[str, Path], load: Callable[[Path], Translator], metrics: Metrics, *, max_bytes: int
    ) -> None:
        self._paths, self._load, self._metrics, self._max_bytes = dict(paths), load, metrics, max_bytes
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Loaded]] = {}
        self._refused: dict[str, Stamp] = {}

    @property
    def names(self) -> Sequence[str]:
        """All models; the first one is the default."""
        return list(self._paths)

    @property
    def default(self) -> str:
        """The model of requests that name none."""
        return next(iter(self._paths))

    async def get(self, name: str | None) -> Loaded:
        """A model as it is on the disk now. It is read where it is not in memory, or has been renewed.

        Raises:
            RefusedError: There is none of that name (404), or it cannot be read (503) and never was.
        """
        name = name or self.default
        if name not in self._paths:
            raise RefusedError(404, "no-model", f"there is no model '{name:.80}': there are {', '.join(self._paths)}.")
        found = self._loaded.get(name)
        if found is None or self._is_renewed(found):
            if name not in self._loading:
                task = self._loading[name] = asyncio.create_task(self._read(name))
                task.add_done_callback(partial(self._settle, name))
            # Others may wait for it too: it goes on when the client that was first leaves.
            found = await asyncio.shield(self._loading[name])
        if name in self._loaded:
            self._loaded.move_to_end(name)
        return found

    def _settle(self, name: str, task: asyncio.Task[Loaded]) -> None:
        del self._loading[name]
        if not task.cancelled():
            task.exception()  # told to whoever waits; nobody may

    def load_first(self) -> None:
        """Load as many models as stay in memory, before there are requests.

        Raises:
            TandemError: One cannot be loaded.
        """
        for name in self.names:
            if self._loaded and self._num_bytes + weight_bytes(self._paths[name]) > self._max_bytes:
                return
            self._keep(self._load_now(name))

    @property
    def _num_bytes(self) -> int:
        return sum(one.num_bytes for one in self._loaded.values())

    def _is_renewed(self, found: Loaded) -> bool:
        try:
            return stamp_of(found.files) not in (found.stamp, self._refused.get(found.name))
        except OSError:  # the one in memory goes on
            return False

    def _load_now(self, name: str) -> Loaded:
        """Read a model whole: what was replaced while it was read is read again."""
        path = self._paths[name]
        for _ in range(RENEWALS):
            files = telling_files(path)
            stamp = stamp_of(files)
            translator = self._load(path)
            translator.prepare()
            if telling_files(path) == files and stamp_of(files) == stamp:
                self._metrics.loads.add(1, name, "loaded")
                return Loaded(name, translator, files, stamp, weight_bytes(path))
        raise BundleError(f"the model at {path} was replaced {RENEWALS} times while it was read.")

    async def _read(self, name: str) -> Loaded:
        before = self._loaded.get(name)
        try:
            loaded = await asyncio.to_thread(self._load_now, name)
        except (TandemError, OSError) as error:
            self._metrics.loads.add(1, name, "failed")
            if before is None:
                log.error("model %s cannot be loaded: %s", name, error)
                raise RefusedError(503, "model-unavailable", f"the model '{name}' cannot be loaded now.") from error
            with suppress(OSError):
                self._refused[name] = stamp_of(before.files)
            log.warning("model %s has changed and cannot be read; the old one goes on: %s", name, error)
            return before
        if before is not None:
            log.info("model %s has been renewed", name)
        self._keep(loaded)
        return loaded

    def _keep(self, loaded: Loaded) -> None:
        has_left = self._loaded.pop(loaded.name, None) is not None
        self._loaded[loaded.name] = loaded
        while self._num_bytes > self._max_bytes and len(self._loaded) > 1:
            gone, _ = self._loaded.popitem(last=False)
            has_left = True
            log.info("model %s leaves the memory: others were asked for since", gone)
        if has_left:
            gc.collect()
            give_back_memory()
        self._metrics.loaded.set(len(self._loaded))


def palette_as_json(palette: Palette | None) -> list[str]:
    """Colours as a page writes them."""
    return [] if palette is None else [hex_of(colour) for colour in palette]
