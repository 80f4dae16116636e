"""Sampling: one input, many samples, by every way to run a generator that this machine has.

The baseline is a loop of forwards with one sample each, eager, in float32 and PyTorch's default memory layout, as the
original research code samples. Every way begins with a NumPy array and ends with one.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tandem.bench.graphs import Graphed
from tandem.bench.options import MAX_SAMPLES, Way
from tandem.checkpoint.bundle import load_bundle
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.run import RunConfig
from tandem.config.specifications import GeneratorSpec
from tandem.errors import ConfigError, TandemError
from tandem.inference.abilities import abilities_of
from tandem.inference.engine import Engine
from tandem.inference.memory import batch_within
from tandem.inference.onnx.engine import OnnxEngine
from tandem.inference.onnx.model_file import graph_bytes
from tandem.inference.onnx.networks import network_graph
from tandem.inference.runtime import InferencePrecision, Runtime
from tandem.inference.torch_engine import TorchEngine
from tandem.networks.build import build_network

Sampler = Callable[[int], np.ndarray]
"""From a number of samples to them, ``(N, C, H, W)``."""


@dataclass(frozen=True)
class BenchedGenerator:
    """What is measured.

    Attributes:
        spec: Of the generator.
        network: The generator, on the CPU, in eval mode.
        size: Height and width of the image.
    """

    spec: GeneratorSpec
    network: nn.Module
    size: tuple[int, int]


def fresh_subject(config: RunConfig) -> BenchedGenerator:
    """BicycleGAN's generator with random weights."""
    assert isinstance(config.objective, BicycleGANConfig)
    spec = config.objective.generator_spec(config.data)
    return BenchedGenerator(spec, build_network(spec).eval().requires_grad_(False), config.data.crop_size)


def trained_subject(folder: Path, size: int) -> BenchedGenerator:
    """The (first) generator of a model.

    Raises:
        BundleError: There is no model.
        ConfigError: It samples with dropout, or does not take this size.
    """
    manifest, networks = load_bundle(folder)
    generator = abilities_of(manifest).generator(None)
    if manifest.samples_with_noise:
        raise ConfigError("--model: this model samples in the state of training (pix2pix), one sample at a time.")
    if size % generator.spec.size_multiple or size < generator.spec.smallest_side:
        raise ConfigError(f"--size {size}: this model takes multiples of {generator.spec.size_multiple} px.")
    return BenchedGenerator(generator.spec, networks[generator.name], (size, size))


def make_samplers(
    ways: Sequence[Way], subject: BenchedGenerator, device: torch.device
) -> tuple[dict[str, Sampler], dict[str, str]]:
    """The ways that this machine has, and why it does not have the others."""
    samplers: dict[str, Sampler] = {}
    missing: dict[str, str] = {}
    for way in ways:
        try:
            sampler = make_sampler(way, subject, device)
            sampler(1)  # compiles or exports
            samplers[way] = sampler
        except TandemError as error:
            missing[way] = str(error)
    return samplers, missing


def make_sampler(way: Way, subject: BenchedGenerator, device: torch.device) -> Sampler:
    """One way to sample, with a copy of the network.

    Raises:
        TandemError: This machine does not have it.
    """
    random = np.random.default_rng(0)
    a = random.uniform(-1, 1, (subject.spec.in_channels, *subject.size)).astype(np.float32)
    latents = random.standard_normal((MAX_SAMPLES, subject.spec.latent_dim)).astype(np.float32)
    network = copy.deepcopy(subject.network)
    if way == "baseline":
        return _baseline(network.to(device), device, a, latents)
    engine = _engine(way, subject.spec, network, device)
    h, w = subject.size
    together = batch_within(subject.spec, h, w, budget_bytes=Runtime().budget_bytes, limit=engine.batch_limit(h * w))

    def sample(count: int) -> np.ndarray:
        parts = [latents[start : min(start + together, count)] for start in range(0, count, together)]
        outputs = [
            engine.generate("generator", np.broadcast_to(a, (len(part), *a.shape)), part, None) for part in parts
        ]
        return np.concatenate(outputs)

    return sample


def _baseline(network: nn.Module, device: torch.device, a: np.ndarray, latents: np.ndarray) -> Sampler:
    def sample(count: int) -> np.ndarray:
        with torch.inference_mode():
            image = torch.from_numpy(a[None]).to(device)
            z = torch.from_numpy(latents[:count]).to(device)
            return np.concatenate([network(image, one[None]).cpu().numpy() for one in z])

    return sample


def _engine(way: Way, spec: GeneratorSpec, network: nn.Module, device: torch.device) -> Engine:
    if way == "onnx":
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        source = lambda: graph_bytes(network_graph(spec, weights))  # noqa: E731
        return OnnxEngine({"generator": spec}, {"generator": source}, device=str(device))
    precision: InferencePrecision = "bf16" if way.endswith("bf16") else "fp32"
    network.to(device)
    if way.startswith("graphs"):
        if device.type != "cuda":
            raise ConfigError("CUDA graphs need a CUDA device.")
        return TorchEngine({"generator": Graphed(network)}, device, noise=False, precision=precision)
    compiled = way.startswith("compiled")
    return TorchEngine({"generator": network}, device, noise=False, precision=precision, compiled=compiled)
