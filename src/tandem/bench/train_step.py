"""The training step as Tandem runs it and in the published order, on the same random images.

As a module it runs one variant for a few steps in a fresh process and prints its peak memory in MiB:
``python -m tandem.bench.train_step VARIANT DEVICE OPTIONS``, the options of the run as JSON.
"""

import json
import sys
from collections.abc import Callable
from typing import Literal

import torch

from tandem.bench.published import PublishedStep
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.run import RunConfig, from_flat
from tandem.data.loader import Batch
from tandem.objectives.build import build_objective
from tandem.training.device import configure_backends, peak_memory_mb
from tandem.training.setup import make_state
from tandem.training.stepper import Stepper

Variant = Literal["tandem", "published"]
MEMORY_STEPS = 3


def bench_config(*, method: str = "bicyclegan", size: int, filters: int, batch_size: int | None = None) -> RunConfig:
    """A method with its published options at another size, width or batch size."""
    flat: dict[str, object] = {"method": method, "size": size, "seed": 0, "generator_filters": filters}
    flat["ema_halflife_images"] = 0  # the published training has no moving average
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
    batch = _random_batch(config)
    training = config.training
    if variant == "published":
        assert isinstance(config.objective, BicycleGANConfig)
        objective = build_objective(config)
        objective.networks.to(device)
        lr, betas = training.learning_rate, (training.beta1, training.beta2)
        published = PublishedStep(dict(objective.networks.items()), config.objective, lr=lr, betas=betas)
        tensors = {"a": batch["a"], "b": batch["b"]} | objective.draw(training.seed, batch["positions"])
        return lambda: published({name: tensor.to(device) for name, tensor in tensors.items()})
    stepper = Stepper(config, make_state(config, device), device=device, epoch_images=training.batch_size)
    return lambda: stepper.step([batch])


def _random_batch(config: RunConfig) -> Batch:
    generator = torch.Generator().manual_seed(0)
    n, (h, w) = config.training.batch_size, config.data.crop_size
    return Batch(
        a=torch.rand(n, config.data.input_channels, h, w, generator=generator) * 2 - 1,
        b=torch.rand(n, config.data.output_channels, h, w, generator=generator) * 2 - 1,
        names=[str(index) for index in range(n)],
        positions=list(range(n)),
    )


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
