"""The training step as Tandem runs it and in the published order, on the same random images."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from tandem import rng
from tandem.bench.baselines.build import has_baseline, make_baseline
from tandem.config.bicyclegan import BicycleGANConfig
from tandem.config.cyclegan import CycleGANConfig
from tandem.config.run import RunConfig, from_flat
from tandem.config.tandem import TandemConfig
from tandem.data.loader import Batch
from tandem.data.micro_batches import MicroBatches
from tandem.objectives.build import build_objective
from tandem.training.device import image_layout
from tandem.training.graphs import WARM_UP_STEPS
from tandem.training.setup import make_state
from tandem.training.state import TrainingState
from tandem.training.stepper import Stepper

Variant = Literal["tandem", "published"]
MANY_IMAGES = MANY_STEPS = 1_000_000
PUBLISHED_FILTERS = 64
"""Of an epoch: more than a benchmark sees, so that the learning rate stays."""


def bench_config(
    method: str, *, size: int, filters: int | None = None, batch_size: int | None = None, **options: object
) -> RunConfig:
    """A method with its published options at another size, width or batch size.

    Args:
        method: Its name.
        size: Side of the images.
        filters: Width of all networks; of tandem the generator's, and the others in proportion. None: the method's own.
        batch_size: Images per step; the published number if not given.
        options: Further options of a run by name, such as the precision.
    """
    filters = filters or (TandemConfig.generator_filters if method == TandemConfig.method else PUBLISHED_FILTERS)
    flat: dict[str, object] = {"method": method, "size": size, "seed": 0, "generator_filters": filters}
    if method == TandemConfig.method:
        flat["encoder_filters"] = max(1, filters * TandemConfig.encoder_filters // TandemConfig.generator_filters)
        flat["discriminator_filters"] = max(
            1, filters * TandemConfig.discriminator_filters // TandemConfig.generator_filters
        )
    else:
        flat["ema_halflife_images"] = 0  # the published training has no moving average
        flat["discriminator_filters"] = filters
    if method == BicycleGANConfig.method:
        flat["encoder_filters"] = filters
    flat |= whole_step(method)
    if batch_size is not None:
        flat["batch_size"] = batch_size
    return from_flat(flat | options)


def whole_step(method: str) -> dict[str, object]:
    """Options under which the first step of a method has all phases: what is measured is the costlier kind of step."""
    return {"gan_from": 0.0} if method == TandemConfig.method else {}


def variants_of(config: RunConfig) -> tuple[Variant, ...]:
    """What there is to measure for a method: the published order too where it has been written down."""
    return ("published", "tandem") if has_baseline(config) else ("tandem",)


def warmup_steps(config: RunConfig, device: torch.device) -> int:
    """Steps to do before a measurement: kernels are chosen, pools filled, and where steps are captured that is done."""
    if device.type != "cuda":
        return 2
    pool_size = config.objective.pool_size if isinstance(config.objective, CycleGANConfig) else 0
    return WARM_UP_STEPS + 2 + -(-pool_size // config.training.batch_size)


def make_step(variant: Variant, config: RunConfig, device: torch.device) -> Callable[[], object]:
    """One step of `variant` as a function without arguments, with networks and images of its own.

    Tandem's is the step of a training run, with its random draws and its checks; only the images lie on the device.
    """
    if variant == "published":
        objective = build_objective(config)
        published = make_baseline(config, objective, device)
        positions = range(config.training.batch_size)
        batch = _random_images(config, positions) | objective.draw(config.training.seed, positions)
        # Its pools decide on the host, as the published ones do.
        placed = {name: t if name.startswith("pool") else t.to(device) for name, t in batch.items()}
        return lambda: published(placed)
    stepper, batches, _ = make_stepper(config, device)
    return lambda: stepper.step(batches)


def make_stepper(config: RunConfig, device: torch.device) -> tuple[Stepper, list[Batch], TrainingState]:
    """What does the steps of a run, a batch for it, and the state that it changes."""
    micro_batches = MicroBatches.of_process(0, 1, per_process=config.training.accumulate, parts=config.objective.parts)
    micro_batches.require_equal(config.training.batch_size)
    state = make_state(config, device, micro_batches=micro_batches.count)
    stepper = Stepper(config, state, device=device, epoch_images=MANY_IMAGES, total_steps=MANY_STEPS)
    return stepper, _batches(config, micro_batches, device), state


def _batches(config: RunConfig, micro_batches: MicroBatches, device: torch.device) -> list[Batch]:
    """The micro-batches of one batch, as a loader gives them but on the device already."""
    positions = micro_batches.positions(0, config.training.batch_size)
    batches = []
    for _ in range(micro_batches.number):
        own = next(positions)
        images = {
            name: tensor.to(device, memory_format=image_layout(device))
            for name, tensor in _random_images(config, own).items()
        }
        batches.append(Batch(a=images["a"], b=images["b"], names=[str(p) for p in own], positions=own))
    return batches


def _random_images(config: RunConfig, positions: Sequence[int]) -> dict[str, Tensor]:
    """Noise that follows from the positions alone, so that it is the same however a batch is split."""
    channels = {"a": config.data.input_channels, "b": config.data.output_channels}
    # Before anything is drawn, so that a batch that does not fit the memory fails at once.
    found = {name: torch.empty(len(positions), c, *config.data.crop_size) for name, c in channels.items()}
    for name, images in found.items():
        for image, position in zip(images, positions, strict=True):
            image.copy_(2 * rng.uniform(0, f"bench/{name}", [position], image.shape)[0] - 1)
    return found
