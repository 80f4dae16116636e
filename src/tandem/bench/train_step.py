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

from tandem.bench.baselines.build import has_baseline, make_baseline
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.run import RunConfig, from_flat
from tandem.objectives.build import build_objective
from tandem.objectives.phase import Objective
from tandem.training.device import configure_backends, image_layout, make_autocast, peak_memory_mb
from tandem.training.optimizers import make_adam
from tandem.training.step import train_step

Variant = Literal["tandem", "published"]
MEMORY_STEPS = 3


def bench_config(
    method: str, *, size: int, filters: int, batch_size: int | None = None, **options: object
) -> RunConfig:
    """A method with its published options at another size, width or batch size.

    Args:
        method: Its name.
        size: Side of the images.
        filters: Width of all networks.
        batch_size: Images per step; the published number if not given.
        options: Further options of a run by name, such as the precision.
    """
    flat: dict[str, object] = {"method": method, "size": size, "seed": 0, "generator_filters": filters}
    flat["discriminator_filters"] = filters
    if method == BicycleGANConfig.method:
        flat["encoder_filters"] = filters
    if batch_size is not None:
        flat["batch_size"] = batch_size
    return from_flat(flat | options)


def variants_of(config: RunConfig) -> tuple[Variant, ...]:
    """What there is to measure for a method: the published order too where it has been written down."""
    return ("published", "tandem") if has_baseline(config) else ("tandem",)


def make_step(variant: Variant, config: RunConfig, device: torch.device) -> Callable[[], object]:
    """One step of `variant` as a function without arguments, with networks and images of its own."""
    objective = build_objective(config)
    batch = _random_batch(config, objective)
    if variant == "published":
        published = make_baseline(config, objective, device)
        # Its pools decide on the host, as the published ones do.
        placed = {name: t if name.startswith("pool") else t.to(device) for name, t in batch.items()}
        return lambda: published(placed)
    training = config.training
    layout = image_layout(device)
    objective.networks.to(device=device, memory_format=layout)  # pyright: ignore[reportCallIssue]
    optimizers = {
        name: make_adam(network.parameters(), lr=training.learning_rate, betas=(training.beta1, training.beta2))
        for name, network in objective.networks.items()
    }
    laid_out = {
        name: t.to(device, memory_format=layout if t.ndim == 4 else torch.preserve_format)
        for name, t in batch.items()
        if t.is_floating_point()
    } | {name: t for name, t in batch.items() if not t.is_floating_point()}
    autocast = make_autocast(device, training.precision)
    return lambda: train_step(
        objective, optimizers, laid_out, clip_grad_norm=training.clip_grad_norm, autocast=autocast
    )


def _random_batch(config: RunConfig, objective: Objective) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    n, (h, w) = config.training.batch_size, config.data.crop_size
    images = {
        "a": torch.rand(n, config.data.input_channels, h, w, generator=generator) * 2 - 1,
        "b": torch.rand(n, config.data.output_channels, h, w, generator=generator) * 2 - 1,
    }
    return images | objective.draw(config.training.seed, range(n))


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
