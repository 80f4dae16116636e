"""The training step as Tandem runs it and in the published order, on the same random images.

As a module it runs one variant for a few steps in a fresh process and prints its peak memory in MiB:
``python -m tandem.bench.train_step VARIANT DEVICE OPTIONS``, the options of the run as JSON.
"""

import json
import sys
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from tandem.bench.published import PublishedStep
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.run import RunConfig, from_flat
from tandem.objectives.build import build_objective
from tandem.objectives.phase import Objective
from tandem.training.device import configure_backends, image_layout, make_autocast, peak_memory_mb
from tandem.training.optimizers import make_adam
from tandem.training.step import train_step

Variant = Literal["tandem", "published"]
MEMORY_STEPS = 3


def bench_config(*, method: str = "bicyclegan", size: int, filters: int, batch_size: int | None = None) -> RunConfig:
    """A method with its published options at another size, width or batch size."""
    flat: dict[str, object] = {"method": method, "size": size, "seed": 0, "generator_filters": filters}
    flat["discriminator_filters"] = filters
    if method == BicycleGANConfig.method:
        flat["encoder_filters"] = filters
    if batch_size is not None:
        flat["batch_size"] = batch_size
    return from_flat(flat)


def variants_of(config: RunConfig) -> tuple[Variant, ...]:
    """What there is to measure for a method: the published order too where it has been written down."""
    return ("published", "tandem") if isinstance(config.objective, BicycleGANConfig) else ("tandem",)


def make_step(variant: Variant, config: RunConfig, device: torch.device) -> Callable[[], object]:
    """One step of `variant` as a function without arguments, with networks and images of its own."""
    objective = build_objective(config)
    batch = _random_batch(config, objective, device)
    training = config.training
    lr, betas = training.learning_rate, (training.beta1, training.beta2)
    if variant == "published":
        objective.networks.to(device)
        assert isinstance(config.objective, BicycleGANConfig)
        published = PublishedStep(dict(objective.networks.items()), config.objective, lr=lr, betas=betas)
        return lambda: published(batch)
    layout = image_layout(device)
    objective.networks.to(device=device, memory_format=layout)  # pyright: ignore[reportCallIssue]
    optimizers = {
        name: make_adam(network.parameters(), lr=lr, betas=betas) for name, network in objective.networks.items()
    }
    laid_out = {
        name: tensor.contiguous(memory_format=layout) if tensor.ndim == 4 else tensor for name, tensor in batch.items()
    }
    autocast = make_autocast(device, training.precision)
    return lambda: train_step(
        objective, optimizers, laid_out, clip_grad_norm=training.clip_grad_norm, autocast=autocast
    )


def _random_batch(config: RunConfig, objective: Objective, device: torch.device) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    n, (h, w) = config.training.batch_size, config.data.crop_size
    images = {
        "a": torch.rand(n, config.data.input_channels, h, w, generator=generator) * 2 - 1,
        "b": torch.rand(n, config.data.output_channels, h, w, generator=generator) * 2 - 1,
    }
    batch = images | objective.draw(config.training.seed, range(n))
    return {name: tensor.to(device) if tensor.is_floating_point() else tensor for name, tensor in batch.items()}


def main(arguments: list[str]) -> None:
    """Run one variant and print its peak memory."""
    variant, device_name, options = arguments
    device = torch.device(device_name)
    configure_backends(device, deterministic=False)
    step = make_step("published" if variant == "published" else "tandem", from_flat(json.loads(options)), device)
    for _ in range(MEMORY_STEPS):
        step()
    sys.stdout.write(f"{peak_memory_mb(device)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
