"""ONNX Runtime as an engine: graphs that are made of a bundle's numbers, or read from ONNX files. Without PyTorch."""

import ctypes
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tandem.checkpoint.arrays import arrays_below
from tandem.checkpoint.manifest import Manifest
from tandem.checkpoint.storage import Storage
from tandem.config.specifications import GeneratorSpec, ImageEncoderSpec, NetworkSpec, PairEncoderSpec
from tandem.errors import BundleError, ConfigError, DataError
from tandem.inference.onnx.model_file import graph_beside_weights, graph_bytes
from tandem.inference.onnx.networks import network_graph, outputs_of
from tandem.inference.onnx.runtime import onnx_runtime
from tandem.names import is_text
from tandem.threads import session_options, session_threads

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
BATCH_LIMITS = {"cpu": 4, "cuda": 64}
BATCH_PIXELS = 256 * 256
"""On a CPU samples run at once while they have no more pixels than this for each thread: a single one of this size
keeps a core as busy as several do, and those only take memory."""
LARGE_PIXELS = 512 * 512
"""From so many pixels of a batch on the memory of a run is given back after it."""

LARGE_WEIGHTS = 64 * 2**20
"""From so many bytes of weights in full on those of float16 are expanded in every run, for a tenth of its time."""
FULL_SIZES: Mapping[Storage, int] = {"fp32": 1, "fp16": 2, "int8": 4}
"""How many times a file's size its weights take in full."""

Source = Path | Callable[[], bytes]
"""Where a network's graph is: in a file, or made when it is first used."""


class OnnxEngine:
    """Runs the networks with ONNX Runtime; see `tandem.inference.engine.Engine`.

    Args:
        specs: What the networks are, by name.
        sources: Where their graphs are, by name; an encoder may be missing.
        storage: How weights are stored in the files.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: That compute on the CPU; None: see `tandem.threads.session_threads`.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ConfigError: ONNX Runtime has no such device here.
    """

    def __init__(
        self,
        specs: Mapping[str, NetworkSpec],
        sources: Mapping[str, Source],
        *,
        storage: Storage = "fp32",
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        self._runtime = onnx_runtime("The engine onnx")
        self._specs, self._sources, self._threads = dict(specs), dict(sources), threads
        self._storage: Storage = storage
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._opening = threading.Lock()
        self._kind, self._provider = _provider(device, self._runtime.get_available_providers())

    @classmethod
    def of_arrays(
        cls, manifest: Manifest, arrays: Mapping[str, np.ndarray], *, device: str = "cpu", threads: int | None = None
    ) -> "OnnxEngine":
        """Run a bundle's networks.

        Args:
            manifest: Of the bundle.
            arrays: Its numbers, ``NETWORK.WEIGHT``.
            device: As for the class.
            threads: As for the class.

        Raises:
            MissingExtraError: ONNX Runtime is not installed.
            ConfigError: ONNX Runtime has no such device here, or the model samples with dropout.
        """
        require_no_dropout(manifest)

        def make(name: str) -> Callable[[], bytes]:
            weights, own = arrays_below(arrays, name), manifest.samples_with_noise
            return lambda: graph_bytes(network_graph(manifest.networks[name], weights, own_statistics=own))

        return cls(manifest.networks, {name: make(name) for name in manifest.networks}, device=device, threads=threads)

    def __repr__(self) -> str:
        return f"ONNX Runtime on {self._kind}"

    @property
    def device(self) -> str:
        """See `Engine`."""
        return self._kind

    def batch_limit(self, pixels: int) -> int:
        """See `Engine`."""
        limit = BATCH_LIMITS[self._kind]
        if self._kind != "cpu":
            return limit
        return max(1, min(limit, session_threads(self._threads) * BATCH_PIXELS // pixels))

    def prepare(self) -> None:
        """See `Engine`: the sessions are opened. What they were made of is let go."""
        for name in list(self._sources):
            self._session(name)

    def generate(self, generator: str, a: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        """See `Engine`."""
        assert seed is None, "networks that sample with noise are refused"
        feed = {"image": np.ascontiguousarray(a)}
        if z.shape[1]:
            feed["z"] = np.ascontiguousarray(z)
        return self._run(generator, feed)[0]

    def encode(self, b: np.ndarray, a: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `Engine`."""
        if "encoder" not in self._specs:
            raise BundleError("this model has no encoder: it was trained without one, so images cannot be encoded.")
        feed = {"image": np.ascontiguousarray(b)}
        spec = self._specs["encoder"]
        if isinstance(spec, PairEncoderSpec) and spec.input_channels:
            n, _, height, width = b.shape
            given = np.zeros((n, spec.input_channels, height, width), np.float32) if a is None else a
            feed["input_image"] = np.ascontiguousarray(given)
            feed["known"] = np.full(n, 0 if a is None else 1, np.float32)
        mu, logvar = self._run("encoder", feed)
        return mu, logvar

    def _run(self, name: str, feed: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        spec, image = self._specs[name], feed["image"]
        n, channels, height, width = image.shape
        _require_size(spec, channels, height, width)
        options = self._runtime.RunOptions()
        if self._kind == "cpu" and n * height * width >= LARGE_PIXELS:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        expected = outputs_of(spec)
        try:
            given = [np.asarray(one) for one in self._session(name).run(list(expected), dict(feed), options)]
        except _errors(self._runtime) as error:
            raise DataError(f"ONNX Runtime fails on an input of {width}×{height} px: {brief(error)}") from error
        sizes = {"N": n, "H": height, "W": width}
        for array, shape in zip(given, expected.values(), strict=True):
            wanted = tuple(sizes.get(side, 0) if isinstance(side, str) else side for side in shape)
            if array.shape != wanted:
                raise BundleError(f"the {name} of this ONNX file gives the shape {array.shape} instead of {wanted}.")
        return given

    def _session(self, name: str) -> "onnxruntime.InferenceSession":
        with self._opening:
            if name not in self._sessions:
                self._sessions[name] = self._open(name)
                del self._sources[name]  # with the weights that it holds
            return self._sessions[name]

    def _open(self, name: str) -> "onnxruntime.InferenceSession":
        if name not in self._sources:
            raise BundleError(
                f"the {name} of this model is an ONNX file of its own, and that is not there: put it beside the "
                "generator's (NAME.encoder.onnx beside NAME.onnx)."
            )
        source = self._sources[name]
        try:
            if isinstance(source, Path):
                return self._open_file(source.resolve())
            return open_session(self._runtime, source(), provider=self._provider, threads=self._threads)
        except _errors(self._runtime) as error:
            raise BundleError(f"ONNX Runtime cannot read the {name}: {brief(error)}") from error

    def _open_file(self, path: Path) -> "onnxruntime.InferenceSession":
        if not is_text(str(path)):
            raise BundleError(f"ONNX Runtime opens no path with bytes that are no text (UTF-8): rename {path}.")
        full_bytes = path.stat().st_size * FULL_SIZES[self._storage]
        expands = self._storage == "int8" or (self._storage == "fp16" and full_bytes >= LARGE_WEIGHTS)
        graph = None if expands else graph_beside_weights(path)
        return open_session(
            self._runtime,
            str(path) if graph is None else graph,
            provider=self._provider,
            threads=self._threads,
            folder=path.parent,
            expands=expands,
        )


def open_session(
    runtime: Any,
    model: str | bytes,
    *,
    provider: Any = PROVIDERS["cpu"],
    threads: int | None = None,
    folder: Path | None = None,
    expands: bool = False,
) -> "onnxruntime.InferenceSession":
    """A session whose threads sleep while they wait, and which keeps no memory that it does not need.

    Args:
        runtime: The module onnxruntime.
        model: The path of a file, or a model.
        provider: As ONNX Runtime takes it.
        threads: See `tandem.threads.session_threads`.
        folder: Where the file is that the model names for its weights.
        expands: Whether weights are brought to float32 one layer after the other, in every run, instead of all at once.
            ONNX Runtime does all before the first layer, unless it runs operators in the order of the file and leaves
            them as they are.
    """
    options = session_options(runtime, threads)
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if expands:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.execution_order = runtime.ExecutionOrder.PRIORITY_BASED
    options.log_severity_level = 3
    # Planned memory is kept for every size of an image, and with weights of 8 bits twice over: 547 instead of 332 MiB.
    options.enable_mem_pattern = False
    session = runtime.InferenceSession(model, options, providers=[provider])
    give_back_memory()
    return session


def give_back_memory() -> None:
    """Give the memory that was freed back to the system, which glibc keeps: of a new session twice its weights."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def require_no_dropout(manifest: Manifest) -> None:
    """Refuse models that sample with dropout.

    Raises:
        ConfigError: This is one.
    """
    drops = any(isinstance(spec, GeneratorSpec) and spec.dropout for spec in manifest.networks.values())
    if manifest.samples_with_noise and drops:
        raise ConfigError(
            "this model samples with dropout (pix2pix), whose random numbers are PyTorch's: ONNX Runtime would remove "
            "the dropout and give one picture for all samples. Run it with the engine torch; 'tandem export --to "
            "torch-export' writes a program that keeps the dropout."
        )


def brief(error: Exception) -> str:
    """The first line of an error of ONNX Runtime."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return text[:300]


def _require_size(spec: NetworkSpec, channels: int, height: int, width: int) -> None:
    """Refuse what PyTorch's network would refuse: ONNX Runtime computes something else instead."""
    assert isinstance(spec, GeneratorSpec | ImageEncoderSpec)
    if height % spec.size_multiple or width % spec.size_multiple or min(height, width) < spec.smallest_side:
        raise DataError(
            f"the network was given an image of {width}×{height} px, but it takes multiples of {spec.size_multiple} "
            f"px, at least {spec.smallest_side}. Pad or resize the image."
        )
    if channels != spec.in_channels:
        raise DataError(f"the network was given {channels} channels, but it takes {spec.in_channels}.")


def _errors(runtime: Any) -> tuple[type[Exception], ...]:
    errors = vars(runtime.capi.onnxruntime_pybind11_state)
    own = (value for value in errors.values() if isinstance(value, type) and issubclass(value, Exception))
    return (*own, RuntimeError, UnicodeDecodeError)


def _provider(device: str, available: list[str]) -> tuple[str, Any]:
    """The kind of device, and the provider as ONNX Runtime takes it."""
    kind, _, index = device.partition(":")
    if kind == "auto":
        kind = "cuda" if PROVIDERS["cuda"] in available else "cpu"
    if PROVIDERS.get(kind) not in available or (index and not index.isdigit()):
        there = [name for name, provider in PROVIDERS.items() if provider in available]
        raise ConfigError(
            f"--device {device}: ONNX Runtime does not have it here. Available: auto, {', '.join(there)}."
        )
    return kind, (PROVIDERS["cuda"], {"device_id": int(index)}) if index else PROVIDERS[kind]
