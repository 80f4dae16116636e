"""ONNX Runtime as an engine. Networks are exported when they are first used; nothing is written to a disk."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from tandem.config.specifications import NetworkSpec, PairEncoderSpec
from tandem.errors import BundleError, ConfigError, MissingExtraError
from tandem.inference.onnx_export import to_onnx
from tandem.threads import session_options

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
BATCH_LIMITS = {"cpu": 4, "cuda": 64}

log = logging.getLogger(__name__)


class OnnxEngine:
    """Runs the networks with ONNX Runtime; see `tandem.inference.engine.Engine`.

    Args:
        specs: What the networks are, by name.
        networks: By name, in eval mode, on the CPU.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        noise: Whether they would sample in the state of training.

    Raises:
        MissingExtraError: The extra ``onnx`` is not installed.
        ConfigError: ONNX Runtime has no such device here, or the model samples with noise.
    """

    def __init__(
        self, specs: Mapping[str, NetworkSpec], networks: Mapping[str, nn.Module], *, device: str, noise: bool
    ) -> None:
        try:
            import onnxruntime  # noqa: PLC0415  (an extra)
        except ImportError as error:
            raise MissingExtraError("onnxruntime", "onnx", "The engine onnx") from error
        if noise:
            raise ConfigError(
                "the engine onnx does not run models that sample in the state of training (pix2pix): exported networks "
                "have no dropout. Use the engine torch."
            )
        self._runtime = onnxruntime
        self._specs, self._networks = dict(specs), dict(networks)
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._kind, self._provider = _provider(device, onnxruntime.get_available_providers())

    def __repr__(self) -> str:
        return f"ONNX Runtime on {self._kind}"

    @property
    def device(self) -> str:
        """See `Engine`."""
        return self._kind

    @property
    def batch_limit(self) -> int:
        """See `Engine`."""
        return BATCH_LIMITS[self._kind]

    def generate(self, generator: str, a: np.ndarray, z: np.ndarray, seed: int | None) -> np.ndarray:
        """See `Engine`."""
        assert seed is None, "networks that sample with noise are refused"
        feed = {"a": np.ascontiguousarray(a)}
        if z.shape[1]:
            feed["z"] = np.ascontiguousarray(z)
        return _arrays(self._session(generator).run(["b"], feed))[0]

    def encode(self, b: np.ndarray, a: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `Engine`."""
        if "encoder" not in self._networks:
            raise BundleError("this model has no encoder: it was trained without one, so images cannot be encoded.")
        feed = {"b": np.ascontiguousarray(b)}
        spec = self._specs["encoder"]
        if isinstance(spec, PairEncoderSpec) and spec.input_channels:
            n, _, height, width = b.shape
            feed["a"] = np.zeros((n, spec.input_channels, height, width), np.float32) if a is None else a
            feed["known"] = np.full(n, 0 if a is None else 1, np.float32)
        mu, logvar = _arrays(self._session("encoder").run(["mu", "logvar"], feed))
        return mu, logvar

    def _session(self, name: str) -> "onnxruntime.InferenceSession":
        if name not in self._sessions:
            log.info("exporting %s to ONNX", name)
            options = session_options(self._runtime)
            options.log_severity_level = 3
            model = to_onnx(self._specs[name], self._networks[name])
            self._sessions[name] = self._runtime.InferenceSession(model, options, providers=[self._provider])
        return self._sessions[name]


def _arrays(outputs: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(output) for output in outputs]


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
